"""Pushes (`ollama-api.md` 10.9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulate.host.depot import Depot
from tests.simulate.host.talking import Fleet, Talk

NAME = "localhost:5000/team/m"


@pytest.fixture
def held(host_of: Callable[..., Talk]) -> Callable[..., Talk]:
    """A host that holds a model named for the registry."""

    def make(depot: Depot, version: str = "0.32.15") -> Talk:
        here = host_of(depot, version)
        here.seed(NAME, system="Be kind.")
        return here

    return make


def digests(here: Talk) -> list[str]:
    """Of all layers, the config last."""
    _, _, manifest = here.engine.store.listed()[0]
    return [layer.digest for layer in manifest.all_layers]


def accepting(depot: Depot) -> Depot:
    """A registry that takes everything, the manifest with 201."""
    depot.replies["POST /v2/team/m/blobs/uploads/"] = (202, {"location": "/v2/team/m/blobs/uploads/1"}, b"")
    depot.replies["PATCH /v2/team/m/blobs/uploads/1"] = (
        202,
        {"docker-upload-location": "/v2/team/m/blobs/uploads/2"},
        b"",
    )
    depot.replies["PUT /v2/team/m/blobs/uploads/2"] = (201, {}, b"")
    depot.replies["PUT /v2/team/m/manifests/latest"] = (201, {}, b"")
    return depot


def test_what_a_push_says_and_asks(held: Callable[..., Talk]) -> None:
    depot = accepting(Depot())
    here = held(depot)
    lines = here.post("push", model=NAME, insecure=True).lines
    weights, system, config = digests(here)
    totals = {line["digest"]: (line["total"], line["completed"]) for line in lines if "digest" in line}
    assert list(totals) == [weights, system, config]
    assert totals[weights] == (4096, 4096)
    told = [line["status"] for line in lines if "digest" not in line]
    assert told == ["retrieving manifest", "pushing manifest", "success"]
    each = ["HEAD", "POST", "PATCH", "PUT"]
    assert [asked.split()[0] for asked in depot.asked] == each * 3 + ["PUT"]
    assert depot.headers[2]["content-range"] == "0-4095"
    assert depot.headers[2]["x-redirect-uploads"] == "1"


def test_what_the_registry_has_is_not_sent(held: Callable[..., Talk]) -> None:
    depot = accepting(Depot())
    here = held(depot)
    for digest in digests(here):
        depot.blobs[digest] = b"known"
    assert here.post("push", model=NAME, insecure=True).said[-1] == "success"
    assert [asked.split()[0] for asked in depot.asked] == ["HEAD", "HEAD", "HEAD", "PUT"]


def test_parts_may_be_redirected(held: Callable[..., Talk]) -> None:
    depot = accepting(Depot())
    there = {"location": "http://127.0.0.1:5000/store", "docker-upload-location": "http://127.0.0.1:5000/store"}
    depot.replies["PATCH /v2/team/m/blobs/uploads/1"] = (307, there, b"")
    depot.replies["PUT /store"] = (201, {"location": "http://localhost:5000/v2/team/m/blobs/uploads/2"}, b"")
    here = held(depot)
    assert here.post("push", model=NAME, insecure=True).said[-1] == "success"
    assert depot.asked.count("PUT /store") == 3


def test_a_layer_of_another_repository_is_mounted(host_of: Callable[..., Talk]) -> None:
    depot = accepting(Depot())
    here = host_of(depot)
    here.seed(NAME, parent="localhost:5000/team/base:latest")
    depot.replies["POST /v2/team/m/blobs/uploads/"] = (201, {}, b"")
    assert here.post("push", model=NAME, insecure=True).said[-1] == "success"
    assert not [asked for asked in depot.asked if asked.startswith("PATCH")]


@pytest.mark.parametrize(
    ("asked", "reply", "error"),
    [
        ("POST /v2/team/m/blobs/uploads/", (403, {}, b"denied"), "403: denied"),
        ("PATCH /v2/team/m/blobs/uploads/1", (500, {}, b"x"), "max retries exceeded: http status 500 Internal Server Error: x"),
        ("PUT /v2/team/m/blobs/uploads/2", (400, {}, b"bad"), "max retries exceeded: 400: bad"),
        ("PUT /v2/team/m/manifests/latest", (404, {}, b""), "file does not exist"),
    ],
)  # fmt: skip
def test_refusals(held: Callable[..., Talk], asked: str, reply: tuple[int, dict[str, str], bytes], error: str) -> None:
    depot = accepting(Depot())
    depot.replies[asked] = reply
    assert held(depot).post("push", model=NAME, insecure=True).error == error


def test_a_registry_without_tls(held: Callable[..., Talk]) -> None:
    here = held(Depot())
    start = f'Head "https://localhost:5000/v2/team/m/blobs/{digests(here)[0]}": '
    assert here.post("push", model=NAME).error == f"{start}EOF"


@pytest.mark.parametrize(
    ("version", "model", "said"),
    [
        ("0.32.15", "ghost", "! open /var/lib/ollama/models/manifests/registry.ollama.ai/library/ghost/latest: no such file or directory"),
        ("0.14.3", "a//b", "! file does not exist"),
        ("0.15.0", "a//b", "! unqualified name: a/!MISSING!/b:latest"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_pushed(host: Callable[..., Talk], version: str, model: str, said: str) -> None:
    answer = host(version).post("push", model=model)
    assert answer.said[:2] == ["retrieving manifest", "couldn't retrieve manifest"]
    assert answer.said[2] == said


def test_a_model_is_required(host: Callable[..., Talk]) -> None:
    answer = host().post("push", model="")
    assert (answer.status, answer.error) == (400, "model is required")


def test_what_was_pushed_can_be_pulled(fleet: Callable[[str], Fleet]) -> None:
    here = fleet("hosts: {alpha: {version: 0.9.6, models: {own: {size: 3MB}}}, beta: {}}\nregistry: {models: {}}")
    name = f"{here.registry}/team/own:1"
    alpha, beta = here.hosts["alpha"], here.hosts["beta"]
    alpha.post("copy", source="own", destination=name)
    lines = alpha.post("push", model=name, insecure=True).lines
    assert lines[-1] == {"status": "success"}
    assert beta.post("pull", model=name, insecure=True).said[-1] == "success"
    held = [talk.state()["models"][name] for talk in (alpha, beta)]
    assert held[0]["layers"] == held[1]["layers"]


def test_progress_of_a_slow_push(fleet: Callable[[str], Fleet]) -> None:
    here = fleet(
        "hosts: {alpha: {models: {own: {size: 3MB}}}}\n"
        "registry: {models: {}, faults: [{fault: slow, delay: 2, endpoint: upload, times: 3}]}"
    )
    alpha = here.hosts["alpha"]
    name = f"{here.registry}/team/own:1"
    alpha.post("copy", source="own", destination=name)
    lines = alpha.post("push", model=name, insecure=True).lines
    assert lines[-1] == {"status": "success"}
    assert len(lines) > 2 / 0.06
