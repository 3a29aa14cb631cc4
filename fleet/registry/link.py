"""The HTTP to registries: the only module here that knows the HTTP library, and the place where its errors end.

Requests go to the library's transport itself, which follows no redirect, obeys no proxy of the environment and keeps no
cookies; a reply that is compressed is refused, since it could be a thousand times larger than what was counted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2

from fleet.endpoint import Endpoint
from fleet.foreign import clean
from fleet.registry.limits import Limits

Transport = httpx2.AsyncBaseTransport
"""What carries requests: sockets, or a stand-in for them in tests."""

_PORTS = {"http": 80, "https": 443}
_NO_TLS = (
    "where the registry speaks plain HTTP, write `insecure: true` for it under `registries`; fleet never falls back"
)
_LIBRARIES = frozenset({"httpx2", "httpcore2", "h11", "anyio"})
"""Whose exceptions are a registry's failure and not fleet's."""
_NO_DISTRUST = (
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
)
"""What TLS raises when it waits or the connection ends."""


class NoReply(Exception):
    """No usable reply came; the message says why, cleaned.

    `again`: asking once more may help at once. `ends`: whoever asks next would wait for nothing as well.
    """

    def __init__(self, message: str, *, again: bool = False, ends: bool = False, hint: str | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.ends = ends
        self.hint = hint


class Reply(NamedTuple):
    """A reply: header names in lower case, the body as far as it was wanted."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The first header of that name (in lower case), decoded so that nothing is lost or fails."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), None)


def shown(endpoint: Endpoint, path: str = "") -> str:
    """The URL as messages have it: without a port that goes without saying, and without a query."""
    authority = endpoint.authority
    if endpoint.port == _PORTS[endpoint.scheme]:
        authority = authority.rpartition(":")[0]
    return f"{endpoint.scheme}://{authority}{endpoint.prefix}{path.partition('?')[0]}"


class Link:
    """Connections to all registries of a run, over one TLS context."""

    def __init__(self, limits: Limits, transport: Transport | None = None) -> None:
        self._limits = limits
        self._given = transport
        self._own: dict[str, Transport] = {}

    async def aclose(self) -> None:
        for transport in self._own.values():
            await transport.aclose()

    async def exchange(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        *,
        accept: str,
        most: int,
        token: str | None = None,
        whole: bool = True,
    ) -> Reply:
        """One request and its reply, of whatever status, within the limits; `whole`: with its body.

        Raises `NoReply`.
        """
        within = self._limits.answer
        request = self._request(method, endpoint, path, accept, token)
        try:
            async with asyncio.timeout(within):
                sys.audit("fleet.request", method, path)
                response = await self._transport(endpoint.scheme).handle_async_request(request)
                try:
                    return await self._read(response, most if whole else 0, whole=whole)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr]  # ours are all asynchronous
        except NoReply:
            raise
        except Exception as error:
            raise _translated(error, within) from error

    def _request(self, method: str, endpoint: Endpoint, path: str, accept: str, token: str | None) -> httpx2.Request:
        default = endpoint.port == _PORTS[endpoint.scheme]
        host = endpoint.authority.rpartition(":")[0] if default else endpoint.authority
        headers = [
            (b"Host", host.encode("ascii")),
            (b"User-Agent", b"ollama-fleet"),
            (b"Accept", accept.encode("ascii")),
            (b"Accept-Encoding", b"identity"),
        ]
        if token is not None:
            headers.append((b"Authorization", f"Bearer {token}".encode("ascii")))
        timeouts = {"connect": self._limits.connect, "pool": None, "read": None, "write": None}
        return httpx2.Request(
            method,
            httpx2.URL(endpoint.url + path),
            headers=headers,
            stream=httpx2.ByteStream(b""),
            extensions={"timeout": timeouts},
        )

    def _transport(self, scheme: str) -> Transport:
        if self._given is not None:
            return self._given
        if scheme not in self._own:
            # The library makes a context even where there is no TLS, and an own one is expensive.
            context = _trusting() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            most = httpx2.Limits(max_connections=2 * self._limits.at_once, keepalive_expiry=15.0)
            self._own[scheme] = httpx2.AsyncHTTPTransport(verify=context, trust_env=False, limits=most)
        return self._own[scheme]

    async def _read(self, response: httpx2.Response, most: int, *, whole: bool) -> Reply:
        headers = tuple((key.lower(), value) for key, value in response.headers.raw)
        if not whole:
            return Reply(response.status_code, headers, b"")
        for key, value in headers:
            if key == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
                raise NoReply("it compressed a reply that was to be plain")
        failed = response.status_code != 200
        most = self._limits.error_bytes if failed else most
        parts: list[bytes] = []
        size = 0
        async for chunk in response.stream:  # type: ignore[union-attr]  # ours are all asynchronous
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                if failed:
                    break
                raise NoReply(f"the reply has more than {most:,} bytes")
        return Reply(response.status_code, headers, b"".join(parts)[:most])


def _trusting() -> ssl.SSLContext:
    """Whom this machine trusts. SSL_CERT_FILE and SSL_CERT_DIR are not obeyed: no environment decides that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    bundle = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    context.load_verify_locations(bundle, paths.openssl_capath)
    return context


def _translated(error: Exception, within: float) -> NoReply:
    """Whatever went wrong on the way, in fleet's terms. What is no registry's failure is raised as it is: a bug."""
    foreign = type(error).__module__.partition(".")[0] in _LIBRARIES
    if not foreign and not isinstance(error, OSError | UnicodeError | EOFError):
        raise error
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return NoReply(f"its name could not be looked up ({clean(str(cause.strerror))})", again=True, ends=True)
            case ssl.SSLError() if not isinstance(cause, _NO_DISTRUST):
                return NoReply(f"the TLS connection failed ({_reason(cause)})", ends=True, hint=_NO_TLS)
            case UnicodeError():
                return NoReply("its name is none that can be looked up", ends=True)
    match error:
        case httpx2.ConnectTimeout():
            return NoReply("no connection in time", ends=True)
        case TimeoutError() | httpx2.TimeoutException():
            return NoReply(f"no whole answer within {within:g}s", ends=True)
    words = _plain(error)
    if "Receive buffer too long" in words:
        return NoReply("the head of the reply is too long")
    if isinstance(error, httpx2.RemoteProtocolError) and "disconnected" not in words and "closed conn" not in words:
        return NoReply(f"the reply is no HTTP ({words})")
    deepest = next((_plain(cause) for cause in _causes(error) if isinstance(cause, OSError) and cause.errno), words)
    if isinstance(error, httpx2.ConnectError):
        return NoReply(f"no connection ({deepest})", again=True, ends=True)
    return NoReply(f"the connection broke off ({deepest})", again=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and the members of groups; each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return clean(str(error) or type(error).__name__, limit=200)


def _reason(error: ssl.SSLError) -> str:
    told = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return clean(str(told or error), limit=200)
