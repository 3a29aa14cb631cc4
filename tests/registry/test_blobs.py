"""Whether servers could pull blobs from a registry: what it answers, and what servers would make of that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fleet.registry.client import Registries
from fleet.registry.served import Blobs
from tests.ollama.sockets import Request, Script, reply
from tests.ollama.sockets import Served as Server
from tests.registry.asking import MANIFEST, TINY, ask

CONFIG_BLOB = f"/v2/team/tiny/blobs/sha256:{'a' * 64}"
"""The smallest, of 340 bytes."""


def handing_out(get: bytes, head: bytes | None = None) -> Script:
    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path.startswith("/v2/team/tiny/manifests/"):
            writer.write(reply(MANIFEST))
        elif request.method == "HEAD":
            writer.write(head or b"HTTP/1.1 200 OK\r\nContent-Length: 340\r\n\r\n")
        else:
            writer.write(get)
        return True

    return script


def sent(status: int, location: str) -> bytes:
    return reply("", status=status, headers=[f"Location: {location}"] if location else [])


async def blobs(asking: Registries, _server: Server) -> Any:
    return await asking.blobs(TINY)


@pytest.mark.parametrize(
    ("status", "location", "pullable", "did"),
    [
        (307, "https://cdn.test/x?Signature=secret", True, "redirects to https://cdn.test"),
        (307, "http://localhost:5000/x", True, "redirects to http://localhost:5000"),
        (200, "https://cdn.test/x", True, "redirects to https://cdn.test"),
        (302, "https://cdn.test/x", False, "answers 302, and servers take nothing but 307"),
        (307, "http://127.0.0.1:9/x", False, "redirects to http://127.0.0.1:9, the same host name"),
        (307, "https://reg.test/x", False, "redirects to https://reg.test, the same host name"),
        (307, "", False, "answers 307 without a `Location` that can be gone to"),
        (307, "ftp://cdn.test/x", False, "answers 307 without a `Location` that can be gone to"),
        (200, "", False, "answers 200 with the blob itself"),
    ],
)
def test_only_a_redirect_to_another_host_name_will_do(status: int, location: str, pullable: bool, did: str) -> None:
    found, server = ask(handing_out(sent(status, location)), blobs)
    assert found == Blobs(pullable=pullable, did=did)
    assert [(one.method, one.path) for one in server.asked][1:] == [("HEAD", CONFIG_BLOB), ("GET", CONFIG_BLOB)]


def test_a_redirect_on_the_same_origin_is_gone_along_with_as_servers_do() -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path == "/elsewhere":
            writer.write(sent(307, "https://cdn.test/x"))
            return True
        return bool(await handing_out(sent(307, "/elsewhere"))(request, writer))

    found, _ = ask(script, blobs)
    assert found == Blobs(pullable=True, did="redirects to https://cdn.test")


def test_circles_have_an_end() -> None:
    found, server = ask(handing_out(sent(307, CONFIG_BLOB)), blobs)
    assert found == Blobs(pullable=False, did="redirects to itself again and again")
    assert len(server.asked) == 7


def test_a_size_that_is_not_told_makes_empty_files() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    found, _ = ask(handing_out(sent(307, "https://cdn.test/x"), head), blobs)
    assert found == Blobs(pullable=False, did="tells nothing as the size of a blob that has 340")


def test_a_size_behind_a_redirect_is_the_others_to_tell() -> None:
    elsewhere = sent(307, "https://cdn.test/x")
    found, _ = ask(handing_out(elsewhere, elsewhere), blobs)
    assert found == Blobs(pullable=True, did="redirects to https://cdn.test")
