"""Where registries send to: realms that give tokens, and redirects; and which of these fleet goes along with.

Pure. Whoever can answer for a registry could otherwise have fleet ask any machine that it reaches (`reliability.md` A.5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urljoin, urlsplit

from fleet.endpoint import Endpoint
from fleet.foreign import clean

_LONGEST = 4096
"""Characters of a challenge."""
_LONGEST_TOKEN = 32 * 1024
_SCHEME = re.compile(r"bearer[ \t]+", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z_-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))[ \t]*(?:,[ \t]*)?')
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
_PATH = re.compile(r"/[\x21-\x7e]*\Z")
_PORTS = {"http": 80, "https": 443}
_ONE_SERVICE = (frozenset({"hf.co", "huggingface.co"}),)
"""Registries under several names, which may send from one to the other."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that a registry sent to: where, and the path with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As a registry stands in a model's name: the port only where it does not go without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What messages show: a path or query may hold what somebody else is to keep secret."""
        return clean(f"{self.scheme}://{self.authority}", limit=200)

    def at(self, endpoint: Endpoint) -> bool:
        """Whether it is of the same origin."""
        return (self.scheme, self.host, self.port) == (endpoint.scheme, endpoint.host, endpoint.port)


def read_place(url: str, base: str = "") -> Place | None:
    """A URL of http or https without credentials, read relative to `base`; nothing for any other text."""
    try:
        parts = urlsplit(urljoin(base, url))
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _PATH.match(path):
        return None
    return Place(scheme, parts.hostname.lower(), _PORTS[scheme] if port is None else port, path)


def read_challenge(header: str | None) -> Place | None:
    """Where a `WWW-Authenticate: Bearer` has a token asked for, and in the path what for; nothing for any other."""
    scheme = _SCHEME.match((header or "")[:_LONGEST])
    if header is None or scheme is None or len(header) > _LONGEST:
        return None
    given: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header[scheme.end() :]):
        given.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)
    realm = read_place(given.get("realm", ""))
    wanted = urlencode({key: given[key] for key in ("service", "scope") if given.get(key)})
    if realm is None or not wanted:
        return realm
    return replace(realm, path=realm.path + ("&" if "?" in realm.path else "?") + wanted)


def read_token(body: bytes) -> str | None:
    """The token of a realm's answer, in either of the two keys in use; nothing where there is none to show."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    token = read.get("token") or read.get("access_token")
    usable = isinstance(token, str) and len(token) <= _LONGEST_TOKEN and _TOKEN.match(token)
    return token if usable else None


def realm_at(realm: Place, asked: Endpoint, addresses: Mapping[str, Endpoint]) -> Endpoint | None:
    """Where to ask for a token: at the registry itself, or at one that the inventory names, by its address there.

    Nothing where the realm is elsewhere, or would have the question go over plain HTTP without the inventory's leave.
    """
    if realm.at(asked):
        return replace(asked, prefix="")
    listed = addresses.get(realm.authority)
    if listed is not None and (realm.scheme == "https" or listed.scheme == "http"):
        return listed
    return _same_service(realm, asked)


def redirect_at(target: Place, asked: Endpoint) -> Endpoint | None:
    """Where to ask instead: another name of the same service alone. Any other redirect is not followed."""
    return _same_service(target, asked)


def _same_service(target: Place, asked: Endpoint) -> Endpoint | None:
    """The other name's own address, where both are asked over TLS at theirs."""
    both = {target.authority, asked.host}
    proper = asked.scheme == target.scheme == "https" and asked.port == target.port == _PORTS["https"]
    if not proper or len(both) == 1 or not any(both <= names for names in _ONE_SERVICE):
        return None
    return Endpoint("https", target.host, target.port)
