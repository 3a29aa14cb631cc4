"""The HTTP to one host: the only module that knows the HTTP library, and the place where its errors end.

Requests go to the library's transport itself: its client adds nothing that fleet wants (redirects, cookies, proxies
and credentials from the environment, decompression) and costs a quarter more (`docs/performance.md`).
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any

import httpx2

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.lookup import addresses_found
from fleet.ollama.answer import Answer, not_ollama, refusal
from fleet.ollama.breakage import by_cause, causes, plain
from fleet.ollama.carried import Carried
from fleet.ollama.certificate import shown_at
from fleet.ollama.connection import Target
from fleet.ollama.credentials import Credentials, Trust, plain_context, tls_context
from fleet.ollama.failure import Doing
from fleet.ollama.limits import Limits
from fleet.ollama.lines import Lines, LineTooLongError
from fleet.ollama.sending import Block, Sending, WrongLengthError
from fleet.ollama.upload import watch, wrong_length

Transport = httpx2.AsyncBaseTransport
"""What carries requests: sockets, or a stand-in for them in tests."""

_BEFORE_SENDING = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
    UnicodeError,
)
_LIBRARIES = frozenset({"httpx2", "httpcore2", "h11", "anyio"})
"""Whose exceptions are a host's failure and not fleet's; some pass the library's own mapping (`reliability.md` A.5)."""


