"""Tries a change of manifests: copies of the hosts as a snapshot has them, the real engine, and what comes of it.

Nothing is asked of a host. Registries are asked only for what neither the snapshot nor the lock file tells, and only where
that is allowed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from fleet.codes import Code
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.manifest.item import Desired
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.learning import evidence_of
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Unobserved
from fleet.reconcile.progress import HostSeen, Listener, deaf
from fleet.reconcile.publishers import publishers
from fleet.reconcile.rehearsing.differing import differing_copies
from fleet.reconcile.rehearsing.host_copies import HostCopies
from fleet.reconcile.rehearsing.notes import notes_on
from fleet.reconcile.rehearsing.offers import Offer, Offering, served_of
from fleet.reconcile.rehearsing.record import keep_recorded_forms, record_of
from fleet.reconcile.rehearsing.rehearsal import (
    DiskUse,
    Loaded,
    MemoryUse,
    Rehearsal,
    evicted,
    transfers_of,
)
from fleet.reconcile.rehearsing.snapshot import Snapshot
from fleet.reconcile.rehearsing.stand_ins import FewBytes, local_contents, on_copies
from fleet.reconcile.rehearsing.texts import Texts, declared_texts
from fleet.reconcile.report import Failure
from fleet.reconcile.run import Company, Pass, before_asking, carry_out_with, hosts_of, plan_seen
from fleet.reconcile.step import Action, Plan
from fleet.reconcile.steps.shared import Ask
from fleet.reconcile.stop import Stop
from fleet.registry.image import Image, read
from fleet.registry.served import Published, Served
from fleet.settings import Settings
from fleet.simulate.blobs import Content
from fleet.simulate.copies import Copies, HostCopy
from fleet.simulate.elsewhere import Elsewhere
from fleet.state.digests import Digests
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered

_NOWHERE = "http://127.0.0.1:1"
"""The address of hosts that have no copy: nobody asks it."""
_AT_ONCE = 0.001
"""Seconds before a copy is asked again: it does not get better by waiting."""


async def rehearse(
    work: Pass, snapshot: Snapshot, *, bandwidth: float, offline: bool = False, listener: Listener = deaf
) -> Rehearsal:
    """The pass that `work` tells of, on copies of the hosts. `bandwidth` in bytes per second; `offline`: no registry is
    asked, whatever the settings say.

    Raises `InputError` for a snapshot that is of another fleet or holds what no fleet wrote, and for local files that
    cannot be read; `UsageError` for a selection that matches no host.
    """
    if snapshot.fleet != work.desired.name:
        raise InputError(
            f"the snapshot is of the fleet `{clean(snapshot.fleet, limit=100)}`, and the inventory is of"
            f" `{work.desired.name}`",
            code=Code.SNAPSHOT_WRONG,
            hint="name the inventory that it was taken with by `-i`",
        )
    work = replace(work, desired=_suspended(work.desired, snapshot))
    there = {host.host.name for host in hosts_of(work)}
    asking = work.settings if not offline else replace(work.settings, ask_registries=False)
    async with publishers(work.desired, asking) as ask:
        offering = Offering(snapshot, work.locked, ask)
        items = (item for name, host in work.desired.hosts.items() if name in there for item in host.items)
        offers = await offering.offers({id(item): item for item in items}.values())
    texts = Texts(declared_texts(work.desired))
    images = [offer.image for offer in offers if offer.image is not None]
    images += [each.image for each in map(served_of, snapshot.served.values()) if isinstance(each, Published)]
    copies_of = HostCopies(snapshot, images, texts)
    with tempfile.TemporaryDirectory(prefix="fleet-rehearsal-") as folder:
        stage = _Stage(work, snapshot, offers, texts, folder)
        hosts: dict[str, HostCopy] = {
            name: copies_of.host(name, wanted.host.capacity)
            for name, wanted in work.desired.hosts.items()
            if name in there and name in snapshot.hosts
        }
        elsewhere = Elsewhere(_contents(work.desired))
        async with Copies(hosts, _registries(work.desired, offers), elsewhere) as copies:
            for offer in offers:
                if offer.image is not None:
                    copies.offer(offer.name, copies_of.offered(offer.image, offer.held))
            return await stage.played(copies, elsewhere, bandwidth, listener)


@dataclass(frozen=True, slots=True)
class _Stage:
    """One rehearsal in the making."""

    work: Pass
    snapshot: Snapshot
    offers: tuple[Offer, ...]
    texts: Texts
    folder: str
    """Where the record of this rehearsal lies, and ends with it."""

    async def played(self, copies: Copies, elsewhere: Elsewhere, bandwidth: float, listener: Listener) -> Rehearsal:
        work = replace(
            self.work,
            desired=on_copies(self.work.desired, lambda name: copies.url(name) if name in copies.hosts else _NOWHERE),
            settings=_settings(self.work.settings, self.folder),
        )
        ask = self._ask(copies, elsewhere)
        notes = await differing_copies(self.snapshot, work.desired, copies.hosts.keys(), work.settings, self.texts)
        memory_before = {name: _loaded(copies, name) for name in copies.hosts}
        disk_before = {name: host.store.blobs.used for name, host in copies.hosts.items()}
        with Memory(self.folder, work.desired.name) as memory:
            memory.record(record_of(self.snapshot, self.work, work, self.texts))
            with Digests(self.folder) as digests:
                keep_recorded_forms(self.snapshot, digests)
            made = await self._planned(work, memory.remembered(), ask, listener)
            uploads = FewBytes(work.settings.uploads, Digests(self.folder))
            report = await carry_out_with(work, made, Stop(), listener, Company(memory, uploads, ask))
            again = await self._planned(work, memory.remembered(), ask, deaf)
        memory_after = {name: _loaded(copies, name) for name in copies.hosts}
        capacities = {name: wanted.host.capacity for name, wanted in work.desired.hosts.items()}
        return Rehearsal(
            self.snapshot.taken_at,
            replace(
                report,
                plan=self._as_recorded(made),
                after=self._as_recorded(report.after),
                failures=tuple(_of_host(failure, work.desired) for failure in report.failures),
            ),
            self._as_recorded(again),
            bandwidth,
            transfers_of(report),
            tuple(
                MemoryUse(
                    HostName(name),
                    capacities[HostName(name)].vram,
                    tuple(memory_before[name].values()),
                    tuple(_as_before(memory_after[name], memory_before[name])),
                    evicted(memory_before[name], memory_after[name], _taken_away(made, name)),
                )
                for name in copies.hosts
                if memory_before[name] or memory_after[name]
            ),
            tuple(
                DiskUse(
                    HostName(name),
                    capacities[HostName(name)].disk,
                    disk_before[name],
                    host.store.blobs.used,
                    host.store.blobs.peak,
                )
                for name, host in copies.hosts.items()
            ),
            (*notes_on(self.snapshot, self.work.desired, made, self.offers), *notes),
        )

    async def _planned(self, work: Pass, remembered: Remembered, ask: Ask, listener: Listener) -> Plan:
        """As `make_plan`, of the hosts that have copies; of the others the snapshot tells why they have none."""
        hosts = hosts_of(work)
        seen = 0

        def tell(host: HostName, observation: Observation) -> None:
            nonlocal seen
            seen += 1
            listener(HostSeen(host, observation, seen, len(hosts)))

        observations: dict[HostName, Observation] = dict(
            await observe_all(
                [host for host in hosts if host.host.name in self.snapshot.hosts],
                work.settings,
                tell,
                lambda host: evidence_of(host, remembered),
            )
        )
        for host in hosts:
            if host.host.name not in observations:
                observations[host.host.name] = self._missed(host.host.name)
        return await plan_seen(work, hosts, observations, remembered, ask, before_asking(work))

    def _missed(self, name: HostName) -> Unobserved:
        why = self.snapshot.unobserved.get(name)
        if why is None:
            hint = "take a new one with this inventory"
            return Unobserved(name, Code.UNREACHABLE, "the snapshot does not have this host", hint)
        code = next((code for code in Code if code.id == why.code), Code.UNREACHABLE)
        return Unobserved(name, code, clean(why.message), code.cure)

    def _ask(self, copies: Copies, elsewhere: Elsewhere) -> Ask:
        offered = {offer.name: offer.served for offer in self.offers}

        async def ask(name: ModelName) -> Served | None:
            body = await copies.pushed(name)
            if body is not None:
                return Published(_pushed(body, elsewhere))
            return offered[name] if name in offered else served_of(self.snapshot.served.get(str(name)))

        return ask

    def _as_recorded(self, made: Plan) -> Plan:
        """As a plan on the hosts themselves would tell it: texts by their real hashes, checks with what they expect."""
        checks = {
            (name, item.name): questions_of(item.check)
            for name, wanted in self.work.desired.hosts.items()
            for item in wanted.items
            if item.check
        }
        steps = (
            replace(
                step,
                changes=tuple(map(self.texts.as_recorded, step.changes)),
                inputs=checks[step.host, step.model] if step.action is Action.CHECK else step.inputs,
            )
            for step in made.steps
        )
        return replace(made, steps=tuple(steps))


def _settings(settings: Settings, folder: str) -> Settings:
    return replace(
        settings,
        state_dir=folder,
        wait=0.0,
        retry_wait=_AT_ONCE,
        poll_interval=min(settings.poll_interval, 0.02),
    )


def _contents(desired: Desired) -> dict[str, Content]:
    try:
        return local_contents(desired)
    except OSError as error:
        raise InputError(
            f"a local file cannot be read: {error.filename or ''}: {error.strerror or error}",
            code=Code.WEIGHTS_WRONG,
            hint=Code.WEIGHTS_WRONG.cure,
        ) from error


def _suspended(desired: Desired, snapshot: Snapshot) -> Desired:
    """With the hosts only looked at that were suspended when the snapshot was taken; what the inventory says stays."""
    hosts = {
        name: replace(wanted, host=replace(wanted.host, suspended=snapshot.suspended[name]))
        if name in snapshot.suspended and wanted.host.suspended is None
        else wanted
        for name, wanted in desired.hosts.items()
    }
    return replace(desired, hosts=hosts) if snapshot.suspended else desired


def _of_host(failure: Failure, desired: Desired) -> Failure:
    """With the host's name where the address of its copy stands."""
    url = desired.hosts[failure.host].host.url
    return replace(failure, message=failure.message.replace(url, f"http://{failure.host}"))


