"""The pass: observe, compare, plan, execute, look again, report. What `plan`, `apply` and `status` have in common."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from fleet.codes import Code
from fleet.errors import UsageError
from fleet.manifest.faults import Misread
from fleet.manifest.inventory import Prune
from fleet.manifest.item import Desired, HostDesired
from fleet.manifest.pattern import matches
from fleet.manifest.selector import Selector
from fleet.names import HostName, ModelName
from fleet.reconcile.connection import Reach, connect
from fleet.reconcile.doubting import with_doubted
from fleet.reconcile.execute import carry_out_host, look_again
from fleet.reconcile.identity import twins, vanished
from fleet.reconcile.known import Known
from fleet.reconcile.learning import evidence_of, forms_of, keep_forms, learn, with_blobs, with_what_came
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.places import at_once
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.progress import HostAwaited, HostSeen, Listener, deaf
from fleet.reconcile.publishers import Publishers, publishers
from fleet.reconcile.remarks import remarks, thrown_out
from fleet.reconcile.remembering import Spoken, remember
from fleet.reconcile.report import Outcome, Report, StepResult, counted
from fleet.reconcile.sources import moved, sources_of
from fleet.reconcile.step import Action, Plan, Step
from fleet.reconcile.steps.breaker import Breaker
from fleet.reconcile.steps.session import Told
from fleet.reconcile.steps.shared import Ask, Shared
from fleet.reconcile.steps.uploads import Uploads
from fleet.reconcile.stop import Stop
from fleet.reconcile.undone import fought
from fleet.reconcile.unsettled import under_way
from fleet.reconcile.untold import untold
from fleet.reconcile.verify import unproven
from fleet.registry.locked import Locked
from fleet.registry.served import Served
from fleet.settings import Settings
from fleet.state.digests import Digests
from fleet.state.elsewhere import made_by_others
from fleet.state.leases import Leases
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered

DEFAULT_NAME = "default"
"""Of a fleet that nobody gave a name."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the desired state a pass is about; nothing given means all of it."""

    hosts: tuple[str, ...] = ()
    """Globs over host names; any of them."""
    selector: str | None = None
    models: tuple[str, ...] = ()
    """Globs over model names; any of them. What those need is worked on as well."""


@dataclass(frozen=True, slots=True)
class Pass:
    """All that a pass is told."""

    desired: Desired
    fingerprint: str
    """Of the desired state."""
    settings: Settings
    selection: Selection = Selection()
    allowance: Allowance = Allowance()
    sources: tuple[str, ...] = ()
    """Absolute paths of `-f` and `-i`."""
    locked: Mapping[ModelName, Locked] = field(default_factory=dict)
    """The lock file, by declared name."""
    rebuild_unverified: bool = False
    """Whether created models that nobody can prove are made anew."""
    self_name: str | None = None
    """The host of the inventory that this machine is, where only that one is meant."""
    apart: Mapping[HostName, Observation] | None = None
    """Given where hosts are worked on one at a time: what is known of the others."""
    reach: Reach = connect
    publishers: Publishers = publishers

    @property
    def scope(self) -> str:
        """What passes must have in common for the size of their desired state to be compared.

        The name that somebody gave the fleet, wherever its files lie; without one, the files themselves.
        """
        named = self.desired.name != DEFAULT_NAME
        return json.dumps([self.self_name, [] if named else sorted(self.sources)])

    @property
    def told_sources(self) -> str:
        """Which manifests speak: only passes with the same ones may prune."""
        return sources_of(self.sources)


async def make_plan(work: Pass, listener: Listener = deaf) -> Plan:
    """Observes the selected hosts and plans. Changes nothing, neither there nor here.

    Raises `UsageError` for a selection that matches no host, and `fleet.state.memory.StateError`.
    """
    with Memory(work.settings.state_dir, work.desired.name) as memory:
        remembered, notes = memory.remembered(), memory.notes
    chosen = hosts_of(work)
    seen = 0

    def tell(host: HostName, observation: Observation) -> None:
        nonlocal seen
        seen += 1
        listener(HostSeen(host, observation, seen, len(chosen)))

    observations = await observe_all(
        chosen,
        work.settings,
        tell,
        lambda host: evidence_of(host, remembered),
        lambda host, why, left: listener(HostAwaited(host, why, left)),
        work.reach,
    )
    async with work.publishers(work.desired, work.settings) as ask:
        made = await plan_seen(work, chosen, observations, remembered, ask, before_asking(work))
    return replace(made, notes=notes + made.notes)


