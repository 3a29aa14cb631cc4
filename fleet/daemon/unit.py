"""One host's part of a pass: look, plan, leave alone what failed lately, carry out, look again, judge.

Hosts are worked on apart from each other, so that one that is slow, or long at a download, delays none of the others.
Nothing a host does raises; a fault of fleet itself on one host is told as that host's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.codes import Code
from fleet.daemon.backoff import BackOff, Clocks, Key, look_of
from fleet.daemon.board import Board
from fleet.daemon.contention import Contention, contended
from fleet.daemon.counters import Counters
from fleet.daemon.done import Done
from fleet.daemon.following import Following
from fleet.daemon.judging import Circumstances, host_status
from fleet.daemon.pass_log import PassLog
from fleet.daemon.source.reading import Snapshot
from fleet.daemon.waiting import after_failure, after_silence, counts, inputs_of
from fleet.errors import OutcomeUnknown
from fleet.manifest.item import HostDesired
from fleet.names import HostName
from fleet.ollama.versions import Version
from fleet.reconcile.difference import Reason, State
from fleet.reconcile.known import Known
from fleet.reconcile.learning import evidence_of
from fleet.reconcile.observe import observe, unobserved
from fleet.reconcile.observed import Observation, Observed, Unobserved
from fleet.reconcile.plan import restricted, together
from fleet.reconcile.remembering import remember
from fleet.reconcile.report import Failure, Outcome, Report
from fleet.reconcile.run import Company, Pass, carry_out_with, plan_seen, spoken
from fleet.reconcile.step import Action, Plan, Step
from fleet.reconcile.steps.breaker import Breaker
from fleet.reconcile.steps.shared import Ask
from fleet.reconcile.steps.uploads import Uploads
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.state.attempts import Attempt, Attempts
from fleet.state.leases import Leases
from fleet.state.memory import Memory, StateError
from fleet.state.remembered import Remembered

_UNSAVED = 200
"""Attempts that are written together, at most."""
NEWER = "the manifests changed meanwhile, and the next pass goes on by them"


@dataclass(frozen=True, slots=True)
class Round:
    """What all hosts of one pass have in common."""

    snapshot: Snapshot
    work: Pass
    known: Known
    """What is known before anybody is asked."""
    ask: Ask
    """Registries, each name once for the whole pass."""
    before: Remembered = field(default_factory=Remembered)
    """What was remembered when the pass began. What its first hosts leave of the fleet as a whole, how much was asked and
    by whom, is no earlier pass for the others.
    """


@dataclass(slots=True)
class Bench:
    """What units share for as long as the daemon lives."""

    settings: Settings
    memory: Memory
    uploads: Uploads
    attempts: Attempts
    backoff: BackOff
    board: Board
    clocks: Clocks
    counters: Counters
    log: PassLog
    looks: asyncio.Semaphore
    """Places to look at hosts that answered the last time."""
    slow_looks: asyncio.Semaphore
    """Places for the others, which may take their whole time."""
    enough: Callable[[HostName, Round], str | None] = lambda _host, _round: None
    """Why no further step of a host is to be begun, if so."""
    breaker: Breaker = field(default_factory=Breaker)
    """Registries that are left alone."""
    leases: Leases | None = None
    contention: Contention = field(init=False)
    stops: dict[HostName, Stop] = field(default_factory=dict)
    following: dict[HostName, Following] = field(default_factory=dict)
    tripped: dict[HostName, frozenset[Code]] = field(default_factory=dict)
    """Guards that hold something back."""
    seen: dict[HostName, Observation] = field(default_factory=dict)
    """The last look at each host, kept while one of them publishes for all."""
    keeps_seen: bool = False
    unsaved: list[Attempt] = field(default_factory=list)
    """Attempts to be written at the end of the pass, at the latest."""
    looked_at: list[tuple[Pass, Plan]] = field(default_factory=list)
    """Hosts that were seen, of which the same holds: a write for each of a thousand would take seconds."""
    calm: dict[HostName, tuple[object, ...]] = field(default_factory=dict)
    """What a host said and was asked for when there was nothing to do: as long as both stay, there is nothing either."""

    def __post_init__(self) -> None:
        self.contention = Contention(self.clocks.monotonic)

    def to_remember(self, work: Pass, made: Plan) -> None:
        """What guards compare with the next time. Raises `StateError`."""
        self.looked_at.append((work, made))
        if len(self.looked_at) >= _UNSAVED:
            self.save()

    def save(self) -> None:
        """Raises `StateError`."""
        unsaved, self.unsaved = self.unsaved, []
        looked_at, self.looked_at = self.looked_at, []
        self.attempts.keep(unsaved)
        # By what each was planned from: passes of two readings may be under way at once.
        for work in {id(work): work for work, _ in looked_at}.values():
            made = together([plan for each, plan in looked_at if each is work])
            error = remember(work.desired, spoken(work), made, made, self.memory, work.fingerprint)
            if isinstance(error, StateError):
                raise error

    def forget(self, host: HostName) -> None:
        """A host that the inventory has no more. Raises `StateError`."""
        self.board.drop_host(host)
        self.log.host_gone(host)
        self.unsaved = [attempt for attempt in self.unsaved if attempt.host != host]
        if self.backoff.drop(list(self.backoff.of(host))):
            self.attempts.drop_host(host)
        for known in (self.calm, self.seen, self.tripped):
            known.pop(host, None)
        self.contention.drop(host)


async def work_on(host: HostDesired, round_: Round, bench: Bench) -> Done:
    """One host, once. Raises `StateError` where the record cannot be used: then nothing may be changed anywhere."""
    name = host.host.name
    if bench.backoff.held(look_of(name), ""):
        return Done(name, None)
    try:
        return await _worked_on(host, round_, bench)
    except OutcomeUnknown:
        return Done(name, None, cut=True)
    except StateError:
        raise
    except Exception as error:  # a fault of ours on one host must not end the others
        bench.log.crashed(f"host {name}", error)
        observation = unobserved(name, error)
        _silent(host, observation, round_, bench)
        return Done(name, None, observation=observation)


async def _worked_on(host: HostDesired, round_: Round, bench: Bench) -> Done:
    """Raises `OutcomeUnknown` where the end was asked for before anything was begun, and `StateError`."""
    name, work = host.host.name, round_.work
    stop = bench.stops[name]
    observation = await stop.heed(_look(host, work, bench), 0.0)
    if isinstance(observation, Unobserved):
        _silent(host, observation, round_, bench)
        return Done(name, None, observation=observation)
    _forget(bench, [look_of(name)])
    if bench.keeps_seen:
        bench.seen[name] = observation
    said = _said(host, observation, round_)
    if said is not None and bench.calm.get(name) == said:
        _seen(name, observation, bench)
        return Done(name, None, observation=observation)
    bench.calm.pop(name, None)
    remembered = replace(bench.memory.remembered(), items=round_.before.items, sources=round_.before.sources)
    planned = plan_seen(work, [host], {name: observation}, remembered, round_.ask, round_.known)
    made = await stop.heed(planned, 0.0)
    seen = made.observations[name]
    _drop_settled(name, made, bench)
    _tripped(name, made, bench)
    _left_out(made, observation.version, bench)
    kept = restricted(made, _due(made, observation.version, bench))
    held = len(made.steps) - len(kept.steps)
    if work.settings.dry_run or not kept.steps:
        if not work.settings.dry_run:
            bench.to_remember(work, made)
        _judge(host, made, seen, bench)
        if said is not None and not made.steps and not made.known.served and _is_calm(made):
            bench.calm[name] = said
        return Done(name, made, observation=seen, held=held)
    report = await _carry_out(host, kept, round_, bench)
    return Done(name, made, report, report.after.observations.get(name), held)


async def _look(host: HostDesired, work: Pass, bench: Bench) -> Observation:
    former = bench.board.hosts.get(host.host.name)
    slow = former is not None and former.seen is None
    slow = slow or bench.backoff.get(look_of(host.host.name)) is not None
    room = bench.slow_looks if slow else bench.looks
    async with room:
        return await observe(host, work.settings, evidence_of(host, bench.memory.remembered()), work.reach, room)


async def _carry_out(host: HostDesired, plan: Plan, round_: Round, bench: Bench) -> Report:
    name = host.host.name
    began = bench.clocks.now()
    stop = bench.stops[name]
    following = bench.following[name] = Following(name, bench.board, bench.clocks, began, bench.counters.heard)
    _judge(host, plan, plan.observations[name], bench, busy_since=began)
    company = Company(
        bench.memory, bench.uploads, round_.ask, lambda _: bench.enough(name, round_), bench.breaker, bench.leases
    )
    try:
        report = await carry_out_with(round_.work, plan, stop, following, company)
    finally:
        del bench.following[name]
    if isinstance(report.not_remembered, StateError):
        raise report.not_remembered
    _learn(report, plan, bench)
    observation = report.after.observations.get(name)
    if observation is not None:
        _judge(host, report.after, observation, bench)
    for failure in report.failures:
        bench.log.failure(failure)
    return report


def _left_out(plan: Plan, version: Version, bench: Bench) -> None:
    """Has models wait that others pushed out of memory soon after they were loaded."""
    now, found = bench.clocks.now(), []
    for step in plan.steps:
        if step.action is Action.LOAD and step.reason is Reason.NOT_WARM:
            key = _key(step)
            seconds = bench.contention.missed(key)
            if seconds:
                found.append(contended(key, inputs_of(step, version), bench.contention.times(key), now, seconds))
                bench.backoff.put(found[-1])
    if found:
        bench.attempts.keep(found)


def _due(plan: Plan, version: Version, bench: Bench) -> Callable[[Step], bool]:
    """The steps that may be done now: all but those that failed lately with the same inputs, and what needs them."""
    left: set[int] = set()
    for step in plan.steps:
        if bench.backoff.held(_key(step), inputs_of(step, version)) or left.intersection(step.needs):
            left.add(step.number)
    return lambda step: step.number not in left


def _learn(report: Report, plan: Plan, bench: Bench) -> None:
    """Keeps what failed, and forgets what succeeded."""
    now = bench.clocks.now()
    done = [result.step for result in report.results if result.outcome is Outcome.DONE]
    # A step that said `done` and did not hold failed all the same, and it is counted how often.
    failed = {_key(step) for failure in report.failures if (step := _step_of(failure, plan)) is not None}
    _forget(bench, [key for step in done if (key := _key(step)) not in failed])
    for loaded in done:
        if loaded.action is Action.LOAD and loaded.item is not None and loaded.item.warm is not None:
            bench.contention.loaded(_key(loaded), loaded.item.warm.keep_alive)
    kept: list[Attempt] = []
    for failure in report.failures:
        step = _step_of(failure, plan)
        if not counts(failure) or step is None:
            continue
        before = plan.observations.get(failure.host)
        version = before.version if isinstance(before, Observed) else Version(0, 0, 0)
        former = bench.backoff.get(_key(step))
        told = replace(failure, action=step.action)
        if former is not None:
            bench.counters.retried(former.retry_class)
        kept.append(
            after_failure(former, told, inputs_of(step, version), now, bench.settings, random.random())  # noqa: S311
        )
        bench.backoff.put(kept[-1])
    if kept:
        bench.attempts.keep(kept)


def _step_of(failure: Failure, plan: Plan) -> Step | None:
    """The step that failed; for what the last look showed otherwise, the last one of that model."""
    steps = [step for step in plan.steps if step.model == failure.model]
    return next((step for step in steps if step.number == failure.step), steps[-1] if steps else None)


def _tripped(host: HostName, made: Plan, bench: Bench) -> None:
    """Counts each guard once, when it begins to hold something back."""
    codes = frozenset(refusal.code for refusal in made.refused)
    for code in codes - bench.tripped.get(host, frozenset()):
        bench.counters.guard_tripped(code)
    bench.tripped[host] = codes


def _key(step: Step) -> Key:
    return step.host, str(step.model), str(step.action)


def _forget(bench: Bench, keys: Iterable[Key]) -> None:
    gone = bench.backoff.drop(keys)
    if gone:
        bench.attempts.drop(gone)


def _drop_settled(host: HostName, made: Plan, bench: Bench) -> None:
    """Forgets what failed and is not wanted any more: no step of this plan is for it."""
    wanted = {_key(step) for step in made.steps}
    _forget(bench, [key for key in bench.backoff.of(host) if key[1] and key not in wanted])


def _silent(host: HostDesired, observation: Unobserved, round_: Round, bench: Bench) -> None:
    key = look_of(host.host.name)
    attempt = after_silence(
        bench.backoff.get(key),
        observation,
        bench.clocks.now(),
        bench.settings,
        random.random(),  # noqa: S311
    )
    bench.calm.pop(host.host.name, None)
    bench.backoff.put(attempt)
    # A thousand silent hosts are a thousand of these: they are written together.
    bench.unsaved.append(attempt)
    if len(bench.unsaved) >= _UNSAVED:
        bench.save()
    _judge(host, Plan(round_.work.desired.name), observation, bench)


def _judge(
    host: HostDesired,
    plan: Plan,
    observation: Observation,
    bench: Bench,
    *,
    busy_since: datetime | None = None,
) -> None:
    name = host.host.name
    failed = {key[1:]: attempt for key, attempt in bench.backoff.of(name).items()}
    circumstances = Circumstances(
        bench.clocks.now(),
        failed,
        {key: bench.backoff.next_try((name, *key)) for key in failed},
        busy_since=busy_since,
    )
    bench.board.put_host(host_status(host, plan, observation, bench.board.hosts.get(name), circumstances))


def _seen(name: HostName, observation: Observed, bench: Bench) -> None:
    """The same as the last time: only how fresh that is changes."""
    status = bench.board.hosts.get(name)
    if status is not None:
        converged = observation.at if status.ready else status.converged
        bench.board.put_host(replace(status, seen=observation.at, converged=converged))


def _said(host: HostDesired, observed: Observed, round_: Round) -> tuple[object, ...] | None:
    """All that a plan for the host hangs on, where that does not hang on the time or on registries; else nothing."""
    if any(item.warm is not None or item.push for item in host.items):
        return None
    runners = tuple(replace(runner, expires_at=None) for runner in observed.runners)
    # The desired part itself, so that it stays in memory: another one at the same place is no equal one.
    return (
        _Same(host), round_.work.fingerprint, observed.version, observed.models, runners, observed.contents,
        observed.collisions, observed.unreadable,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Same:
    """Equal to nothing but the same object: comparing two desired states of a host takes as long as planning."""

    host: HostDesired

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.host is other.host

    def __hash__(self) -> int:
        return id(self.host)


def _is_calm(made: Plan) -> bool:
    """Whether nothing is to be done, tried or told: what is blocked is looked at anew each time."""
    return (
        not made.blocked
        and not made.refused
        and not made.suspended
        and all(
            item.state in {State.AS_DESIRED, State.UNVERIFIED} and item.trouble is None and not item.adopt
            for host in made.hosts
            for item in host.items
        )
    )
