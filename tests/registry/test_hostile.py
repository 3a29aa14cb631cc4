"""Registries that mean harm, or are something else: every one ends in a value, soon, and in little memory."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import h11
import httpx2
import pytest

from fleet.codes import Code
from fleet.names import ModelName
from fleet.registry.client import Registries
from fleet.registry.served import Published, Served, Unpublished
from tests.ollama.sockets import Request, Script, always, reply, serving
from tests.ollama.sockets import Served as Server
from tests.ollama.test_tls import folder, server_context
from tests.registry.asking import MANIFEST, TINY, ask, registries, url

__all__ = ["folder"]


async def tiny(asking: Registries, _server: Server) -> Served:
    return await asking.served(TINY)


def trouble(script: Script, code: Code = Code.REGISTRY_TROUBLE, **limits: float) -> str:
    found, _ = ask(script, tiny, **limits)
    assert isinstance(found, Unpublished)
    assert found.code is code
    return found.message


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Script:
    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_an_endless_body_is_read_up_to_the_limit_and_no_further() -> None:
    tracemalloc.start()
    try:
        told = trouble(endless(CHUNKED, b"10000\r\n" + b" " * 0x10000 + b"\r\n"))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert told.endswith("the reply has more than 4,194,304 bytes")


def test_an_endless_error_is_cut() -> None:
    head = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert "answered 403" in trouble(endless(head, b"10000\r\n" + b"x" * 0x10000 + b"\r\n"), Code.REGISTRY_UNAUTHORIZED)


def test_a_drip_has_an_end() -> None:
    told = trouble(endless(CHUNKED, b"1\r\n \r\n", 0.01), answer=0.2)
    assert told.endswith("no whole answer within 0.2s")


def test_silence_has_an_end() -> None:
    assert "no whole answer within 0.1s" in trouble(endless(b"", b"", 0.01), answer=0.1)


def test_early_hints_for_ever_have_an_end() -> None:
    assert "within 0.2s" in trouble(endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.005), answer=0.2)


def test_a_head_without_end_is_too_long() -> None:
    assert "the head of the reply is too long" in trouble(endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536))


def test_compression_is_refused() -> None:
    assert "it compressed a reply" in trouble(always(reply(b"\x1f\x8b", headers=["Content-Encoding: gzip"])))


def test_what_is_no_http_is_told() -> None:
    assert "is no HTTP" in trouble(always(b"220 mail.test ESMTP\r\n\r\n", keep=False))


def test_a_captive_portal_is_no_model() -> None:
    page = reply("<html><script>location='//evil.test'</script>", kind="text/html")
    assert "no image manifest of a model: it is no JSON" in trouble(always(page), Code.NO_MODEL_SERVED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://127.0.0.2:5000/v2/?token=secret", "to http://127.0.0.2:5000, which"),
        ("https://cdn.test/x", "to https://cdn.test, which"),
        ("/v2/other/manifests/1", "to http://127.0.0.1:"),
        ("http://user:secret@evil.test/", "nowhere"),
        ("http://[::1/", "nowhere"),
        ("", "to http://127.0.0.1:"),
    ],
)
def test_redirects_are_not_followed(status: int, location: str, shown: str) -> None:
    found, server = ask(always(reply("", status=status, headers=[f"Location: {location}"])), tiny)
    assert isinstance(found, Unpublished)
    assert found.code is Code.REGISTRY_TROUBLE
    assert shown in found.message
    assert "not followed" in found.message
    assert "secret" not in found.message
    assert len(server.asked) == 1


class Named(httpx2.AsyncBaseTransport):
    """Answers for names, as no test could have them resolved: URL → status, `Location`, body."""

    def __init__(self, answers: dict[str, tuple[int, str, bytes]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        status, location, body = self._answers[str(request.url)]
        return httpx2.Response(
            status, headers={"Location": location} if location else {}, stream=httpx2.ByteStream(body)
        )


def named(name: str, answers: dict[str, tuple[int, str, bytes]]) -> tuple[Served, list[str]]:
    async def run() -> tuple[Served, list[str]]:
        transport = Named(answers)
        async with registries({}, transport=transport) as asking:
            return await asking.served(ModelName.parse(name)), transport.asked

    return asyncio.run(run())


def test_hugging_face_may_send_from_one_of_its_names_to_the_other() -> None:
    path = "/v2/team/tiny/manifests/1"
    found, asked = named(
        "hf.co/team/tiny:1",
        {
            f"https://hf.co{path}": (307, f"https://huggingface.co{path}", b""),
            f"https://huggingface.co{path}": (200, "", MANIFEST),
        },
    )
    assert isinstance(found, Published)
    assert asked == [f"https://hf.co{path}", f"https://huggingface.co{path}"]


@pytest.mark.parametrize(
    "location", ["http://huggingface.co/x", "https://huggingface.co:8443/x", "https://evil.test/x", "https://hf.co/x"]
)
def test_and_nowhere_else(location: str) -> None:
    found, asked = named("hf.co/team/tiny:1", {"https://hf.co/v2/team/tiny/manifests/1": (302, location, b"")})
    assert isinstance(found, Unpublished)
    assert len(asked) == 1


def test_nor_back_again() -> None:
    path = "/v2/team/tiny/manifests/1"
    found, asked = named(
        "hf.co/team/tiny:1",
        {
            f"https://hf.co{path}": (307, f"https://huggingface.co{path}", b""),
            f"https://huggingface.co{path}": (307, f"https://hf.co{path}", b""),
        },
    )
    assert isinstance(found, Unpublished)
    assert len(asked) == 2


def test_ollamas_registry_is_asked_by_its_name_over_tls() -> None:
    found, asked = named(
        "llama3", {"https://registry.ollama.ai/v2/library/llama3/manifests/latest": (404, "", b"not found")}
    )
    assert asked == ["https://registry.ollama.ai/v2/library/llama3/manifests/latest"]
    assert isinstance(found, Unpublished)
    assert found.message.startswith("Ollama's registry has no `llama3:latest`: https://registry.ollama.ai/v2/")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificates")
def test_a_certificate_that_nobody_vouches_for_ends_it_without_plain_http(folder: Path) -> None:
    async def run() -> tuple[Served, Server]:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with (
            serving(always(reply(MANIFEST)), tls=server_context(folder, "server")) as server,
            registries({"reg.test": url(server)}) as asking,
        ):
            return await asking.served(TINY), server

    found, server = asyncio.run(run())
    assert isinstance(found, Unpublished)
    assert "the TLS connection failed" in found.message
    assert "insecure: true" in str(found.hint)
    assert server.asked == []


def test_a_registry_without_tls_is_told_as_such() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async def run() -> Served:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, registries({"reg.test": f"https://127.0.0.1:{port}"}) as asking:
            return await asking.served(TINY)

    found = asyncio.run(run())
    assert isinstance(found, Unpublished)
    assert "the TLS connection failed" in found.message
    assert "insecure: true" in str(found.hint)


class Raising(httpx2.AsyncBaseTransport):
    """Fails when asked, or while its reply is read."""

    def __init__(self, error: Exception, *, reading: bool) -> None:
        self._error = error
        self._reading = reading

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._reading:
            raise self._error
        return httpx2.Response(200, stream=_Broken(self._error))


class _Broken(httpx2.AsyncByteStream):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise self._error


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


LIBRARY = [kind("the library's words") for kind in subclasses(httpx2.RequestError)]
OTHERS: list[Exception] = [
    httpx2.InvalidURL("x"),
    httpx2.StreamClosed(),
    h11.LocalProtocolError("x"),
    h11.RemoteProtocolError("x"),
    anyio.BrokenResourceError(),
    ssl.SSLError(1, "x"),
    socket.gaierror(-2, "Name or service not known"),
    ConnectionResetError(errno.ECONNRESET, "x"),
    OSError(errno.ENETUNREACH, "x"),
    TimeoutError(),
    UnicodeError("label too long"),
    EOFError(),
]


@pytest.mark.parametrize("reading", [False, True])
@pytest.mark.parametrize("error", [*LIBRARY, *OTHERS], ids=lambda error: type(error).__name__)
def test_no_foreign_error_comes_through(error: Exception, reading: bool) -> None:
    async def run() -> Served:
        async with registries({}, transport=Raising(error, reading=reading)) as asking:
            return await asking.served(TINY)

    found = asyncio.run(run())
    assert isinstance(found, Unpublished)
    assert "https://reg.test" in found.message
    assert found.hint


def test_a_fault_of_fleet_itself_is_not_taken_for_the_registrys() -> None:
    async def run() -> Served:
        async with registries({}, transport=Raising(KeyError("x"), reading=False)) as asking:
            return await asking.served(TINY)

    with pytest.raises(KeyError):
        asyncio.run(run())
