"""Asks whom `fleet lock` takes contents from: registries, or hosts that run them already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from fleet.codes import Code
from fleet.errors import InputError
from fleet.manifest.item import Desired, HostDesired
from fleet.names import ModelName
from fleet.reconcile.locking import Decision, by_hosts, by_registries, not_in_lock, unsettled
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.progress import Listener, deaf
from fleet.reconcile.pulled import pulled_of
from fleet.reconcile.surveying import held, served
from fleet.registry.locked import Locked
from fleet.settings import Settings

Lock = Mapping[ModelName, Locked]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the lock file is to have, and which hosts could not be heard on that."""

    decisions: tuple[Decision, ...]
    unobserved: tuple[Unobserved, ...] = ()


def without_asking(desired: Desired, lock: Lock, today: date) -> Acceptance:
    """What is to change in the file, as far as that can be told without any registry."""
    pulled = pulled_of(desired)
    return Acceptance(by_registries(pulled, lock, unsettled(pulled, lock, lambda _: False), {}, today))


async def from_registries(
    desired: Desired, lock: Lock, settings: Settings, today: date, upgrade: Callable[[ModelName], bool]
) -> Acceptance:
    """What registries serve, of models that are new, whose pin changed, or that are to be upgraded.

    Raises `InputError` where the settings have no registry asked, and one has to be.
    """
    pulled = pulled_of(desired)
    asked = unsettled(pulled, lock, upgrade)
    if asked and not settings.ask_registries:
        raise InputError(
            f"{len(asked)} of {len(pulled)} models have to be asked about, and `ask_registries` is false",
            code=Code.SETTINGS_WRONG,
            hint="set it to true for this run, or take what hosts hold: `--from-hosts`",
        )
    found = await served((origin for each in asked for origin in each.origins), desired, settings)
    return Acceptance(by_registries(pulled, lock, asked, found, today))


async def from_hosts(
    desired: Desired,
    hosts: Iterable[HostDesired],
    lock: Lock,
    settings: Settings,
    today: date,
    listener: Listener = deaf,
) -> Acceptance:
    """What these hosts hold; registries are asked for the other form of a digest where the file does not know it."""
    pulled = pulled_of(desired)
    observations = await held(hosts, settings, listener)
    origins = (origin for each in not_in_lock(pulled, lock, observations) for origin in each.origins)
    found = await served(origins, desired, settings)
    unseen = tuple(each for _, each in sorted(observations.items()) if isinstance(each, Unobserved))
    return Acceptance(by_hosts(pulled, lock, observations, found, today), unseen)
