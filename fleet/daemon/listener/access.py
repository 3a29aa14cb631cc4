"""Who may ask for what: a token for whatever acts, and which names a browser may have reached the listener by."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from fleet.daemon.listener.answers import Refused

Hook = Callable[[Mapping[str, str], bytes], bool | str | None]
"""Whether the headers (names in lower case) and the body of a webhook prove that it comes from the repository; true, or
the name of who it proves to be.
"""


@dataclass(frozen=True, slots=True)
class Access:
    """What callers by TCP must show. The Unix socket needs nothing: its mode lets the daemon's own user in alone."""

    token: bytes | None = None
    hook: Hook | None = None
    names: tuple[str, ...] = ()
    """By which the listener is reached besides its addresses and the machine's name: of a proxy, of DNS."""


def is_local(request: Request) -> bool:
    """Whether it came by the Unix socket."""
    return bool(request.scope.get("state", {}).get("local"))


def may_act(request: Request, access: Access) -> None:
    """Raises `Refused` for whoever has not shown the token."""
    if is_local(request):
        return
    if access.token is None:
        raise Refused(
            403,
            "no-token",
            "nobody may act by TCP here, since the daemon has no token",
            "set `token_file`, or use the Unix socket in the daemon's state folder, as `fleet suspend` does",
        )
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    # Compared even where the scheme is another one: how long it takes tells nothing.
    same = hmac.compare_digest(shown.strip().encode("latin-1"), access.token)
    if scheme.lower() != "bearer" or not same:
        raise Refused(
            401,
            "unauthorized",
            "the token is missing or another one",
            "send `Authorization: Bearer TOKEN` with what `token_file` of the daemon holds",
            {"www-authenticate": "Bearer"},
        )


def proven(request: Request, access: Access, body: bytes) -> None:
    """Raises `Refused` for a webhook without proof."""
    if access.hook is None:
        raise Refused(403, "no-hooks", "no webhooks are taken here", "set `hook_secret_file` of the daemon")
    if not access.hook(dict(request.headers), body):
        raise Refused(
            401,
            "unauthorized",
            "the webhook's signature or token does not fit",
            "give the repository the secret that `hook_secret_file` of the daemon holds",
        )


class Reached:
    """Checks the header `Host` of requests by TCP.

    A page of a stranger can let its own name point to this machine (DNS rebinding) and would then read what is served
    here, but the browser still sends that name. An address or the machine's own name cannot be such a one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = frozenset({"localhost", own, own.partition(".")[0], *(name.lower() for name in names)})

    def check(self, request: Request) -> None:
        """Raises `Refused`. A request without the header is none of a browser's."""
        shown = request.headers.getlist("host")
        if is_local(request) or not shown:
            return
        if len(shown) > 1 or not self._known(shown[0]):
            raise Refused(
                403,
                "host-refused",
                "the header `Host` names another machine",
                "ask by address or by the machine's own name, or let the proxy send `Host: localhost`",
            )
        origin = request.headers.get("origin")
        if origin is not None and request.method == "POST" and origin.partition("://")[2] != shown[0]:
            raise Refused(403, "origin-refused", "a page of another origin may ask for nothing here")

    def _known(self, host: str) -> bool:
        name = host.lower()
        if name.startswith("["):
            name, closed, port = name[1:].partition("]")
            if not closed or (port and not port.startswith(":")):
                return False
        elif name.count(":") <= 1:
            name = name.partition(":")[0]
        if name.rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