def _registries(desired: Desired, offers: Iterable[Offer]) -> set[str]:
    """Every registry that a host could ask."""
    pushed = (item.name for host in desired.hosts.values() for item in host.items if item.push)
    return {name.registry.lower() for name in (*(offer.name for offer in offers), *pushed)}


def _pushed(body: bytes, elsewhere: Elsewhere) -> Image:
    """What a copy pushed. That of a model which stands for another one goes by the digest of that."""
    image = read(body)
    known = elsewhere.digest_of(body)
    return replace(image, raw=Digest(known), normalised=Digest(known), created=Digest(known)) if known else image


def _loaded(copies: Copies, host: str) -> dict[str, Loaded]:
    """By what runners are told apart by: the weights."""
    return {each["weights"]: Loaded(each["name"], each["size"]) for each in copies.running(host)}


def _as_before(after: Mapping[str, Loaded], before: Mapping[str, Loaded]) -> Iterator[Loaded]:
    """What is in memory, by the size that the host told where it was there before."""
    for weights, each in after.items():
        yield replace(each, size=before[weights].size) if weights in before else each


def _taken_away(made: Plan, host: str) -> set[str]:
    """Names whose content, or whose place in memory, is taken away on purpose."""
    going = {Action.UNLOAD, Action.RELEASE, Action.DELETE, Action.PULL, Action.CREATE, Action.COPY}
    steps = [step for step in made.steps if step.host == host and step.action in going]
    return {step.listed for step in steps} | {str(step.model) for step in steps}
