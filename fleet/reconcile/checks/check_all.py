"""Asks the models of many hosts the questions of their entries, whether they were asked before or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from fleet.codes import Code
from fleet.errors import FleetError, HostError, HostUnreachable
from fleet.manifest.inventory import Host
from fleet.manifest.item import HostDesired, Item
from fleet.names import HostName, ModelName
from fleet.ollama.client import Client, ModelMissing
from fleet.reconcile.checks.checking import ask
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.connection import connect
from fleet.reconcile.observe import unobserved
from fleet.reconcile.observed import Present, Unobserved
from fleet.reconcile.places import at_once
from fleet.reconcile.reading import Listing, listing
from fleet.settings import Settings
from fleet.state.evidence import Checked


class Verdict(StrEnum):
    """What came of one model."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASKED = "not-asked"
    SUSPENDED = "suspended"
    """Not asked either, and that is as it should be."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One model of one host."""

    host: HostName
    model: ModelName
    verdict: Verdict
    why: str = ""
    """Of a verdict other than passed."""
    code: Code | None = None
    present: Present | None = None
    """What was asked."""
    seconds: float = 0.0
    record: Checked | None = None
    """What is to be remembered."""


Heard = Callable[[Host, Asked], None]


async def check_all(
    hosts: Iterable[HostDesired], wanted: Callable[[ModelName], bool], settings: Settings, heard: Heard
) -> tuple[tuple[Asked, ...], tuple[Unobserved, ...]]:
    """Every checked model of these hosts, by host and name, and the hosts that could not be looked at.

    One model at a time on each host, and at most `settings.parallelism` hosts. `heard` is told as verdicts come.
    """
    places = asyncio.Semaphore(at_once(settings.parallelism))
    missed: list[Unobserved] = []

    async def one(desired: HostDesired, items: list[Item]) -> list[Asked]:
        async with places:
            found, unseen = await _check_host(desired.host, items, settings, heard)
        missed.extend(unseen)
        return found

    async with asyncio.TaskGroup() as group:
        tasks = []
        for desired in hosts:
            items = [item for item in desired.items if item.check and wanted(item.name)]
            if items:
                tasks.append(group.create_task(one(desired, items)))
    asked = [each for task in tasks for each in task.result()]
    return tuple(sorted(asked, key=lambda each: (each.host, each.model.key))), tuple(
        sorted(missed, key=lambda each: each.host)
    )


async def _check_host(
    host: Host, items: list[Item], settings: Settings, heard: Heard
) -> tuple[list[Asked], list[Unobserved]]:
    if host.suspended is not None:
        # Asking loads the model, and such a host is only looked at.
        return [Asked(host.name, item.name, Verdict.SUSPENDED, host.suspended) for item in items], []
    found: list[Asked] = []
    try:
        async with connect(host, settings) as client:
            there = listing(await client.tags())
            if any(item.name not in there.models for item in items):
                # A listing can miss a model for an instant (`ollama-api.md` 4).
                there = max(there, listing(await client.tags()), key=lambda listed: len(listed.models))
            for item in items:
                found.append(await _check(client, host, item, there, settings))
                heard(host, found[-1])
    except Exception as error:
        if isinstance(error, FleetError) and not isinstance(error, HostError):
            raise  # what came of a model could not be recorded
        missed = unobserved(host.name, error)
    else:
        return found, []
    told = {each.model for each in found}
    rest = [
        Asked(host.name, item.name, Verdict.NOT_ASKED, missed.message, missed.code)
        for item in items
        if item.name not in told
    ]
    return found + rest, [missed]


async def _check(client: Client, host: Host, item: Item, there: Listing, settings: Settings) -> Asked:
    """Raises `HostUnreachable` where the host does not answer any more, which is no matter of one model."""
    present = there.models.get(item.name)
    if present is None or present.remote:
        return Asked(host.name, item.name, Verdict.NOT_ASKED, *_not_there(item.name, present, there))
    begun = time.monotonic()
    try:
        answered = await ask(client, present, item, load_timeout=settings.load_timeout)
        now = listing(await client.tags()).models.get(item.name)
    except HostUnreachable:
        raise
    except ModelMissing:
        why = "it was listed, and is not whole, or gone by now"
        return Asked(host.name, item.name, Verdict.NOT_ASKED, why, Code.BROKEN_MODEL, present)
    except HostError as error:
        return Asked(host.name, item.name, Verdict.NOT_ASKED, str(error), error.code, present)
    seconds = time.monotonic() - begun
    if now is None or now.digest != present.digest:
        why = "it changed on the host while it was asked"
        return Asked(host.name, item.name, Verdict.NOT_ASKED, why, Code.SUPERSEDED, present, seconds)
    record = Checked(present.digest, questions_of(item.check), answered.passed, answered.told, datetime.now(UTC))
    if answered.passed:
        return Asked(host.name, item.name, Verdict.PASSED, "", None, present, seconds, record)
    return Asked(host.name, item.name, Verdict.FAILED, answered.told, Code.CHECK_FAILED, present, seconds, record)


def _not_there(name: ModelName, present: Present | None, there: Listing) -> tuple[str, Code | None]:
    if present is not None:
        return "it is a cloud stub on this host", Code.REMOTE_MODEL
    if any(one.name == name for one, _ in there.collisions):
        return "the host lists it twice, in two spellings", Code.NAMES_COLLIDE
    if name in there.unreadable:
        return "the host lists it with something that is no digest", Code.NOT_OLLAMA
    return "the host does not list it", None
