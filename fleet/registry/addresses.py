"""Where fleet asks each registry of the inventory, and the client that does so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fleet.endpoint import Endpoint, EndpointError
from fleet.registry.client import Registries
from fleet.registry.limits import Limits
from fleet.settings import Settings


class Declared(Protocol):
    """A registry as the inventory describes it."""

    @property
    def insecure(self) -> bool: ...

    @property
    def mirror(self) -> str | None: ...

    @property
    def url(self) -> str | None: ...


def registries(declared: Mapping[str, Declared] | None, settings: Settings) -> Registries:
    """A client for one run: for the registries by their lower-case names, or for any where the inventory names none."""
    limits = Limits(
        connect=settings.connect_timeout,
        answer=settings.answer_deadline,
        tries=settings.retry_tries,
        first=settings.retry_wait,
    )
    return Registries(addresses(declared or {}), closed=declared is not None, limits=limits)


def addresses(declared: Mapping[str, Declared]) -> dict[str, Endpoint]:
    """Where each is asked: at its `url`, else at its name, over plain HTTP only where it is `insecure`.

    Mirrors are among them, named by themselves or not. A name that is no address is left out.
    """
    mirrors = {each.mirror.lower(): "https" for each in declared.values() if each.mirror is not None}
    schemes = mirrors | {name: "http" if each.insecure else "https" for name, each in declared.items()}
    urls = {name: each.url for name, each in declared.items() if each.url is not None}
    found: dict[str, Endpoint] = {}
    for name, scheme in sorted(schemes.items()):
        try:
            found[name] = Endpoint.parse(urls.get(name, f"{scheme}://{name}"))
        except EndpointError:
            continue
    return found
