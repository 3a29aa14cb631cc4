"""The pass: observe, compare, plan, execute, look again, report. What `plan`, `apply` and `status` have in common."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from fleet.codes import Code
from fleet.errors import FleetError, UsageError
from fleet.manifest.faults import Misread
from fleet.manifest.item import Desired, HostDesired
from fleet.manifest.pattern import matches
from fleet.manifest.selector import Selector
from fleet.names import HostName, ModelName
from fleet.reconcile.execute import carry_out_host
from fleet.reconcile.guard import items_of
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.progress import HostSeen, Listener, deaf
from fleet.reconcile.report import Outcome, Report, StepResult, counted
from fleet.reconcile.step import Action, Plan, Step
from fleet.reconcile.stop import Stop
from fleet.reconcile.verify import unproven
from fleet.settings import Settings
from fleet.state.memory import Memory, StateError
from fleet.state.remembered import HostRemembered, OptionValues

DEFAULT_NAME = "default"
"""Of a fleet that nobody gave a name."""

_SCOPES = 50
"""How many desired states of one name are remembered by size."""


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
    self_name: str | None = None
    """The host of the inventory that this machine is, where only that one is meant."""

    @property
    def scope(self) -> str:
        """What passes must have in common for the size of their desired state to be compared.

        The name that somebody gave the fleet, wherever its files lie; without one, the files themselves.
        """
        named = self.desired.name != DEFAULT_NAME
        return json.dumps([self.self_name, [] if named else sorted(self.sources)])


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

    return plan(
        work.desired,
        await observe_all(chosen, work.settings, tell),
        fingerprint=work.fingerprint,
        remembered=memory,
        scope=work.scope,
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

    Raises `fleet.state.memory.StateError` before anything is changed; whatever comes later is in the report.
    """
    begun = time.monotonic()
    memory = Memory(work.settings.state_dir, work.desired.name)
    _expect_deletes(memory, made)
    by_host: dict[HostName, list[Step]] = {}
    for step in made.steps:
        by_host.setdefault(step.host, []).append(step)
    after = dict(made.observations)
    results: dict[int, StepResult] = {}
    places = asyncio.Semaphore(work.settings.parallelism)

    async def one(host: HostName, steps: list[Step]) -> None:
        before = made.observations[host]
        if not isinstance(before, Observed):
            raise TypeError(f"steps for `{host}`, which was not seen")
        async with places:
            done, last = await carry_out_host(work.desired.hosts[host], before, steps, work.settings, stop, listener)
        results.update((result.step.number, result) for result in done)
        after[host] = last

    async with asyncio.TaskGroup() as group:
        for host, steps in by_host.items():
            group.create_task(one(host, steps))

    ordered = tuple(results[number] for number in sorted(results))
    afterwards = plan(
        work.desired, after, fingerprint=work.fingerprint, allowance=work.allowance, wanted=_wanted(work.selection)
    )
    failures = tuple(result.failure for result in ordered if result.failure is not None)
    return Report(
        made,
        afterwards,
        ordered,
        failures + unproven(made, afterwards, ordered),
        afterwards.unobserved,
        stop.exit_code,
        _remembered(work, made, memory, after, ordered),
        time.monotonic() - begun,
        counted(made, afterwards, ordered, afterwards.unobserved),
    )


def _expect_deletes(memory: Memory, made: Plan) -> None:
    """Before, not after: a run killed in between must not look like a host that lost its models."""
    before = memory.remembered()
    hosts = dict(before.hosts)
    for step in made.steps:
        host = hosts.get(step.host)
        if step.action is Action.DELETE and host is not None:
            hosts[step.host] = replace(host, models=host.models - {step.model.key})
    if hosts != before.hosts:
        memory.record(replace(before, hosts=hosts))


def _remembered(
    work: Pass,
    made: Plan,
    memory: Memory,
    after: Mapping[HostName, Observation],
    results: Sequence[StepResult],
) -> FleetError | None:
    """Keeps what the next pass compares with; tells why that could not be, if so."""
    before = memory.remembered()
    # What a guard refused is not taken for the new normal, nor is a machine in repair.
    apart = {refusal.host for refusal in made.refused if refusal.code is Code.HOST_EMPTIED} | made.suspended.keys()
    hosts = dict(before.hosts)
    for name, observation in after.items():
        if isinstance(observation, Observed) and name not in apart:
            own = [result for result in results if result.step.host == name]
            hosts[name] = _host_remembered(work.desired.hosts[name], observation, before.hosts.get(name), own)
    shrank = any(refusal.code is Code.DESIRED_SHRANK for refusal in made.refused)
    items = dict(before.items)
    if not shrank:
        items.pop(work.scope, None)
        items[work.scope] = items_of(work.desired)
    try:
        memory.record(replace(before, items=dict(list(items.items())[-_SCOPES:]), hosts=hosts))
    except StateError as error:
        return error
    return None


def _host_remembered(
    desired: HostDesired, observation: Observed, former: HostRemembered | None, results: Sequence[StepResult]
) -> HostRemembered:
    loaded: dict[ModelName, OptionValues] = {}
    if former is not None and former.url == desired.host.url:
        loaded.update(former.loaded)
    for result in results:
        step = result.step
        if step.action is Action.LOAD and result.outcome is Outcome.DONE and step.item and step.item.warm:
            loaded[step.model] = dict(step.item.warm.options)
    warm = {item.name for item in desired.items if item.warm is not None}
    return HostRemembered(
        desired.host.url,
        frozenset(model.key for model in observation.models),
        {model: options for model, options in sorted(loaded.items()) if model in warm},
    )


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
