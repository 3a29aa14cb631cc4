"""How requests are told apart, and how they are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from fleet.simulate import virtual
from fleet.simulate.calls import Call, host_call, registry_call


def call(method: str, path: str, body: Any = None) -> Call:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return host_call({"method": method, "path": path}, content)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "model"),
    [
        ("GET", "/", None, "root", None),
        ("HEAD", "/api/tags", None, "tags", None),
        ("POST", "/api/show", {"name": "Qwen3"}, "show", "Qwen3:latest"),
        ("POST", "/api/pull", {"model": "a", "name": "b"}, "pull", "a:latest"),
        ("POST", "/api/pull", {"model": "not a name!"}, "pull", "not a name!"),
        ("POST", "/api/copy", {"source": "a", "destination": "x/b:1"}, "copy", "x/b:1"),
        ("DELETE", "/api/delete", {"model": "a"}, "delete", "a:latest"),
        ("POST", "/api/generate", {"model": "a", "prompt": "hi"}, "generate", "a:latest"),
        ("POST", "/api/generate", {"model": "a"}, "load", "a:latest"),
        ("POST", "/api/generate", {"model": "a", "keep_alive": 0}, "unload", "a:latest"),
        ("POST", "/api/generate", {"model": "a", "keep_alive": "0"}, "unload", "a:latest"),
        ("POST", "/api/generate", {"model": "a", "keep_alive": -1}, "load", "a:latest"),
        ("POST", "/api/chat", {"model": "a", "messages": []}, "load", "a:latest"),
        ("POST", "/api/chat", {"model": "a", "messages": [{}]}, "chat", "a:latest"),
        ("POST", "/api/embed", {"model": "a", "input": []}, "load", "a:latest"),
        ("POST", "/api/embeddings", {"model": "a", "prompt": "x"}, "embed", "a:latest"),
        ("HEAD", "/api/blobs/sha256:0", None, "blob_head", None),
        ("POST", "/api/blobs/sha256:0", None, "blob_post", None),
        ("GET", "/api/blobs/sha256:0", None, "other", None),
        ("GET", "/api/pull", None, "other", None),
        ("POST", "/api/pull", b"no json", "pull", None),
        ("POST", "/api/pull", [1], "pull", None),
    ],
)
def test_kind_and_model_of_a_request(method: str, path: str, body: Any, kind: str, model: str | None) -> None:
    found = call(method, path, body)
    assert (found.kind, found.model) == (kind, model)


def test_a_blob_is_known_by_its_digest_in_either_form() -> None:
    assert {call("POST", f"/api/blobs/sha256{mark}12").digest for mark in ":-"} == {"sha256:12"}
    assert call("POST", "/api/create", {"model": "a"}).digest is None


@pytest.mark.parametrize(
    ("path", "body", "stream"),
    [
        ("/api/pull", {"model": "a"}, True),
        ("/api/pull", {"model": "a", "stream": None}, True),
        ("/api/pull", {"model": "a", "stream": False}, False),
        ("/api/show", {"model": "a"}, False),
        ("/api/generate", {"model": "a"}, False),
    ],
)
def test_whether_the_answer_is_a_stream(path: str, body: Any, stream: bool) -> None:
    assert call("POST", path, body).stream is stream


@pytest.mark.parametrize(
    ("method", "path", "kind", "model"),
    [
        ("GET", "/v2/library/qwen3/manifests/8b", "manifest", "qwen3:8b"),
        ("PUT", "/v2/acme/x/manifests/1", "manifest_put", "acme/x:1"),
        ("HEAD", "/v2/acme/x/blobs/sha256:0", "blob_head", "acme/x:latest"),
        ("GET", "/v2/acme/x/blobs/sha256:0", "blob", "acme/x:latest"),
        ("POST", "/v2/acme/x/blobs/uploads/", "upload", "acme/x:latest"),
        ("PATCH", "/v2/acme/x/blobs/uploads/1", "upload", "acme/x:latest"),
        ("GET", "/content/sha256:0", "content", None),
        ("GET", "/token", "token", None),
        ("GET", "/v2/", "other", None),
    ],
)
def test_kind_and_model_of_a_registry_request(method: str, path: str, kind: str, model: str | None) -> None:
    found = registry_call({"method": method, "path": path}, b"")
    assert (found.kind, found.model) == (kind, model)


def test_swallowed_requests_are_counted_and_logged_with_their_fault(scene: Callable[..., Any]) -> None:
    async def case() -> None:
        here = scene([{"fault": "status", "endpoint": "pull"}])
        async with here.client() as client:
            await client.get("/api/tags")
            await client.post("/api/pull", json={"model": "qwen3:8b"})
            await client.post("/api/generate", json={"model": "qwen3:8b", "keep_alive": -1})
        counted = here.journal.counters(["alpha", "beta"])
        assert counted["hosts"]["alpha"] == {"load": 1, "pull": 1, "tags": 1, "changing": 2}
        assert counted["hosts"]["beta"] == {"changing": 0}
        assert counted["total"]["changing"] == 2
        assert here.journal.requests()[1] == {
            "host": "alpha",
            "method": "POST",
            "path": "/api/pull",
            "kind": "pull",
            "model": "qwen3:8b",
            "status": 503,
            "fault": "status",
            "client": "python-httpx2",
            "number": 2,
        }
        here.journal.reset()
        assert (here.journal.requests(), here.journal.counters(["alpha"])["total"]) == ([], {"changing": 0})

    virtual.run(case())


@pytest.mark.parametrize("fault", ["none", "slow", "drip", "escapes", "clean-end", "linger", "missing-blob"])
def test_the_host_reads_the_body_that_the_layer_has_read(scene: Callable[..., Any], fault: str) -> None:
    async def case() -> None:
        here = scene([] if fault == "none" else [{"fault": fault}])
        seen = b""

        async def host(_scope: Any, receive: Any, send: Any) -> None:
            nonlocal seen
            more = True
            while more:
                message = await receive()
                seen += message["body"]
                more = message.get("more_body", False)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        here.host = host
        async with here.client() as client:
            with suppress(httpx2.ReadTimeout):
                await client.post("/api/show", json={"model": "x" * 100_000}, timeout=60)
        assert json.loads(seen) == {"model": "x" * 100_000}

    virtual.run(case())