async def plan_seen(
    work: Pass,
    hosts: Sequence[HostDesired],
    observations: Mapping[HostName, Observation],
    remembered: Remembered,
    ask: Ask,
    known: Known,
) -> Plan:
    """The plan for hosts that were looked at: what else it hangs on is asked first. `known` is what `before_asking`
    tells.
    """
    remembered = moved(remembered, work.told_sources)
    observations = await with_doubted(hosts, observations, remembered, work.settings, work.reach)
    # Read after the look: what another fleet brings has its row before the host lists it.
    urls = [each.host.url for each in hosts if each.prune is Prune.UNDECLARED]
    known = replace(known, theirs=made_by_others(work.settings.state_dir, work.desired.name, urls) if urls else {})
    known = await learn(hosts, observations, ask, known)
    observations = await with_blobs(hosts, observations, known, remembered, work.settings, work.reach)
    made = plan(
        work.desired,
        observations,
        fingerprint=work.fingerprint,
        remembered=remembered,
        scope=work.scope,
        sources=work.told_sources,
        allowance=work.allowance,
        wanted=_wanted(work.selection),
        known=known,
        apart=work.apart,
    )
    return replace(
        made, notes=untold(made.steps, known) + twins(observations) + vanished(made, remembered) + remarks(made)
    )


def spoken(work: Pass) -> Spoken:
    """Who speaks for the fleet in this pass."""
    return Spoken(work.scope, work.told_sources, work.allowance.sources, work.settings.unsettled_wait)


def before_asking(work: Pass) -> Known:
    """What is known without asking anybody."""
    return Known(
        locked=work.locked, forms=forms_of(work.desired, work.settings), rebuild_unverified=work.rebuild_unverified
    )


def report_of(made: Plan, seconds: float = 0.0) -> Report:
    """A mere plan as a report."""
    return Report(
        made, made, unobserved=made.unobserved, seconds=seconds, counts=counted(made, made, (), made.unobserved)
    )


async def carry_out(
    work: Pass,
    made: Plan,
    stop: Stop,
    listener: Listener = deaf,
    enough: Callable[[Step], str | None] = lambda _: None,
) -> Report:
    """Carries a plan out that `make_plan` made of the same `work`, and looks at every changed host again. `enough` tells
    why a step is not to be begun any more, if so.

    Raises `fleet.state.memory.StateError` before anything is changed; whatever comes later is in the report.
    """
    with Memory(work.settings.state_dir, work.desired.name) as memory:
        async with work.publishers(work.desired, work.settings) as ask:
            uploads = Uploads(work.settings.uploads, Digests(work.settings.state_dir))
            return await carry_out_with(work, made, stop, listener, Company(memory, uploads, ask, enough))


@dataclass(frozen=True, slots=True)
class Company:
    """What plans that are carried out beside each other share."""

    memory: Memory
    uploads: Uploads
    ask: Ask
    enough: Callable[[Step], str | None] = lambda _: None
    """Why a step is not to be begun any more, although nobody asked to stop, if so."""
    breaker: Breaker = field(default_factory=Breaker)
    leases: Leases | None = None
    """Opened anew for each plan where there are none: to be given by who carries many out, and closed by them."""


async def carry_out_with(work: Pass, made: Plan, stop: Stop, listener: Listener, company: Company) -> Report:
    """The same with what others use as well."""
    begun, memory = time.monotonic(), company.memory
    for step in made.steps:
        if step.action is Action.DELETE:
            # Before, not after: a run killed in between must not look like a host that lost its models.
            memory.expect_gone(step.host, step.model.key)
    keep_forms(made.known, work.settings)
    served = dict(made.known.served)

    async def fresh(name: ModelName) -> Served | None:
        found = await company.ask(name)
        if found is not None:
            served[name] = found
        return found

    shared = Shared(memory, company.uploads, fresh, company.breaker, work.fingerprint, _insecure(work.desired))
    shared = replace(shared, accepted=work.allowance.foreign, emptied=work.allowance.emptied)
    told = Told(work.settings, stop, listener, shared, company.enough, work.reach)
    own = company.leases is None
    leases = company.leases or Leases(work.settings.state_dir, work.desired.name)
    try:
        after, ordered = await _steps_carried_out(work, made, replace(told, leases=leases))
    finally:
        if own:
            leases.close()
    afterwards = plan(
        work.desired,
        after,
        fingerprint=work.fingerprint,
        remembered=_without_guards(memory.remembered()),
        scope=work.scope,
        sources=work.told_sources,
        allowance=work.allowance,
        wanted=_wanted(work.selection),
        known=replace(made.known, served=served),
        apart=work.apart,
    )
    failures = tuple(result.failure for result in ordered if result.failure is not None)
    return Report(
        made,
        afterwards,
        ordered,
        failures + unproven(made, afterwards, ordered) + fought(ordered, memory.remembered()),
        afterwards.unobserved,
        stop.exit_code,
        remember(work.desired, spoken(work), made, afterwards, memory, work.fingerprint),
        time.monotonic() - begun,
        counted(made, afterwards, ordered, afterwards.unobserved),
        memory.notes + leases.notes + thrown_out(made, afterwards, ordered),
    )


