"""Requests of a host to registries: over plain HTTP to where they really are, with Go's words for what goes wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from fleet.simulate import gojson
from fleet.simulate.versions import Behaviour, Capability

_LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1"}
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_TRIES = 2

Registries = Callable[[str], str | None]


class RemoteError(Exception):
    """A request failed. The text is the server's."""


class NotThereError(RemoteError):
    """The registry answered 404."""

    def __init__(self) -> None:
        super().__init__("file does not exist")


def local_registries(host: str) -> str | None:
    """The registries that a host reaches if nothing else is said: those on this machine, by their own names."""
    name = host.rpartition(":")[0] if ":" in host else host
    return host if name in _LOOPBACK else None


class Remote:
    """Where a host's requests go. `transport` stands in for the network, if given."""

    def __init__(
        self, behaviour: Behaviour, registries: Registries, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._behaviour = behaviour
        self._registries = registries
        self._transport = transport

    @asynccontextmanager
    async def connect(self, host: str, *, insecure: bool) -> AsyncIterator[Registry]:
        """Requests to one registry, named as in a model's name."""
        # Time-outs belong to who waits: a server sets none of its own.
        transport = self._transport or httpx2.AsyncHTTPTransport(verify=False, trust_env=False)
        async with httpx2.AsyncClient(transport=_Kept(transport), timeout=None, trust_env=False) as client:
            try:
                yield Registry(self._behaviour, client, self._registries, host, insecure=insecure)
            finally:
                if self._transport is None:
                    await transport.aclose()


class _Kept(httpx2.AsyncBaseTransport):
    """A transport that outlives the client that uses it."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


class Registry:
    """One registry, as a host talks to it."""

    def __init__(
        self, behaviour: Behaviour, client: httpx2.AsyncClient, registries: Registries, host: str, *, insecure: bool
    ) -> None:
        self._behaviour = behaviour
        self._client = client
        self._registries = registries
        self.host = host
        self._scheme = "http" if insecure else "https"
        self._token = ""

    def url(self, path: str) -> str:
        """The URL of a path as the server would tell it."""
        return f"{self._scheme}://{self.host}{path}"

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: Any = None
    ) -> AsyncIterator[httpx2.Response]:
        """One request, its answer unread and no redirect followed. Raises `RemoteError`."""
        real = await self._real(method, url)
        sent = dict(headers or {})
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        sent["User-Agent"] = f"ollama/{self._behaviour.text} (amd64 linux) Go/go1.24.0"
        # A range must count the bytes that are on disk: compressed answers are not asked for.
        sent["Accept-Encoding"] = "identity"
        request = self._client.build_request(method, real, headers=sent, content=content)
        try:
            response = await self._client.send(request, stream=True)
        except httpx2.ConnectError:
            raise self._failed(method, url, f"dial tcp {_address(real)}: connect: connection refused") from None
        except (httpx2.TransportError, OSError):
            raise self._failed(method, url, "EOF") from None
        try:
            yield response
        finally:
            await response.aclose()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx2.Response:
        """One request with its answer read, asked for a token where the registry wants one. Raises `RemoteError`."""
        for _ in range(_TRIES):
            async with self.stream(method, url, headers=headers, content=content) as response:
                try:
                    await response.aread()
                except (httpx2.HTTPError, OSError):
                    raise RemoteError("unexpected EOF") from None
            if response.status_code == httpx2.codes.UNAUTHORIZED:
                await self._authorize(response.headers.get("www-authenticate", ""), url)
                continue
            if response.status_code == httpx2.codes.NOT_FOUND:
                raise NotThereError
            if response.status_code >= httpx2.codes.BAD_REQUEST:
                raise RemoteError(f"{response.status_code}: {response.text}")
            return response
        raise RemoteError("unauthorized: access denied")

    async def _real(self, method: str, url: str) -> str:
        """Where the request really goes. Raises `RemoteError` where the server would not get through."""
        parts = urlsplit(url)
        address = self._registries(parts.netloc)
        if address is None and parts.hostname in _LOOPBACK:
            address = parts.netloc
        if address is None:
            raise self._failed(method, url, f"dial tcp: lookup {parts.hostname}: no such host")
        real = parts._replace(scheme="http", netloc=address).geturl()
        if parts.scheme == "https" and address == parts.netloc:
            # Only registries that stand in for others answer where the server speaks TLS.
            raise self._failed(method, url, await self._without_tls(real))
        return real

    async def _without_tls(self, real: str) -> str:
        """What comes of speaking TLS to what speaks none, or to nothing."""
        try:
            await self._client.head(real)
        except httpx2.ConnectError:
            return f"dial tcp {_address(real)}: connect: connection refused"
        except (httpx2.HTTPError, OSError):
            pass
        return "EOF"

    @staticmethod
    def _failed(method: str, url: str, fault: str) -> RemoteError:
        return RemoteError(f'{method.capitalize()} "{url}": {fault}')

    async def _authorize(self, challenge: str, url: str) -> None:
        """Gets a token from where the registry's challenge points. Raises `RemoteError`."""
        said = dict(_PARAMETER.findall(challenge))
        realm = said.pop("realm", "")
        query = urlencode({"nonce": "simulated", "scope": said.get("scope", ""), "service": said.get("service", "")})
        if not realm:
            raise RemoteError(f'Get "?{query}": unsupported protocol scheme ""')
        there, here = urlsplit(realm).netloc, urlsplit(url).netloc
        if self._behaviour.has(Capability.REALM_CHECKED) and there != here:
            raise RemoteError(f'realm host "{there}" does not match original host "{here}"')
        async with self.stream("GET", f"{realm}?{query}") as response:
            body = await response.aread()
        if response.status_code >= httpx2.codes.BAD_REQUEST:
            raise RemoteError(f"{response.status_code}: {body.decode('utf-8', 'replace')}")
        try:
            value = gojson.read(body)
        except gojson.JsonError as fault:
            raise RemoteError(str(fault)) from None
        self._token = str(value.get("token") or "") if isinstance(value, dict) else ""

    def resolved(self, url: str, location: str) -> str:
        """A Location as an absolute URL."""
        return urljoin(url, location)


def _address(url: str) -> str:
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    return f"{host}:{parts.port or 80}"
