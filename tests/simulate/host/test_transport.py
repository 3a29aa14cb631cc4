"""Methods, paths, headers (`ollama-api.md` 1), and bodies of every kind: a host always answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from fleet.simulate.versions import Behaviour
from tests.simulate.host.talking import Place, Talk


@pytest.mark.parametrize(
    ("method", "path", "status", "content_type", "body"),
    [
        ("GET", "/", 200, "text/plain; charset=utf-8", b"Ollama is running"),
        ("HEAD", "/", 200, "text/plain; charset=utf-8", b""),
        ("HEAD", "/api/tags", 200, "application/json; charset=utf-8", b""),
        ("GET", "/api/version", 200, "application/json; charset=utf-8", b'{"version":"0.32.15"}'),
        ("GET", "/api/nope", 404, "text/plain", b"404 page not found"),
        ("GET", "/api/blobs/", 404, "text/plain", b"404 page not found"),
        ("PUT", "/api/ps", 405, "text/plain", b"405 method not allowed"),
        ("GET", "/api/tags/", 301, "text/html; charset=utf-8", b'<a href="/api/tags">Moved Permanently</a>.\n\n'),
        ("POST", "/api/show/", 307, None, b""),
        ("DELETE", "/api/show/", 404, "text/plain", b"404 page not found"),
        ("GET", "/api//tags", 301, "text/html; charset=utf-8", b'<a href="/api/tags">Moved Permanently</a>.\n\n'),
        ("POST", "/api/me", 500, "application/json; charset=utf-8", b'{"error":"the simulated host has no account"}'),
        ("GET", "/api/status", 200, "application/json; charset=utf-8", b'{"cloud":{"disabled":false,"source":"none"}}'),
    ],
)
def test_paths_and_methods(
    host: Callable[..., Talk], method: str, path: str, status: int, content_type: str | None, body: bytes
) -> None:
    answer = host().ask(method, path)
    assert (answer.status, answer.content_type, answer.body) == (status, content_type, body)


def test_a_wrong_method_is_told_the_right_ones(host: Callable[..., Talk]) -> None:
    assert host().ask("POST", "/api/tags").headers["allow"] == "GET, HEAD"
    assert host("0.6.8").ask("POST", "/api/tags").status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://127.0.0.1"}, 200),
        ({"Origin": "app://obsidian"}, 200),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://ollama.internal", "Host": "ollama.internal"}, 200),
        ({"Host": "10.0.0.7:11434"}, 200),
        ({"Host": "[::1]:11434"}, 200),
        ({"Host": "0.0.0.0"}, 200),
        ({"Host": "8.8.8.8"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "my.localhost"}, 200),
        ({"Host": ""}, 200),
    ],
)
def test_who_may_ask(host: Callable[..., Talk], headers: dict[str, str], status: int) -> None:
    answer = host().ask("GET", "/api/version", headers=headers)
    assert answer.status == status
    if status == 403:
        assert (answer.body, answer.content_type) == (b"", None)


def test_errors_within_a_stream(host: Callable[..., Talk]) -> None:
    """A status up front where the error comes first; since 0.12.6 nothing follows an error."""
    for version, status in (("0.12.5", 200), ("0.12.6", 400)):
        here = host(version)
        here.seed("base")
        answer = here.create("m", from_="base", template="{{ .X")
        assert answer.lines[-1].get("status", 0) in {400, 0}
        first = here.create("m", from_="a//b")
        assert first.status == status
        assert first.content_type == ("application/x-ndjson" if status == 200 else "application/json")
        assert ("status" in first.lines[0]) is (status == 200)


@pytest.mark.parametrize("version", ["0.3.4", "v0.32.15", "0.12.6-rc1", "0.5.13+build", "dev"])
def test_versions_are_told_as_they_are_given(host: Callable[..., Talk], version: str) -> None:
    assert host(version).get("version").json == {"version": version}


@pytest.mark.parametrize(
    ("version", "release"), [("0.12.6-rc1", (0, 12, 6)), ("0.0.0", (999, 0, 0)), ("nightly", (999, 0, 0))]
)
def test_versions_are_compared_by_their_release(version: str, release: tuple[int, int, int]) -> None:
    assert Behaviour.of(version).release == release


def test_versions_before_0_3_4_are_not_known() -> None:
    with pytest.raises(ValueError, match=r"`0\.3\.3` is older than 0\.3\.4"):
        Behaviour.of("0.3.3")


PATHS = ["show", "pull", "push", "create", "copy", "generate", "chat", "embed", "embeddings", "delete"]
KEYS = ["model", "name", "from", "files", "source", "destination", "prompt", "messages", "keep_alive", "options", "stream",
        "system", "template", "license", "parameters", "input", "modelfile", "quantize", "adapters", "info", "remote_host",
        "think", "format", "renderer", "suffix", "context", "raw", "insecure", "verbose", "tools"]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["m", "M", "a//b", "m:local", "m:cloud", "FROM m\nSYSTEM x", "q8_0", "{{ .X", "1h", "-1", "sha256:" + "0" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "stop", "num_ctx", "a.gguf", "x"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6).map(lambda body: json.dumps({"model": "m", **body}))
EVERYWHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)


@EVERYWHERE
@given(st.sampled_from(["0.3.4", "0.5.4", "0.9.6", "0.12.5", "0.24.0", "0.32.15"]), st.lists(st.tuples(st.sampled_from(PATHS), BODIES | st.text(max_size=20)), min_size=1, max_size=4))  # fmt: skip
def test_a_host_answers_whatever_it_is_asked(place: Place, version: str, calls: list[tuple[str, str]]) -> None:
    here = place.host(version)
    here.seed("m")
    for path, body in calls:
        answer = here.ask("DELETE" if path == "delete" else "POST", f"/api/{path}", body.encode("utf-8", "replace"))
        assert answer.status in {200, 400, 404, 500, 501, 502}
        assert all(isinstance(line, dict) for line in answer.lines)
        if answer.status != 200:
            assert answer.error
    assert here.get("tags").status == here.get("ps").status == 200


@EVERYWHERE
@given(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]), st.text(max_size=20).map(quote))
def test_every_path_has_an_answer(place: Place, method: str, path: str) -> None:
    answer = place.host().ask(method, f"/{path.lstrip('/')}")
    assert answer.status in {200, 301, 307, 400, 404, 405} or (answer.status, path) == (500, "api/me")


def test_a_client_that_leaves_before_its_body_is_there_gets_nothing(host: Callable[..., Talk]) -> None:
    here = host()
    for path, sent in (("/api/pull", []), (f"/api/blobs/sha256:{'0' * 64}", [500])):
        found: list[Message] = []
        here.run(left(here, path, found))
        assert [message["status"] for message in found if "status" in message] == sent


async def left(here: Talk, path: str, found: list[Message]) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        found.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": []}
    await here.engine(scope, receive, send)
    await here.engine({"type": "websocket"}, receive, send)