class SilentError(Exception):
    """No whole line came within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing within {seconds:g}s")
        self.seconds = seconds


class Link:
    """Connections to one host, and what every request has in common."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        trust: Trust | None,
        limits: Limits,
        transport: Transport | None,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._trust = trust
        self._limits = limits
        self._transport = transport
        self._urls: dict[str, httpx2.URL] = {}
        self._addresses: list[str] = []
        self._by_sockets = transport is None
        self._extensions: dict[str, object] = {
            "timeout": {"connect": limits.connect, "pool": None, "read": None, "write": None}
        }
        if trust is not None and trust.server_name is not None:
            self._extensions["sni_hostname"] = trust.server_name
        default = endpoint.port == {"http": 80, "https": 443}[endpoint.scheme]
        host = endpoint.authority.rpartition(":")[0] if default else endpoint.authority
        self._headers = (
            (b"Host", host.encode("ascii")),
            (b"User-Agent", b"ollama-fleet"),
            (b"Accept", b"*/*"),
            # A compressed reply could be a thousand times larger than what was counted.
            (b"Accept-Encoding", b"identity"),
        )

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def where(self, path: str) -> str:
        return self._endpoint.url + path

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        most: int,
        within: float,
        changing: bool = False,
    ) -> Answer:
        """One small request and its whole reply, of whatever status, within so many seconds and bytes.

        Raises `HostUnreachable`, `OutcomeUnknown` if `changing`, `HostAnswered` for a reply past its limits.
        """
        answer = await self._once(method, path, body, most, within, changing=changing)
        if answer.status == 401 and self._credentials is not None:
            # The token may have been rotated between reading and use; it is read again for this second try.
            self._credentials.refused()
            answer = await self._once(method, path, body, most, within, changing=changing)
        return answer

    async def _once(
        self, method: str, path: str, body: bytes | None, most: int, within: float, *, changing: bool
    ) -> Answer:
        response: httpx2.Response | None = None
        await self._ready()
        try:
            async with asyncio.timeout(within):
                response = await self._send(self._request(method, path, body))
                try:
                    return await self._whole(response, path, most)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr]  # ours are all asynchronous
        except HostError:
            raise
        except Exception as error:
            begun = response is not None
            raise await self._translated(error, path, changing=changing, begun=begun, within=within) from error

    async def lines(
        self, path: str, body: bytes, *, doing: Doing, opening: float, patience: Callable[[], float]
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a streamed reply. `opening`: seconds until its head; `patience`: until each next whole line.

        Raises as `exchange` does with `changing`, `SilentError` when patience ends, and the refusal of a status.
        """
        response = await self._opened(path, body, doing, opening)
        splitter = Lines(self._limits.line_bytes)
        now = asyncio.get_running_loop().time
        try:
            chunks = aiter(response.stream)  # type: ignore[arg-type]  # ours are all asynchronous
            wait = patience()
            until = now() + wait
            while True:
                chunk = await self._chunk(chunks, path, until, wait)
                if chunk is None:
                    break
                lines = self._split(splitter, chunk, path)
                for line in lines:
                    yield line
                if lines:
                    # A drip of bytes without an end of line buys no time.
                    wait = patience()
                    until = now() + wait
            rest = splitter.finish()
            if rest:
                yield rest
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]

    async def upload(
        self, path: str, blocks: Iterable[Block], size: int, *, silence: float, moved: Callable[[int], None]
    ) -> Answer:
        """Sends exactly `size` bytes over a connection of its own, and reads the short reply, which may come early.

        Each block is to be taken within `silence` seconds. Raises as `upload.watch` does.
        """
        await self._ready()
        if self._transport is not None and not self._by_sockets:
            return await self._carried(self._transport, path, Carried(blocks, size, moved), size, silence)
        secure = self._endpoint.scheme == "https"
        target = Target(
            self._endpoint.host,
            self._endpoint.port,
            tls_context(self._trust) if secure else None,
            self._trust.server_name if self._trust is not None else None,
            self._limits.connect,
        )
        sending = Sending(target, self._head(path, size), blocks, size, most=self._limits.error_bytes)
        where = self.where(path)
        answer = await watch(sending, connect=self._limits.connect, silence=silence, moved=moved, where=where)
        if answer.status == 201 and sending.taken < size:
            raise OutcomeUnknown(
                f"{where} answered 201 before it had all of the content",
                code=Code.NOT_OLLAMA,
                hint=Code.NOT_OLLAMA.value.cure,
            )
        self._plain(answer, path)
        return answer

    async def _carried(self, transport: Transport, path: str, body: Carried, size: int, silence: float) -> Answer:
        """The same by the transport that was given; `silence` is for the whole then."""
        headers = [*self._headers, (b"Content-Length", b"%d" % size), *self._proof()]
        request = httpx2.Request(
            "POST", httpx2.URL(self.where(path)), headers=headers, stream=body, extensions=self._extensions
        )

        async def answered() -> Answer:
            response = await transport.handle_async_request(request)
            try:
                return await self._whole(response, path, self._limits.error_bytes)
            finally:
                await response.stream.aclose()  # type: ignore[union-attr]

        answering = asyncio.ensure_future(answered())
        ends: set[asyncio.Future[Any]] = {answering, body.fault}
        try:
            async with asyncio.timeout(silence):
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if not body.fault.done():
                    return await answering
        except HostError:
            raise
        except Exception as error:
            raise await self._translated(error, path, changing=True, begun=False, within=silence) from error
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        fault = body.fault.result()
        raise wrong_length(fault) if isinstance(fault, WrongLengthError) else fault

    def _head(self, path: str, size: int) -> bytes:
        headers = [
            *self._headers,
            (b"Content-Type", b"application/octet-stream"),
            (b"Content-Length", b"%d" % size),
            (b"Connection", b"close"),
            *self._proof(),
        ]
        first = f"POST {self._endpoint.prefix}{path} HTTP/1.1".encode("ascii")
        return b"\r\n".join([first, *(b"%s: %s" % header for header in headers), b"", b""])

    async def _ready(self) -> None:
        """Has what `_proof` reads at hand: a command may have to be asked for it, which takes a while."""
        if self._credentials is not None:
            await self._credentials.ready()

    def _proof(self) -> list[tuple[bytes, bytes]]:
        """Read anew for each request."""
        if self._credentials is None:
            return []
        return [(name.encode("ascii"), value.reveal()) for name, value in self._credentials.headers()]

    async def _opened(self, path: str, body: bytes, doing: Doing, opening: float) -> httpx2.Response:
        for last in (self._credentials is None, True):
            await self._ready()
            try:
                async with asyncio.timeout(opening):
                    response = await self._send(self._request("POST", path, body))
            except HostError:
                raise
            except TimeoutError:
                raise SilentError(opening) from None
            except Exception as error:
                raise await self._translated(error, path, changing=True, begun=False, within=opening) from error
            if response.status_code == 200:
                return response
            answer = await self._rest(response, path)
            if answer.status != 401 or last or self._credentials is None:
                raise refusal(answer, doing=doing, where=self.where(path), changing=True)
            self._credentials.refused()
        raise AssertionError  # the second round always ends

    async def _rest(self, response: httpx2.Response, path: str) -> Answer:
        try:
            async with asyncio.timeout(self._limits.answer):
                return await self._whole(response, path, self._limits.error_bytes)
        except HostError:
            raise
        except Exception as error:
            within = self._limits.answer
            raise await self._translated(error, path, changing=True, begun=True, within=within) from error
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]

    async def _chunk(self, chunks: AsyncIterator[bytes], path: str, until: float, wait: float) -> bytes | None:
        try:
            async with asyncio.timeout_at(until):
                return await anext(chunks, None)
        except TimeoutError:
            raise SilentError(wait) from None
        except Exception as error:
            raise await self._translated(error, path, changing=True, begun=True, within=wait) from error

    def _split(self, splitter: Lines, chunk: bytes, path: str) -> list[bytes]:
        try:
            return splitter.feed(chunk)
        except LineTooLongError:
            raise OutcomeUnknown(
                f"a line of {self.where(path)} has more than {self._limits.line_bytes} bytes",
                code=Code.ANSWER_TOO_LARGE,
                hint=Code.ANSWER_TOO_LARGE.value.cure,
            ) from None

    def _request(self, method: str, path: str, body: bytes | None) -> httpx2.Request:
        headers = [*self._headers]
        if body is not None:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
        headers += self._proof()
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx2.URL(self.where(path))
        return httpx2.Request(
            method, url, headers=headers, stream=httpx2.ByteStream(body or b""), extensions=self._extensions
        )

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        if self._transport is None:
            secure = self._endpoint.scheme == "https"
            context = tls_context(self._trust) if secure else plain_context()
            self._transport = httpx2.AsyncHTTPTransport(
                verify=context, trust_env=False, limits=httpx2.Limits(max_connections=8, keepalive_expiry=15.0)
            )
        sys.audit("fleet.request", request.method, request.url.path)
        with addresses_found() as self._addresses:
            response = await self._transport.handle_async_request(request)
        sys.audit("fleet.answer", request.method, request.url.path)
        return response

    async def _whole(self, response: httpx2.Response, path: str, most: int) -> Answer:
        headers = tuple((key.lower(), value) for key, value in response.headers.raw)
        self._plain(Answer(response.status_code, headers, b""), path)
        failed = response.status_code >= 300
        most = self._limits.error_bytes if failed else most
        parts: list[bytes] = []
        size = 0
        async for chunk in response.stream:  # type: ignore[union-attr]
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                if failed:
                    break
                raise HostAnswered(
                    f"the answer of {self.where(path)} has more than {most} bytes",
                    code=Code.ANSWER_TOO_LARGE,
                    status=response.status_code,
                    hint=Code.ANSWER_TOO_LARGE.value.cure,
                )
        return Answer(response.status_code, headers, b"".join(parts)[:most])

    def _plain(self, answer: Answer, path: str) -> None:
        """Refuses what is compressed."""
        for key, value in answer.headers:
            if key == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
                raise not_ollama(self.where(path), "it compressed a reply that was to be plain", status=answer.status)

    async def _translated(
        self, error: Exception, path: str, *, changing: bool, begun: bool, within: float
    ) -> HostError:
        """Whatever went wrong on the way, in fleet's terms; `begun`: whether the head of a reply had come.

        What is no host's failure is raised as it is: a bug.
        """
        foreign = type(error).__module__.partition(".")[0] in _LIBRARIES
        if not foreign and not isinstance(error, OSError | UnicodeError | EOFError):
            raise error
        code, what = _judged(error, within)
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and self._addresses:
            what += f" at {', '.join(self._addresses)}"
        if self._by_sockets and any(isinstance(each, ssl.SSLCertVerificationError) for each in causes(error)):
            what += await self._dates()
        message = f"{what}: {self.where(path)}"
        hint = code.value.cure
        # A server may refuse our certificate as late as at the first read, and has done nothing then.
        before = not begun and (code is Code.TLS_FAILED or isinstance(error, _BEFORE_SENDING))
        if not changing or before:
            return HostUnreachable(message, code=code, hint=hint)
        if code is Code.UNREACHABLE:
            code, hint = Code.STREAM_CUT, Code.STREAM_CUT.value.cure
        return OutcomeUnknown(message, code=code, hint=hint)

    async def _dates(self) -> str:
        """When the certificate that was not trusted is valid, as an addition to the words of the failure."""
        called = self._trust.server_name if self._trust is not None else None
        shown = await shown_at(self._endpoint, called, self._limits.connect)
        if shown is None:
            return ""
        return f"; the certificate is valid from {shown.begins:%Y-%m-%d} to {shown.ends:%Y-%m-%d}"


def _judged(error: BaseException, within: float) -> tuple[Code, str]:
    """Code and words for a failure on the way, by the first telling one among its causes."""
    told = by_cause(error)
    if told is not None:
        return told
    match error:
        case httpx2.ConnectTimeout():
            return Code.NO_ANSWER, "no connection in time"
        case TimeoutError() | httpx2.TimeoutException():
            return Code.NO_ANSWER, f"no answer within {within:g}s"
        case httpx2.TooManyRedirects():
            return Code.REDIRECTED, "the host redirects"
        case httpx2.DecodingError():
            return Code.NOT_OLLAMA, "the reply cannot be decoded"
    words = plain(error)
    if "Receive buffer too long" in words:
        return Code.ANSWER_TOO_LARGE, "the head of the reply is too long"
    if isinstance(error, httpx2.RemoteProtocolError) and "disconnected" not in words and "closed conn" not in words:
        return Code.NOT_OLLAMA, f"the reply is no HTTP ({words})"
    if isinstance(error, httpx2.ConnectError):
        deepest = next((plain(cause) for cause in causes(error) if isinstance(cause, OSError) and cause.errno), words)
        return Code.UNREACHABLE, f"no connection ({deepest})"
    return Code.UNREACHABLE, f"the connection broke off ({words})"
