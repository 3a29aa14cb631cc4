"""The address of a host, read by the rules of OLLAMA_HOST (`ollama-api.md` 1.7) as a client takes them.

Pure. Stricter than Ollama where its leniency would leak or mislead: credentials, queries, other schemes, numbers that
resolvers read as some other address, and addresses at which clouds keep their secrets are refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fleet.names import InvalidName

DEFAULT_PORT = 11434
LONGEST = 2000
"""Characters of a whole address."""
_LONGEST_NAME = 253
"""Characters that DNS takes."""
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")
# Resolvers take such a text for an IPv4 address in one to four numbers, octal and hexadecimal ones included.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?\Z")
# Without `'`, which Ollama takes off the end of the whole text.
_PREFIX = re.compile(r"(?:/(?!(?:\.|%2[Ee]){1,2}(?:/|\Z))(?:[A-Za-z0-9._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*\Z")
_PORTS = {"http": 80, "https": 443}

_METADATA_NAMES = frozenset({"metadata.google.internal"})
_METADATA_ADDRESSES = frozenset({ipaddress.ip_address("fd00:ec2::254")})
_TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("::/96"),
)
"""Where the last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215) and the old compatible form."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class EndpointError(InvalidName):
    """A text that is no address of a host. It is not repeated in the message: it may hold a password."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a host answers. `host` is a name in lower case or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    """A path before `/api`, for proxies that strip it: empty, or with a slash at its start and none at its end."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What a person should know of how the text was read."""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Reads what OLLAMA_HOST or `url` may hold. Raises `EndpointError`, with a hint where there is one."""
        if len(text) > LONGEST:
            raise EndpointError(f"a host's address has at most {LONGEST:,} characters")
        text = text.strip().strip("\"'").strip()
        scheme, rest, default = _scheme(text)
        if "?" in rest or "#" in rest:
            raise EndpointError("a host's address has no query and no fragment", hint="end it before `?` or `#`")
        authority, _, path = rest.partition("/")
        if "@" in authority:
            raise EndpointError(
                "a host's address holds no credentials", hint="take them out of the URL and use `auth` in the inventory"
            )
        host, port, warnings = _split(authority, default)
        prefix = re.sub("//+", "/", f"/{path}").rstrip("/")
        if not _PREFIX.match(prefix):
            raise EndpointError(
                "the path of a host's address has `.` or `..` as a part, or characters that no path has"
            )
        return cls(scheme, host, port, prefix, warnings)

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The one spelling of this address, port included; safe to show."""
        return self.origin + self.prefix

    def __str__(self) -> str:
        return self.url


def _scheme(text: str) -> tuple[str, str, int]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        # Since 0.12.6 Ollama takes this one bare name for its own service.
        return ("https", text, 443) if text.lower() == "ollama.com" else ("http", text, DEFAULT_PORT)
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise EndpointError("a host's address begins with http:// or https://, or has no scheme")
    return scheme, rest, _PORTS[scheme]


def _split(authority: str, default: int) -> tuple[str, int, tuple[str, ...]]:
    """Host and port, as Go's `net.SplitHostPort` with Ollama's fallbacks."""
    port = None
    if authority.startswith("["):
        inside, closed, after = authority[1:].partition("]")
        if not closed or (after and not after.startswith(":")) or ":" not in inside:
            raise EndpointError("an IPv6 address is written `[address]` or `[address]:port`")
        host, port = inside, after[1:] if after else None
    elif authority.count(":") == 1:
        host, _, port = authority.partition(":")
    else:
        host = authority
    host = _reachable(host)
    if port is None:
        return host, default, ()
    if re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536:
        return host, int(port), ()
    return host, default, (f"the port is no number from 1 to 65535: {default} is used",)


def _reachable(host: str) -> str:
    """The host to connect to: bind-all addresses become loopback, as Ollama's own client does it."""
    if not host:
        return "127.0.0.1"
    address = _numeric(host)
    if address is None:
        return _named(host)
    if any(each.is_link_local or each.is_multicast or each in _METADATA_ADDRESSES for each in _meant(address)):
        # Cloud metadata services answer at link-local addresses.
        raise EndpointError("link-local, multicast and metadata addresses are no Ollama hosts")
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise EndpointError("a zone belongs to link-local addresses, which are no Ollama hosts")
        address = address.ipv4_mapped or address
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)


def _numeric(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _named(host: str) -> str:
    if not _HOST.match(host) or len(host.rstrip(".")) > _LONGEST_NAME:
        raise EndpointError(
            f"a host's name has letters, digits, `-`, `_` and dots, at most {_LONGEST_NAME} of them",
            hint=None if host.isascii() else "write the name in its `xn--` form",
        )
    if _NUMERIC.match(host):
        raise EndpointError("a host's name does not end in a number", hint="an IPv4 address is four numbers up to 255")
    host = host.lower()
    if host.rstrip(".") in _METADATA_NAMES:
        raise EndpointError("link-local, multicast and metadata addresses are no Ollama hosts")
    return host


def _meant(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that packets to it end up at."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        yield from (each for each in (address.ipv4_mapped, address.sixtofour) if each)
        if any(address in network for network in _TRANSLATED):
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
