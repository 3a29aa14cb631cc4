"""Pulls: the registry's answers, progress, going on where a download broke off, and who shares it (`ollama-api.md` 10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.simulate.host.depot import Depot, digest
from tests.simulate.host.talking import Answer, Fleet, Talk

WEIGHTS = b"weights " * 1000
CONFIG = b'{"model_format": "gguf"}'


@pytest.fixture
def depot() -> Depot:
    here = Depot()
    here.offer("library/m:latest", WEIGHTS, CONFIG)
    return here


def test_what_a_pull_says(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot)
    said = here.post("pull", model="m").lines
    parts = [
        {"status": f"pulling {digest(part)[7:19]}", "digest": digest(part), "total": len(part), "completed": len(part)}
        for part in (WEIGHTS, CONFIG)
    ]
    last = [{"status": status} for status in ("verifying sha256 digest", "writing manifest", "success")]
    assert said == [{"status": "pulling manifest"}, *parts, *last]
    assert here.post("pull", model="m").lines == said
    assert len([asked for asked in depot.asked if asked.startswith("GET /content/")]) == 2
    assert here.engine.store.listed()[0][1].raw == depot.manifests["library/m:latest"]


def test_whole_answer_is_the_last_line(host_of: Callable[..., Talk], depot: Depot) -> None:
    answer = host_of(depot).post("pull", model="m", stream=False)
    assert (answer.json, answer.content_type) == ({"status": "success"}, "application/json")


def test_what_is_asked_of_the_registry(host_of: Callable[..., Talk], depot: Depot) -> None:
    host_of(depot, "0.9.6").post("pull", model="localhost:5000/library/m", insecure=True)
    sums = [digest(part) for part in (WEIGHTS, CONFIG)]
    each = [
        [f"HEAD /v2/library/m/blobs/{one}", f"GET /v2/library/m/blobs/{one}", f"GET /content/{one}"] for one in sums
    ]
    assert depot.asked == ["GET /v2/library/m/manifests/latest", *each[0], *each[1]]
    assert depot.headers[0]["accept"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert depot.headers[0]["user-agent"].startswith("ollama/0.9.6 ")
    assert depot.headers[3]["range"] == f"bytes=0-{len(WEIGHTS) - 1}"


def test_layers_that_nothing_uses_any_more_go(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot)
    here.post("pull", model="m")
    depot.offer("library/m:latest", b"newer weights", CONFIG)
    assert here.post("pull", model="m").said[-2:] == ["removing unused layers", "success"]
    assert set(here.state()["blobs"]) == {digest(b"newer weights"), digest(CONFIG)}


def test_without_cleaning_up_they_stay(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot, noprune=True)
    here.post("pull", model="m")
    depot.offer("library/m:latest", b"newer weights", CONFIG)
    assert "removing unused layers" not in here.post("pull", model="m").said
    assert len(here.state()["blobs"]) == 3


def refused(answer: Answer) -> str:
    """The error that ends a pull; the status is that of a stream that had begun."""
    assert answer.status == 200
    return answer.error


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((404, {}, b""), "pull model manifest: file does not exist"),
        ((500, {}, b"oops"), "pull model manifest: 500: oops"),
        ((200, {}, b"[]"), "pull model manifest: json: cannot unmarshal value into Go value of type server.Manifest"),
        ((200, {}, b""), "pull model manifest: unexpected end of JSON input"),
        ((200, {}, b"{"), "pull model manifest: unexpected EOF"),
        ((401, {"www-authenticate": "Bearer x"}, b""), 'pull model manifest: Get "?nonce='),
    ],
)
def test_manifests_that_are_none(
    host_of: Callable[..., Talk], depot: Depot, reply: tuple[int, dict[str, str], bytes], error: str
) -> None:
    depot.replies["GET /v2/library/m/manifests/latest"] = reply
    assert refused(host_of(depot).post("pull", model="m")).startswith(error)


@pytest.mark.parametrize(("version", "error"), [("0.18.3", "EOF"), ("0.19.0", "unexpected end of JSON input")])
def test_an_empty_manifest(host_of: Callable[..., Talk], depot: Depot, version: str, error: str) -> None:
    depot.replies["GET /v2/library/m/manifests/latest"] = (200, {}, b"")
    assert refused(host_of(depot, version).post("pull", model="m")) == f"pull model manifest: {error}"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((200, {}, WEIGHTS), "http: no Location header in response"),
        ((302, {"location": "http://127.0.0.1:5000/x"}, b""), "unexpected status code 302"),
        ((307, {"location": "/v2/library/m/elsewhere"}, b""), "context deadline exceeded"),
    ],
)
def test_places_of_contents_that_a_server_does_not_go_to(
    host_of: Callable[..., Talk], depot: Depot, reply: tuple[int, dict[str, str], bytes], error: str
) -> None:
    depot.replies[f"GET /v2/library/m/blobs/{digest(WEIGHTS)}"] = reply
    assert refused(host_of(depot).post("pull", model="localhost:5000/library/m", insecure=True)) == error


def test_redirects_within_the_registry_are_followed(host_of: Callable[..., Talk], depot: Depot) -> None:
    there = f"/v2/elsewhere/blobs/{digest(WEIGHTS)}"
    depot.replies[f"GET /v2/library/m/blobs/{digest(WEIGHTS)}"] = (302, {"location": there}, b"")
    assert host_of(depot).post("pull", model="localhost:5000/library/m", insecure=True).said[-1] == "success"
    depot.replies[f"GET {there}"] = (302, {"location": there}, b"")
    answer = host_of(depot).post("pull", model="localhost:5000/library/m", insecure=True)
    assert refused(answer) == "maximum redirects exceeded (10) for directURL"


def test_contents_that_are_not_what_they_were_said_to_be_go_again(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot)
    depot.blobs[digest(CONFIG)] = CONFIG[::-1]
    mismatch = f"digest mismatch, file must be downloaded again: want {digest(CONFIG)}, got {digest(CONFIG[::-1])}"
    assert refused(here.post("pull", model="m")) == mismatch
    assert (list(here.state()["blobs"]), here.names()) == ([digest(WEIGHTS)], [])
    depot.blobs[digest(CONFIG)] = CONFIG
    assert here.post("pull", model="m").said[-1] == "success"


def test_a_content_that_is_gone(host_of: Callable[..., Talk], depot: Depot) -> None:
    del depot.blobs[digest(WEIGHTS)]
    assert refused(host_of(depot).post("pull", model="m")) == "file does not exist"


def test_a_token_is_asked_for_once(host_of: Callable[..., Talk], depot: Depot) -> None:
    depot.realm = "http://localhost:5000/token"
    assert host_of(depot).post("pull", model="localhost:5000/library/m", insecure=True).said[-1] == "success"
    assert depot.asked[:3] == ["GET /v2/library/m/manifests/latest", "GET /token", "GET /v2/library/m/manifests/latest"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [((403, {}, b"no"), "403: no"), ((200, {}, b""), "EOF"), ((200, {}, b"{}"), "unauthorized: access denied")],
)
def test_tokens_that_are_none(
    host_of: Callable[..., Talk], depot: Depot, reply: tuple[int, dict[str, str], bytes], error: str
) -> None:
    depot.realm = "http://localhost:5000/token"
    depot.replies["GET /token"] = reply
    answer = host_of(depot).post("pull", model="localhost:5000/library/m", insecure=True)
    assert refused(answer) == f"pull model manifest: {error}"


@pytest.mark.parametrize(
    ("model", "insecure", "error"),
    [
        ("elsewhere.test/library/m", False, 'Get "https://elsewhere.test/v2/library/m/manifests/latest": dial tcp: lookup elsewhere.test: no such host'),
        ("localhost:1/library/m", True, 'Get "http://localhost:1/v2/library/m/manifests/latest": dial tcp 127.0.0.1:1: connect: connection refused'),
        ("localhost:1/library/m", False, 'Get "https://localhost:1/v2/library/m/manifests/latest": dial tcp 127.0.0.1:1: connect: connection refused'),
        ("localhost:5000/library/m", False, 'Get "https://localhost:5000/v2/library/m/manifests/latest": EOF'),
    ],
)  # fmt: skip
def test_registries_that_cannot_be_reached(
    host_of: Callable[..., Talk], depot: Depot, model: str, insecure: bool, error: str
) -> None:
    answer = host_of(depot).post("pull", model=model, insecure=insecure)
    assert refused(answer) == f"pull model manifest: {error}"


def test_a_full_disk(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot, disk=5000)
    assert refused(here.post("pull", model="m")).endswith("-partial: no space left on device")
    assert here.names() == []


def slow(place: Callable[[str], Fleet], more: str = "", *, version: str = "0.32.15") -> Fleet:
    """A fleet of two hosts; ten seconds are needed for the 10 MB of `big`."""
    return place(
        f"hosts: {{alpha: {{version: {version}}}, beta: {{version: {version}}}}}\n"
        f"registry: {{request_bandwidth: 1MB, models: {{big: {{size: 10MB}}}}{more}}}"
    )


def test_progress_is_told_sixteen_times_a_second(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet)
    lines = here.hosts["alpha"].post("pull", model="big").lines
    large = [line for line in lines if line.get("total", 0) >= 10**7]
    assert len(large) == pytest.approx(10 / 0.06, rel=0.1)
    done = [line.get("completed", 0) for line in large]
    assert done == sorted(done)
    assert done[-1] == large[-1]["total"]
    assert here.now == pytest.approx(10, abs=1)


def test_nothing_is_told_of_nothing(fleet: Callable[[str], Fleet]) -> None:
    here = fleet("hosts: {alpha: {}}\nregistry: {latency: 1, models: {big: {size: 10MB}}}")
    lines = here.hosts["alpha"].post("pull", model="big").lines
    assert "completed" not in lines[1]
    assert lines[1]["total"] >= 10**7


def test_two_pulls_of_one_content_are_one_download(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet)
    alpha = here.hosts["alpha"]

    async def both() -> list[Answer]:
        return list(await asyncio.gather(alpha.posted("pull", model="big"), alpha.posted("pull", model="big")))

    assert [answer.said[-1] for answer in here.run(both())] == ["success", "success"]
    assert len([call for call in here.requests("content") if call["status"]]) == len(here.requests("content"))
    assert here.now == pytest.approx(10, abs=1)


async def left_after(talk: Talk, seconds: float, model: str = "big") -> None:
    """Pulls, and leaves after so long."""
    async with talk.client() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await client.post("/api/pull", json={"model": model})


def test_a_download_goes_on_where_it_was_left(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet)
    alpha = here.hosts["alpha"]
    here.run(left_after(alpha, 6))
    begun = here.now
    first = next(line for line in alpha.post("pull", model="big").lines if line.get("total", 0) >= 10**7)
    assert first["completed"] == pytest.approx(6e6, rel=0.1)
    assert here.now - begun == pytest.approx(4, abs=1)
    assert alpha.names() == ["big:latest"]


def test_one_who_leaves_does_not_end_what_another_waits_for(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet)
    alpha = here.hosts["alpha"]

    async def case() -> Answer:
        stays = asyncio.create_task(alpha.posted("pull", model="big"))
        await left_after(alpha, 3)
        return await stays

    assert here.run(case()).said[-1] == "success"
    assert here.now == pytest.approx(10, abs=1)


@pytest.mark.parametrize(("version", "kept"), [("0.20.7", False), ("0.21.0", True)])
def test_a_restart_ends_downloads(fleet: Callable[[str], Fleet], version: str, kept: bool) -> None:
    here = slow(fleet, version=version)
    alpha = here.hosts["alpha"]

    async def case() -> Answer:
        pull = asyncio.create_task(alpha.posted("pull", model="big"))
        await asyncio.sleep(5)
        alpha.engine.restart()
        return await pull

    assert here.run(case()).error == "context canceled"
    begun = here.now
    assert alpha.post("pull", model="big").said[-1] == "success"
    assert here.now - begun == pytest.approx(5 if kept else 10, abs=1)


@pytest.mark.parametrize(("times", "lost"), [(1, 1), (3, 1 + 2 + 4)])
def test_a_broken_download_is_tried_again_after_a_while(fleet: Callable[[str], Fleet], times: int, lost: int) -> None:
    here = slow(fleet, f", faults: [{{fault: cut, bytes: 2MB, times: {times}, endpoint: content}}]")
    assert here.hosts["alpha"].post("pull", model="big").said[-1] == "success"
    assert here.now == pytest.approx(10 + lost, abs=1)


def test_a_download_that_always_breaks_is_given_up(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet, ", faults: [{fault: cut, bytes: 0, endpoint: content}]")
    answer = here.hosts["alpha"].post("pull", model="big")
    assert answer.error.startswith("max retries exceeded: ")
    assert here.now == pytest.approx(1 + 2 + 4 + 8 + 16, abs=1)


def test_a_damaged_download(fleet: Callable[[str], Fleet]) -> None:
    here = slow(fleet, ", faults: [{fault: damaged, endpoint: content, times: 1}]")
    alpha = here.hosts["alpha"]
    assert alpha.post("pull", model="big").error.startswith("digest mismatch, file must be downloaded again: ")
    assert alpha.post("pull", model="big").said[-1] == "success"


def test_downloads_can_be_slowed_down(host_of: Callable[..., Talk], depot: Depot) -> None:
    here = host_of(depot, download_rate=800.0)
    begun = here.now
    assert here.post("pull", model="m").said[-1] == "success"
    assert here.now - begun == pytest.approx(10, abs=0.5)


def test_names_are_looked_at_first(host: Callable[..., Talk]) -> None:
    here = host()
    for model in ("", " ", "a//b", "m@sha256:" + "1" * 64):
        answer = here.post("pull", model=model)
        assert (answer.status, answer.error) == (400, "invalid model name")
    assert here.post("pull", model="m:local:cloud").status == 400


def test_markers_are_taken_off(host_of: Callable[..., Talk], depot: Depot) -> None:
    depot.offer("library/m:cloud", CONFIG)
    here = host_of(depot)
    here.post("pull", model="m:local")
    here.post("pull", model="m:cloud")
    assert sorted(here.names()) == ["m:cloud", "m:latest"]


def test_a_manifest_without_layers(host_of: Callable[..., Talk], depot: Depot) -> None:
    depot.manifests["library/m:latest"] = json.dumps({"config": None, "layers": None}).encode()
    here = host_of(depot, "0.9.6")
    assert here.post("pull", model="m").said[-1] == "success"
    stored = here.engine.store.listed()[0][1].raw
    assert stored == b'{"schemaVersion":0,"mediaType":"","config":{"mediaType":"","digest":"","size":0},"layers":null}'
