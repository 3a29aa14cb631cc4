"""The pass: observe, compare, plan, execute, look again, report. What `plan`, `apply` and `status` have in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from fleet.codes import Code
from fleet.errors import UsageError
from fleet.manifest.faults import Misread
from fleet.manifest.item import Desired, HostDesired
from fleet.manifest.pattern import matches
from fleet.manifest.selector import Selector
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason, State
from fleet.reconcile.execute import carry_out_host
from fleet.reconcile.guard import items_of
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Observed, Unobserved
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.progress import HostSeen, Listener, deaf
from fleet.reconcile.report import Failure, Outcome, Report, StepResult, counted
from fleet.reconcile.step import Action, Plan, Step
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered, OptionValues


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
    """Absolute paths of `-f` and `-i`: only passes over the same ones are compared by guards."""
    observations: dict[HostName, Observation] = field(default_factory=dict, compare=False)
    """What planning saw, for execution to start from."""


async def make_plan(work: Pass, listener: Listener = deaf) -> Plan:
    """Observes the selected hosts and plans. Changes nothing, neither there nor here.

    Raises `UsageError` for a selection that matches no host, and `fleet.state.memory.StateError`.
    """
    memory = Memory(work.settings.state_dir, work.desired.name).remembered()
    chosen = _chosen(work)
    seen = 0

    def tell(host: HostName, observation: Observation) -> None:
        nonlocal seen
        seen += 1
        listener(HostSeen(host, observation, seen, len(chosen)))

    observations = await observe_all(chosen, work.settings, tell)
    work.observations.clear()
    work.observations.update(observations)
    return plan(
        work.desired,
        observations,
        fingerprint=work.fingerprint,
        remembered=memory,
        sources=work.sources,
        allowance=work.allowance,
        wanted=_wanted(work.selection),
    )


def report_of(made: Plan, seconds: float = 0.0) -> Report:
    """A mere plan as a report."""
    return Report(
        made, made, unobserved=made.unobserved, seconds=seconds, counts=counted(made, made, (), made.unobserved)
    )


async def carry_out(work: Pass, made: Plan, stop: Stop, listener: Listener = deaf) -> Report:
    """Carries a plan out that `make_plan` made of the same `work`, and looks at every changed host again.

    Raises `fleet.state.memory.StateError`; whatever hosts do is in the report.
    """
    begun = time.monotonic()
    memory = Memory(work.settings.state_dir, work.desired.name)
    by_host: dict[HostName, list[Step]] = {}
    for step in made.steps:
        by_host.setdefault(step.host, []).append(step)
    after = dict(work.observations)
    results: dict[int, StepResult] = {}
    places = asyncio.Semaphore(work.settings.parallelism)

    def deleting(host: HostName, deletes: Sequence[Step]) -> None:
        # Before, not after: a run killed in between must not look like a host that lost its models.
        before = memory.remembered().hosts.get(host)
        if before is not None:
            gone = {step.model.key for step in deletes}
            memory.record_host(host, replace(before, models=before.models - gone))

    async def one(host: HostName, steps: list[Step]) -> None:
        before = work.observations[host]
        if not isinstance(before, Observed):
            raise TypeError(f"steps for `{host}`, which was not seen")
        async with places:
            done, last = await carry_out_host(
                work.desired.hosts[host], before, steps, work.settings, stop, listener, deleting
            )
        results.update((result.step.number, result) for result in done)
        after[host] = last

    async with asyncio.TaskGroup() as group:
        for host, steps in by_host.items():
            group.create_task(one(host, steps))

    ordered = tuple(results[number] for number in sorted(results))
    afterwards = plan(work.desired, after, fingerprint=work.fingerprint, wanted=_wanted(work.selection))
    unseen = afterwards.unobserved
    failures = tuple(result.failure for result in ordered if result.failure is not None)
    _remember(work, made, memory, after, ordered)
    return Report(
        made,
        afterwards,
        ordered,
        failures + _unproven(afterwards, ordered),
        unseen,
        stop.exit_code,
        time.monotonic() - begun,
        counted(made, afterwards, ordered, unseen),
    )


def _unproven(after: Plan, results: Sequence[StepResult]) -> tuple[Failure, ...]:
    """What the last look shows to be otherwise than the steps that said `done`."""
    ended: dict[tuple[HostName, ModelName], set[Outcome]] = {}
    for result in results:
        ended.setdefault((result.step.host, result.step.model), set()).add(result.outcome)
    found = []
    for host in after.hosts:
        for item in host.items:
            if ended.get((host.host, item.item.name)) != {Outcome.DONE}:
                continue
            if item.state is State.DIFFERS:
                message = f"`{item.item.name}` is not as desired in the last look: {item.reason}"
                found.append(Failure(Code.NOT_AS_WANTED, message, host.host, item.item.name))
            elif (
                item.warmth is not None
                and item.warmth.state is State.DIFFERS
                and item.warmth.reason is not Reason.EXPIRES_SOON
            ):
                message = f"`{item.item.name}` was loaded, and the last look shows: {item.warmth.reason}"
                found.append(Failure(Code.NOT_HELD, message, host.host, item.item.name, Action.LOAD))
    return tuple(found)


def _remember(
    work: Pass,
    made: Plan,
    memory: Memory,
    after: Mapping[HostName, Observation],
    results: Sequence[StepResult],
) -> None:
    """What the next pass compares with. What a guard refused is not taken for the new normal."""
    before = memory.remembered()
    hosts = {name: host for name, host in before.hosts.items() if name in work.desired.hosts}
    held_back = {refusal.host for refusal in made.refused if refusal.code is Code.HOST_EMPTIED}
    for name, observation in after.items():
        if isinstance(observation, Unobserved) or name in held_back:
            continue
        desired = work.desired.hosts[name]
        former = before.hosts.get(name)
        same = former is not None and former.url == desired.host.url
        loaded: dict[ModelName, OptionValues] = dict(former.loaded) if former and same else {}
        for result in results:
            step = result.step
            if step.host == name and step.action is Action.LOAD and result.outcome is Outcome.DONE:
                loaded[step.model] = dict(step.item.warm.options) if step.item and step.item.warm else {}
        warm = {item.name for item in desired.items if item.warm is not None}
        hosts[name] = HostRemembered(
            desired.host.url,
            frozenset(model.key for model in observation.models),
            {model: options for model, options in sorted(loaded.items()) if model in warm},
        )
    shrank = any(refusal.code is Code.DESIRED_SHRANK for refusal in made.refused)
    items, sources = (before.items, before.sources) if shrank else (items_of(work.desired), work.sources)
    memory.record(replace(before, items=items, sources=sources, hosts=hosts))


def _chosen(work: Pass) -> list[HostDesired]:
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
            hint=f"there are: {', '.join(sorted(work.desired.hosts)[:10])}",
        )
    return chosen


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
