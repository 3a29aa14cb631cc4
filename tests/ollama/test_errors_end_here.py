"""Whatever the HTTP library, its own libraries or the sockets raise, callers see an error of fleet's."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import anyio
import h11
import httpx2
import pytest

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.client import Client
from fleet.ollama.limits import NO_RETRIES


class Raising(httpx2.AsyncBaseTransport):
    """Fails when asked, or while its reply is read."""

    def __init__(self, error: Exception, *, reading: bool = False) -> None:
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
        yield b'{"status":"pulling manifest"}\n'
        raise self._error


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


LIBRARY = [kind("the library's words") for kind in subclasses(httpx2.RequestError)]
OTHERS: list[Exception] = [
    httpx2.InvalidURL("x"),
    httpx2.StreamClosed(),
    h11.LocalProtocolError("Too much data for declared Content-Length"),
    h11.RemoteProtocolError("x"),
    anyio.BrokenResourceError(),
    ssl.SSLError(1, "x"),
    ssl.SSLCertVerificationError("x"),
    socket.gaierror(-2, "Name or service not known"),
    ConnectionResetError(errno.ECONNRESET, "x"),
    BrokenPipeError(errno.EPIPE, "x"),
    OSError(errno.ENETUNREACH, "x"),
    OSError("without a number"),
    TimeoutError(),
    UnicodeError("label too long"),
    EOFError(),
]


def failed(error: Exception, *, reading: bool, changing: bool) -> Exception:
    async def run() -> Exception:
        endpoint = Endpoint.parse("gpu-a")
        async with Client(endpoint, retries=NO_RETRIES, transport=Raising(error, reading=reading)) as client:
            try:
                _ = [each async for each in client.pull("m")] if changing else await client.tags()
            except Exception as caught:
                return caught
        raise AssertionError

    return asyncio.run(run())


def test_every_error_of_the_library_is_walked() -> None:
    assert len(LIBRARY) >= 15


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("reading", [False, True])
@pytest.mark.parametrize("error", [*LIBRARY, *OTHERS], ids=lambda error: type(error).__name__)
def test_no_foreign_error_comes_through(error: Exception, reading: bool, changing: bool) -> None:
    result = failed(error, reading=reading, changing=changing)
    assert isinstance(result, HostUnreachable | OutcomeUnknown)
    assert "http://gpu-a:11434/api/" in str(result)
    assert result.hint
    if not changing:
        assert isinstance(result, HostUnreachable)


@pytest.mark.parametrize(
    ("error", "changing", "code", "kind"),
    [
        (httpx2.ConnectError("x"), True, Code.UNREACHABLE, HostUnreachable),
        (httpx2.ConnectTimeout("x"), True, Code.NO_ANSWER, HostUnreachable),
        (httpx2.ReadTimeout("x"), True, Code.NO_ANSWER, OutcomeUnknown),
        (httpx2.ReadError("x"), True, Code.STREAM_CUT, OutcomeUnknown),
        (httpx2.WriteError("x"), True, Code.STREAM_CUT, OutcomeUnknown),
        (httpx2.ReadError("x"), False, Code.UNREACHABLE, HostUnreachable),
        (httpx2.RemoteProtocolError("illegal status line"), False, Code.NOT_OLLAMA, HostUnreachable),
        (httpx2.RemoteProtocolError("illegal status line"), True, Code.NOT_OLLAMA, OutcomeUnknown),
        (httpx2.RemoteProtocolError("Receive buffer too long"), False, Code.ANSWER_TOO_LARGE, HostUnreachable),
        (httpx2.DecodingError("x"), False, Code.NOT_OLLAMA, HostUnreachable),
        (httpx2.TooManyRedirects("x"), False, Code.REDIRECTED, HostUnreachable),
        (ssl.SSLError(1, "tlsv1 alert unknown ca"), True, Code.TLS_FAILED, HostUnreachable),
        (socket.gaierror(-2, "x"), False, Code.NAME_NOT_RESOLVED, HostUnreachable),
        (UnicodeError("x"), True, Code.NAME_NOT_RESOLVED, HostUnreachable),
    ],
)
def test_the_code_says_what_broke(error: Exception, changing: bool, code: Code, kind: type[HostError]) -> None:
    result = failed(error, reading=False, changing=changing)
    assert type(result) is kind
    assert isinstance(result, HostError)
    assert result.code is code


def test_the_cause_is_found_below_wrappers_and_groups() -> None:
    error = httpx2.ConnectError("All connection attempts failed")
    group = ExceptionGroup("attempts", [OSError(errno.ENETUNREACH, "x"), socket.gaierror(-2, "Name unknown")])
    error.__cause__ = OSError("wrapped")
    error.__cause__.__cause__ = group
    result = failed(error, reading=False, changing=False)
    assert isinstance(result, HostUnreachable)
    assert result.code is Code.NAME_NOT_RESOLVED
    assert "Name unknown" in str(result)


def test_a_circle_of_causes_ends() -> None:
    first, second = httpx2.ReadError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert isinstance(failed(first, reading=False, changing=False), HostUnreachable)


def test_words_of_the_library_are_cleaned() -> None:
    result = failed(httpx2.ReadError("http://u:hunter2@x/?s=hunter2 \x1b[31m\n"), reading=False, changing=False)
    assert "hunter2" not in str(result)
    assert "\x1b" not in str(result)


@pytest.mark.parametrize("bug", [KeyError("x"), TypeError("x"), ZeroDivisionError()])
@pytest.mark.parametrize("changing", [False, True])
def test_a_bug_stays_a_bug(bug: Exception, changing: bool) -> None:
    assert failed(bug, reading=False, changing=changing) is bug
    assert failed(bug, reading=True, changing=changing) is bug


def test_a_request_that_is_cancelled_stays_cancelled() -> None:
    class Waiting(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await asyncio.Event().wait()
            raise AssertionError

    async def run() -> None:
        async with Client(Endpoint.parse("gpu-a"), transport=Waiting()) as client:
            task = asyncio.create_task(client.tags())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())


def test_a_status_alone_is_enough_for_an_answer_without_body() -> None:
    class Bare(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(418, stream=httpx2.ByteStream(b""))

    async def run() -> None:
        async with Client(Endpoint.parse("gpu-a"), transport=Bare()) as client:
            with pytest.raises(HostAnswered, match="answered 418"):
                await client.tags()

    asyncio.run(run())