async def _steps_carried_out(
    work: Pass, made: Plan, told: Told
) -> tuple[dict[HostName, Observation], tuple[StepResult, ...]]:
    """What every host shows afterwards, and how each step ended."""
    by_host: dict[HostName, list[Step]] = {}
    for step in made.steps:
        by_host.setdefault(step.host, []).append(step)
    after = dict(made.observations)
    results: dict[int, StepResult] = {}
    places = asyncio.Semaphore(at_once(work.settings.parallelism))

    async def one(host: HostName, steps: list[Step]) -> None:
        before = made.observations[host]
        if not isinstance(before, Observed):
            raise TypeError(f"steps for `{host}`, which was not seen")
        async with places:
            done, last = await carry_out_host(work.desired.hosts[host], before, steps, told)
        results.update((result.step.number, result) for result in done)
        came = [result.step for result in done if result.outcome is Outcome.DONE]
        after[host] = with_what_came(before, last, came, made.known)

    async with asyncio.TaskGroup() as group:
        for host, steps in by_host.items():
            group.create_task(one(host, steps))
    if any(result.outcome is not Outcome.NOT_TRIED for result in results.values()):
        await _unsettled_seen_again(work, after, by_host, told)
    return after, tuple(results[number] for number in sorted(results))


async def _unsettled_seen_again(
    work: Pass, after: dict[HostName, Observation], changed: Collection[HostName], told: Told
) -> None:
    """Replaces, in `after`, what was seen of hosts that may go on by themselves, as it is old by now: what they were at
    may have come to its end while others were changed.
    """

    async def one(host: HostName) -> None:
        after[host] = await look_again(work.desired.hosts[host], told)

    async with asyncio.TaskGroup() as group:
        for host, seen in list(after.items()):
            if not isinstance(seen, Observed) or seen.at is None or (host in changed and len(changed) == 1):
                continue
            begun = told.shared.known(work.desired.hosts[host].host).begun
            if under_way(begun, seen.models, seen.at, work.settings.unsettled_wait):
                group.create_task(one(host))


def _insecure(desired: Desired) -> frozenset[str]:
    return frozenset(name.lower() for name, registry in (desired.registries or {}).items() if registry.insecure)


def _without_guards(remembered: Remembered) -> Remembered:
    """For the last look, in which nothing is to be held back."""
    hosts = {name: replace(host, models=frozenset()) for name, host in remembered.hosts.items()}
    return replace(remembered, items={}, hosts=hosts)


def hosts_of(work: Pass) -> list[HostDesired]:
    """The hosts of the selection, in the order of names."""
    selection = work.selection
    selector = _selector(selection.selector) if selection.selector else None
    chosen = [
        host
        for _, host in sorted(work.desired.hosts.items())
        if (not selection.hosts or any(fnmatchcase(host.host.name, glob) for glob in selection.hosts))
        and (selector is None or selector.matches(host.host))
    ]
    if not chosen and work.desired.hosts and (selection.hosts or selector is not None):
        raise UsageError(
            "`--host` and `-l` match no host",
            code=Code.USAGE,
            hint=f"there are: {_some(sorted(work.desired.hosts))}",
        )
    return chosen


def _some(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _selector(text: str) -> Selector:
    try:
        return Selector.parse(text)
    except Misread as fault:
        raise UsageError(f"`-l {text}`: {fault}", code=Code.USAGE, hint=fault.hint) from fault


def _wanted(selection: Selection) -> _Wanted | None:
    return _Wanted(selection.models) if selection.models else None


@dataclass(frozen=True, slots=True)
class _Wanted:
    globs: tuple[str, ...]

    def __call__(self, name: ModelName) -> bool:
        return any(matches(glob, name) for glob in self.globs)
