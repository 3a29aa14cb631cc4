"""What each fault looks like to a client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from fleet.simulate import virtual

Scenes = Callable[..., Any]
PULL = {"model": "qwen3:8b"}


def answer(scenes: Scenes, fault: dict[str, Any], method: str, path: str, body: Any = None) -> httpx2.Response:
    async def case() -> httpx2.Response:
        async with scenes([fault]).client(read=60) as client:
            reply: httpx2.Response = await client.request(method, path, json=body)
            return reply

    return virtual.run(case())


async def lines_of(reply: httpx2.Response, count: int) -> list[Any]:
    """The first lines of a stream that need not end."""
    found = []
    lines: AsyncIterator[str] = reply.aiter_lines()
    async for line in lines:
        found.append(json.loads(line))
        if len(found) == count:
            break
    return found


async def read_on(client: httpx2.AsyncClient, request: httpx2.Request, found: bytearray, statuses: list[int]) -> None:
    """Reads an answer to its end, or up to where it breaks."""
    reply = await client.send(request, stream=True)
    statuses.append(reply.status_code)
    try:
        async for piece in reply.aiter_bytes():
            found += piece
    finally:
        await reply.aclose()


def stream(scenes: Scenes, fault: dict[str, Any], count: int, path: str = "/api/pull") -> tuple[list[Any], float]:
    """The first lines of a pull, and the seconds they took."""

    async def case() -> tuple[list[Any], float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        async with scenes([fault]).client() as client, client.stream("POST", path, json=PULL) as reply:
            return await lines_of(reply, count), loop.time() - before

    return virtual.run(case())


def test_unreachable_resets_the_connection(scene: Scenes) -> None:
    with pytest.raises(httpx2.ReadError):
        answer(scene, {"fault": "unreachable"}, "GET", "/api/tags")


def test_slow_answers_as_ever_after_its_delay(scene: Scenes) -> None:
    lines, seconds = stream(scene, {"fault": "slow", "delay": "7s"}, 3)
    assert lines[-1] == {"status": "success"}
    assert seconds == pytest.approx(7)


def test_drip_sends_the_whole_answer_byte_by_byte(scene: Scenes) -> None:
    async def case() -> None:
        here = scene([{"fault": "drip", "interval": "2s"}])
        loop = asyncio.get_running_loop()
        async with here.client() as client:
            reply = await client.get("/api/tags")
            assert reply.json()["models"][0]["name"] == "qwen3:8b"
            assert loop.time() == pytest.approx(2 * len(reply.content))

    virtual.run(case())


@pytest.mark.parametrize("headers", [True, False])
def test_silence_says_nothing_after_the_headers_or_nothing_at_all(scene: Scenes, headers: bool) -> None:
    async def case() -> None:
        here = scene([{"fault": "silence", "headers": headers}])
        async with here.client(read=30) as client:
            statuses: list[int] = []
            with pytest.raises(httpx2.ReadTimeout):
                await read_on(client, client.build_request("GET", "/api/tags"), bytearray(), statuses)
        assert statuses == ([200] if headers else [])
        assert asyncio.get_running_loop().time() == pytest.approx(30, abs=2)

    virtual.run(case())


def test_stall_ticks_for_ever_with_one_value(scene: Scenes) -> None:
    lines, seconds = stream(scene, {"fault": "stall", "part": 0.25}, 500)
    assert lines[0] == {"status": "pulling manifest"}
    expected = {"status": "pulling abababababab", "digest": "sha256:" + "ab" * 32, "total": 1000, "completed": 250}
    assert lines[1:] == [expected] * 499
    assert seconds == pytest.approx(498 * 0.06)


def test_stall_at_the_very_start_has_no_completed(scene: Scenes) -> None:
    lines, _ = stream(scene, {"fault": "stall", "part": 0}, 3)
    assert "completed" not in lines[2]


def test_trickle_grows_slowly_and_never_ends(scene: Scenes) -> None:
    lines, seconds = stream(scene, {"fault": "trickle", "part": 0.5, "bytes": 2, "interval": "10s"}, 5)
    assert [line["completed"] for line in lines[1:]] == [500, 502, 504, 506]
    assert seconds == pytest.approx(30)


def test_trickle_stops_below_the_total(scene: Scenes) -> None:
    lines, _ = stream(scene, {"fault": "trickle", "bytes": 400}, 10)
    assert {line["completed"] for line in lines[3:]} == {999}


@pytest.mark.parametrize("kind", ["stall", "trickle"])
@pytest.mark.parametrize(("path", "stream"), [("/api/pull", False), ("/api/generate", True)])
def test_stall_of_what_tells_no_progress_is_silence(scene: Scenes, kind: str, path: str, stream: bool) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        answer(scene, {"fault": kind}, "POST", path, {**PULL, "stream": stream})


def broken_off(scenes: Scenes, fault: dict[str, Any]) -> bytes:
    """What of a pull arrives before the connection breaks."""

    async def case() -> bytes:
        found = bytearray()
        async with scenes([fault]).client() as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await read_on(client, client.build_request("POST", "/api/pull", json=PULL), found, [])
        return bytes(found)

    return virtual.run(case())


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_cut_breaks_off_after_so_many_lines(scene: Scenes, count: int) -> None:
    found = broken_off(scene, {"fault": "cut", "lines": count})
    assert (found.count(b"\n"), found.endswith(b"\n") or not found) == (count, True)


@pytest.mark.parametrize("size", [0, 1, 37, 10_000])
def test_cut_breaks_off_after_so_many_bytes(scene: Scenes, size: int) -> None:
    whole = answer(scene, {"fault": "slow", "delay": 0}, "POST", "/api/pull", PULL).content
    assert broken_off(scene, {"fault": "cut", "bytes": size}) == whole[:size]


def test_clean_end_keeps_the_success_to_itself(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "clean-end"}, "POST", "/api/pull", PULL)
    assert [json.loads(line)["status"] for line in reply.iter_lines()] == ["pulling manifest", "writing manifest"]


def test_clean_end_may_come_earlier(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "clean-end", "lines": 1}, "POST", "/api/pull", PULL)
    assert reply.text == '{"status": "pulling manifest"}\n'


def test_linger_tells_everything_and_does_not_end(scene: Scenes) -> None:
    lines, _ = stream(scene, {"fault": "linger"}, 3)
    assert lines[-1] == {"status": "success"}
    with pytest.raises(httpx2.ReadTimeout):
        answer(scene, {"fault": "linger"}, "POST", "/api/pull", PULL)


def test_error_line_ends_the_stream(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "error-line", "message": "boom", "lines": 2}, "POST", "/api/pull", PULL)
    lines = [json.loads(line) for line in reply.iter_lines()]
    assert (reply.status_code, lines[0], lines[1]["completed"]) == (200, {"status": "pulling manifest"}, 100)
    assert lines[2:] == [{"error": "boom"}]


def test_error_may_be_followed_by_success(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "error-then-success", "message": "boom"}, "POST", "/api/push", PULL)
    lines = [json.loads(line) for line in reply.iter_lines()]
    assert lines == [{"status": "retrieving manifest"}, {"error": "boom"}, {"status": "success"}]


def test_error_without_a_stream_is_500(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "error-line", "message": "boom"}, "DELETE", "/api/delete", PULL)
    assert (reply.status_code, reply.json()) == (500, {"error": "boom"})


@pytest.mark.parametrize(
    ("fault", "status", "text", "retry"),
    [
        ({}, 503, '{"error":"the simulator was told to fail"}', None),
        ({"status": 403, "body": ""}, 403, "", None),
        ({"status": 502, "body": "<h1>Bad Gateway</h1>"}, 502, "<h1>Bad Gateway</h1>", None),
        ({"status": 429, "retry_after": 7}, 429, '{"error":"the simulator was told to fail"}', "7"),
    ],
)
def test_status_is_as_asked(scene: Scenes, fault: dict[str, Any], status: int, text: str, retry: str | None) -> None:
    reply = answer(scene, {"fault": "status", **fault}, "GET", "/api/tags")
    assert (reply.status_code, reply.text, reply.headers.get("retry-after")) == (status, text, retry)


def test_a_redirect_is_a_status_too(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "status", "status": 302, "location": "http://login/"}, "GET", "/api/tags")
    assert (reply.status_code, reply.headers["location"]) == (302, "http://login/")


@pytest.mark.parametrize(("path", "file"), [("/api/pull", "-partial"), ("/api/create", "blobs/sha256-3141592653")])
def test_full_disk_ends_a_stream_in_the_servers_words(scene: Scenes, path: str, file: str) -> None:
    reply = answer(scene, {"fault": "full-disk"}, "POST", path, PULL)
    assert json.loads(reply.text.splitlines()[-1])["error"].endswith(f"{file}: no space left on device")


def test_full_disk_refuses_a_blob(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "full-disk"}, "POST", "/api/blobs/sha256:" + "0" * 64)
    assert (reply.status_code, reply.json()["error"].endswith("no space left on device")) == (500, True)


def test_full_disk_does_not_mind_reading(scene: Scenes) -> None:
    assert answer(scene, {"fault": "full-disk"}, "GET", "/api/tags").json()["models"][1]["name"] == "phi4:14b"


def test_html_is_200_of_something_else(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "html"}, "GET", "/api/tags")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.text.startswith("<!DOCTYPE html>")


def test_wrong_json_is_json_of_another_shape(scene: Scenes) -> None:
    assert answer(scene, {"fault": "wrong-json"}, "GET", "/api/tags").json() == []
    assert answer(scene, {"fault": "wrong-json", "body": '{"models":7}'}, "GET", "/api/tags").json() == {"models": 7}


def test_huge_goes_on_without_a_line_end(scene: Scenes) -> None:
    async def case() -> int:
        size = 0
        async with scene([{"fault": "huge"}]).client() as client, client.stream("GET", "/api/tags") as reply:
            async for piece in reply.aiter_bytes():
                assert b"\n" not in piece
                size += len(piece)
                if size > 5_000_000:
                    break
        return size

    assert virtual.run(case()) > 5_000_000


def test_huge_may_have_an_end(scene: Scenes) -> None:
    assert len(answer(scene, {"fault": "huge", "bytes": "100KB"}, "GET", "/api/tags").content) == 100_020


def test_escapes_are_in_texts_of_a_stream(scene: Scenes) -> None:
    reply = answer(scene, {"fault": "escapes", "text": "\x1b[2J"}, "POST", "/api/pull", PULL)
    assert json.loads(reply.text.splitlines()[0])["status"] == "\x1b[2Jpulling manifest"


def test_escapes_add_a_hostile_name_to_a_listing_and_leave_the_others(scene: Scenes) -> None:
    models = answer(scene, {"fault": "escapes", "text": "\x1b[2J"}, "GET", "/api/tags").json()["models"]
    assert [model["name"] for model in models] == ["qwen3:8b", "phi4:14b", "\x1b[2Jhostile:latest"]


def test_forget_leaves_out_an_entry_once(scene: Scenes) -> None:
    async def case() -> list[list[str]]:
        async with scene([{"fault": "forget", "model": "qwen3"}]).client() as client:
            replies = [(await client.get("/api/tags")).json()["models"] for _ in range(2)]
            return [[model["name"] for model in models] for models in replies]

    assert virtual.run(case()) == [["phi4:14b"], ["qwen3:8b", "phi4:14b"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "/api/pull", {"stream": False}, 200, {"status": "success"}),
        ("POST", "/api/copy", {"source": "a", "destination": "b"}, 200, None),
        ("DELETE", "/api/delete", {}, 200, None),
        ("POST", "/api/blobs/sha256:" + "0" * 64, None, 201, None),
        ("POST", "/api/generate", {}, 200, "load"),
        ("POST", "/api/generate", {"keep_alive": 0}, 200, "unload"),
    ],
)
def test_lie_success_says_it_was_done_and_does_nothing(
    scene: Scenes, method: str, path: str, body: Any, status: int, told: Any
) -> None:
    async def case() -> None:
        here = scene([{"fault": "lie-success"}])
        async with here.client() as client:
            reply = await client.request(method, path, json=None if body is None else {**PULL, **body})
            assert (reply.status_code, here.done) == (status, [])
            if isinstance(told, str):
                assert reply.json()["done_reason"] == told
            elif told:
                assert reply.json() == told
            else:
                assert reply.content == b""

    virtual.run(case())


def test_lie_success_tells_a_whole_stream(scene: Scenes) -> None:
    lines = [
        json.loads(line) for line in answer(scene, {"fault": "lie-success"}, "POST", "/api/pull", PULL).iter_lines()
    ]
    assert lines[1]["completed"] == lines[1]["total"] == 1000
    assert [line["status"] for line in lines[2:]] == ["verifying sha256 digest", "writing manifest", "success"]


def test_lie_success_has_nothing_to_say_about_reading(scene: Scenes) -> None:
    assert answer(scene, {"fault": "lie-success"}, "GET", "/api/tags").json()["models"]


@pytest.mark.parametrize(
    ("fault", "path", "done"),
    [
        ({"fault": "missing-blob"}, "/api/show", ["break qwen3:8b", "POST /api/show"]),
        ({"fault": "evict", "model": "phi4"}, "/api/show", ["evict phi4", "POST /api/show"]),
    ],
)
def test_state_is_changed_before_the_host_answers(
    scene: Scenes, fault: dict[str, Any], path: str, done: list[str]
) -> None:
    async def case() -> list[str]:
        here = scene([fault])
        async with here.client() as client:
            await client.post(path, json=PULL)
        found: list[str] = here.done
        return found

    assert virtual.run(case()) == done


def test_restart_during_breaks_the_stream_and_restarts_once(scene: Scenes) -> None:
    async def case() -> None:
        here = scene([{"fault": "restart-during", "lines": 2}])
        async with here.client() as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.post("/api/pull", json=PULL)
            assert here.done == ["POST /api/pull", "restart"]
            assert (await client.post("/api/pull", json=PULL)).text.endswith('"success"}\n')

    virtual.run(case())


def test_restart_before_restarts_and_then_lets_the_host_answer(scene: Scenes) -> None:
    async def case() -> None:
        here = scene([{"fault": "restart-before", "endpoint": "create", "idle": "2h"}])
        async with here.client() as client:
            for _ in range(2):
                assert (await client.post("/api/create", json={"model": "m"})).status_code == 200
        assert here.done == ["restart after 7200 s unnoticed", "POST /api/create", "POST /api/create"]

    virtual.run(case())


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        ({"files": {"a": "sha256:1"}, "adapters": {"b": "sha256:2"}, "draft_files": {"c": "sha256:3"}}, "123"),
        ({"modelfile": f"FROM @sha256:{'4' * 64}\nADAPTER @sha256-{'5' * 64}"}, ["4" * 64, "5" * 64]),
        ({"from": "base", "files": None, "modelfile": 5}, ""),
    ],
)
def test_lost_upload_takes_away_what_a_create_names(scene: Scenes, body: dict[str, Any], lost: Any) -> None:
    async def case() -> None:
        here = scene([{"fault": "lost-upload", "endpoint": "create"}])
        async with here.client() as client:
            await client.post("/api/create", json={"model": "m", **body})
        took = [done.replace("sha256-", "sha256:") for done in here.done[:-1]]
        assert took == [f"lose sha256:{digest}" for digest in lost]

    virtual.run(case())


def test_lost_answer_does_what_was_asked_and_says_nothing(scene: Scenes) -> None:
    async def case() -> None:
        here = scene([{"fault": "lost-answer"}])
        async with here.client() as client:
            with pytest.raises(httpx2.ReadError):
                await client.post("/api/pull", json=PULL)
        assert here.done == ["POST /api/pull"]
        assert here.journal.requests()[0]["status"] == 0

    virtual.run(case())


def test_a_trickling_upload_takes_as_long_as_its_rate_says(scene: Scenes) -> None:
    async def case() -> float:
        here = scene([{"fault": "trickle", "endpoint": "blob_post", "part": 0.5, "bytes": 10, "interval": "1s"}])
        loop, taken = asyncio.get_running_loop(), asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield bytes(100)
            taken.set()

        async with here.client() as client:
            length = {"Content-Length": "1000"}
            upload = client.post(f"/api/blobs/sha256:{'0' * 64}", content=pieces(), headers=length)
            task = asyncio.create_task(upload)
            await taken.wait()
            assert not (await asyncio.wait({task}, timeout=3600))[0], "it is never answered"
            task.cancel()
        assert here.done == []
        return loop.time() - 3600

    assert virtual.run(case()) == pytest.approx(50, abs=15)
