"""What must hold in the machine's world, and the runs of fleet as it sees them. Every fault is a `Violation` by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from fleet.errors import ExitCode
from fleet.names import HostName
from fleet.reconcile.plan import Allowance
from fleet.reconcile.report import Outcome, Report
from fleet.reconcile.step import Action, Plan, Step
from tests.machine import oracle
from tests.machine.declared import ORIGIN, Entry, source
from tests.machine.line import Fate, Life
from tests.machine.spelled import full, is_backup, meant
from tests.machine.violations import Violation, demand
from tests.machine.watching import Operation
from tests.machine.world import Ran, World, published

MOST_TRIES = 24
"""Requests of one kind for one name in one run: all tries of fleet's together are fewer."""
_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PEACE = 4 * 24 * 3600.0
"""Seconds after which fleet no longer minds that somebody else changed what it made again and again."""
SURE = 500.0
"""Seconds for which a later run takes what came of an earlier one for fleet's own."""
RECENT = 700.0
"""Seconds for which what fleet left half-way may still come to its end."""
_CONTENT = frozenset({Action.PULL, Action.CREATE, Action.COPY})
_PLAN = "saved.plan"
_LOST_ENOUGH = 3


class Judge:
    """Sees every request that changes a host, every run's end, and what there is then."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.failed = False
        self._kept: dict[str, dict[str, str]] = {host: {} for host in world.versions}
        """What was usable when the present run began and was not taken away by others since."""
        self._present: Ran | None = None
        self._seen: dict[str, set[str]] = {}
        """What each host that was up listed when the present run began."""
        self._applied = False
        self._ever: set[tuple[str, str, str]] = set()
        """Host, name and content: what fleet put under a name that was free, and what it made of that later."""
        self._put: dict[tuple[str, str], str] = {}
        """The same, as far as nobody touched it since."""
        self._put_at: dict[tuple[str, str], float] = {}
        """When, in seconds of the loop."""
        self._put_by: dict[tuple[str, str], int] = {}
        """The number of the request that did."""
        self._left_at: dict[tuple[str, str], float | None] = {}
        """When that came, in seconds of the loop, if an earlier run than the one at work left it."""
        self._new: set[tuple[str, str]] = set()
        """What the present run put there."""
        self._unaccepted: set[tuple[str, str, str]] = set()
        """Host, name and content: what fleet brought under a free name and nobody accepts there. It may take that back."""
        self._told: set[tuple[str, str]] = set()
        """What the record had as fleet's own."""
        self._raced: dict[tuple[str, str], float] = {}
        """What others changed in the middle of the present run, and when, in seconds of the loop."""
        self._others_at: set[tuple[str, str]] = set()
        """What others are at this moment changing."""
        self._asked = 0
        """How much was asked of all hosts by the last run that finished."""
        self._left: dict[tuple[str, str], float] = {}
        """When a host was done with what did not succeed, in seconds of the loop: what comes there later may be of it."""
        self._had: dict[str, set[str]] = {host: set() for host in world.versions}
        """What a host listed when fleet saw it last."""
        world.watchers.append(self._over)
        world.sentries.append(self._before)

    # Runs.

    def planned(self, allowance: Allowance, *, save: bool = False) -> bool:
        """`fleet plan` changes nothing, whatever it finds. Whether there is a plan now."""
        path = self.world.folder / _PLAN
        path.unlink(missing_ok=True)
        ran = self._judged(lambda: self.world.plan(allowance, path=path if save else None), Allowance())
        self._demand("E3", (f"`plan` asked {each.host} to {each.kind} {each.name}" for each in self.world.eyes.history))
        return ran.plan is not None and path.exists()

    def applied(self, life: Life, allowance: Allowance, *, saved: bool = False) -> Ran:
        """`fleet apply`, and all that must hold of it."""
        path = self.world.folder / _PLAN if saved else None
        if path is not None and not path.exists():
            path = None
        ran = self._judged(lambda: self.world.apply(allowance, life, saved=path), allowance)
        if ran.refused is not None:
            self._demand(
                "E3",
                (f"a refused run asked {each.host} to {each.kind} {each.name}" for each in self.world.eyes.history),
            )
            return ran
        if ran.plan is not None:
            self._demand("E3", self._unasked(ran.plan))
            self._demand("I6", self._against_guards(ran, allowance))
        self._demand("E10", self._too_often())
        if ran.report is not None:
            self._demand("E6", self._untrue(ran, ran.report, saved=path is not None))
            self._demand("E15", _unclean(ran.report))
            self._remember(ran, ran.report)
        return ran

    def _judged(self, run: Callable[[], Ran], allowance: Allowance) -> Ran:
        world = self.world
        self._kept = {host: world.usable(host) for host in world.versions}
        self._seen = {host: set(world.listed(host)) for host in world.versions if world.host(host).is_up}
        self._entries: dict[str, Entry] = {full(name): entry for name, entry in world.declared.items()}
        self._policy = dict(world.policy)
        self._raced.clear()
        self._give_up()
        self._new.clear()
        self._applied = True
        try:
            ran = run()
        except Violation:
            self.failed = True
            raise
        except Exception as error:
            self.failed = True
            raise Violation("E11", f"a run crashed: {type(error).__name__}: {error}") from error
        finally:
            self._applied = False
        self.holds()
        self._demand("E1", self._lost())
        self._demand("E7", self._ownership(ran))
        return ran

    def _give_up(self) -> None:
        """What a run brought that could not tell any more, nobody can tell from what others bring after a while."""
        now = self.world.loop.time()
        for key in [key for key in self._put if key not in self._told and now - self._put_at[key] > SURE]:
            del self._put[key]

    def quiet(self, apply: Callable[[], Ran]) -> None:
        """At most three runs make everything as declared, the next one changes nothing, and another fleet neither."""
        if self.world.broken:
            return
        self._mended()
        ran = apply()
        for _ in range(2):
            report = ran.report
            if report is None or not (
                report.after.steps or report.plan.blocked or report.plan.refused or report.failures
            ):
                break
            fought = any(failure.code.name == "FOREIGN_WRITER" for failure in report.failures)
            self.world.passes(PEACE if fought else 700.0)
            ran = apply()
        if ran.refused is not None:
            return
        assert ran.report is not None
        aside = _reported(ran.report)
        refused = {(refusal.code.name) for refusal in ran.report.plan.refused}
        self._demand("E9", (f"{f.action} {f.model} on {f.host}: {f.message}" for f in ran.report.failures))
        if not refused:
            for host in self.world.versions:
                self._demand("E9", oracle.wrong(self.world, host, aside[host]))
                self._demand("E9", self._left_over(host))
        before = len(self.world.eyes.history)
        ran = apply()
        del before
        self._demand(
            "I1", (f"a second run asked {each.host} to {each.kind} {each.name}" for each in self.world.eyes.history)
        )
        if ran.report is not None:
            self._demand(
                "I1", (f"left to do: {s.action} {s.model} on {s.host} ({s.reason})" for s in ran.report.after.steps)
            )

    def _mended(self) -> None:
        """Whoever broke a model that nobody declares takes it away, and who looks after a host what is damaged there."""
        declared = {full(name) for name in self.world.declared}
        for host in self.world.versions:
            broken = self.world.listed(host).keys() - self.world.usable(host).keys() - declared
            for name in {*broken, *self.world.damaged(host)}:
                self.world.run(self.strangely(host, "delete", oracle.plain(name), ""))

    # What others do.

    async def strangely(self, host: str, what: str, name: str, other: str) -> None:
        """Somebody else at work, also in the middle of a run: what is lost by it is not fleet's fault."""
        before = self.world.listed(host)
        self._others_at.add((host, full(name)))
        try:
            await self.world.foreign(host, what, name, other)
        finally:
            self._others_at.discard((host, full(name)))
        after, usable = self.world.listed(host), self.world.usable(host)
        if what == "pull" and full(name) in usable:
            self.world.eyes.settle(host, full(name))
        for each in before.keys() | after.keys():
            if before.get(each) != after.get(each):
                self._put.pop((host, each), None)
                self._told.discard((host, each))
                self._kept[host].pop(each, None)
                if each not in before and each in after and self._may_be_ours(host, each):
                    self._ever.add((host, each, after[each]))
                if self._applied:
                    self._raced[host, each] = self.world.loop.time()
        self._kept[host] = {
            each: digest
            for each, digest in self._kept[host].items()
            if usable.get(each) == digest or each not in before
        }

    def _may_be_ours(self, host: str, name: str) -> bool:
        """Whether fleet left the same half-way a moment ago: no server tells which of the two it is."""
        left = self._left.get((host, name))
        return (left is not None and self.world.loop.time() - left < RECENT) or any(
            (each.host, each.name) == (host, name) and not each.forgotten for each in self.world.eyes.under_way
        )

    def emptied(self, host: str) -> None:
        """All that the host had is gone."""
        store = self.world.host(host).engine.store
        for name in list(store.names()):
            store.unlink(name)
        self.world.restart(host)
        self._kept[host] = {}
        for key in [key for key in self._put if key[0] == host]:
            del self._put[key]

    def forgotten(self) -> None:
        self.world.forget()
        for operation in self.world.eyes.under_way:
            operation.settled = operation.forgotten = True
        self._left.clear()
        self._ever.clear()
        self._told.clear()
        self._put.clear()
        self._asked = 0
        self._had = {host: set() for host in self.world.versions}

    # What must hold.

    def holds(self) -> None:
        """After every step, whatever it was."""
        violation = self.world.eyes.violation
        if violation is not None:
            self.failed = True
            raise violation

    def _demand(self, invariant: str, faults: Iterator[str]) -> None:
        try:
            demand(invariant, faults)
        except Violation:
            self.failed = True
            raise

    def _before(self, operation: Operation) -> None:
        """What is deleted has left memory, unless a name that stays has the same weights."""
        host, name = operation.host, operation.name
        operation.unlisted = name not in self.world.told(host)
        if operation.kind != "delete" or operation.former is None or is_backup(name) or self._raced:
            return
        if (host, name) in self._new:
            return  # What the run brought itself and takes away again; a runner of the same weights is of another name.
        held = set(self.world.layers(host, name).get("model", ())) & self.world.in_memory(host)
        others = {each for each in self.world.listed(host) if each != name}
        if held and not any(held & set(self.world.layers(host, each).get("model", ())) for each in others):
            self.world.eyes.see(Violation("I8", f"{name} is deleted on {host} while it is in memory"))

    def _over(self, operation: Operation) -> None:
        """A host is done with something that fleet asked for."""
        host, name, kind = operation.host, operation.name, operation.kind
        if kind not in {"pull", "create", "copy", "delete"}:
            return
        now = self.world.holds(host, name)
        if operation.forgotten or any(
            (each.host, each.name, each.forgotten) == (host, name, True) for each in self.world.eyes.under_way
        ):
            # Nobody knows any more whose that was: it is as if a stranger were at it.
            self._raced[host, name] = self.world.loop.time()
        if kind in {"pull", "create"} and not operation.success and not operation.forgotten:
            self._left[host, name] = self.world.loop.time()
        if now is None or operation.forgotten:
            self._put.pop((host, name), None)
            self._told.discard((host, name))
            if now is not None and operation.unlisted and self._may_be_ours(host, name):
                self._ever.add((host, name, now))
        elif now == operation.former:
            if operation.unlisted and kind != "delete":
                self._ever.add((host, name, now))  # It was there and not whole, and newer servers list no such model.
        else:
            key = host, name
            pin = (self._entries.get(name, {}).get("pull") or {}).get("pin")
            if kind == "pull" and operation.former is None and pin is not None and now not in published(pin):
                self._unaccepted.add((*key, now))
            if operation.unlisted or (*key, operation.former) in self._ever or key in self._raced:
                # Raced: it was free when fleet looked, and somebody was there first; no server tells.
                self._ever.add((*key, now))
            if operation.number < self._put_by.get(key, 0):
                # A request that was left long ago ends behind a newer one, with what the tag held then: no server tells.
                self._raced[key] = self.world.loop.time()
                self._put.pop(key, None)
            elif operation.former is None or self._put.get(key) == operation.former:
                self._put_by[key] = operation.number
                self._put[key], self._put_at[key] = now, self.world.loop.time()
                self._told.discard(key)
                self._new.add(key)
                self._left_at[key] = operation.at if operation.run < self.world.eyes.run else None
            else:
                self._put.pop(key, None)
        if self._applied:
            for fault in self._lost_on(host):
                self.world.eyes.see(Violation("E2", f"after {kind} {name}: {fault}"))
                break

    def _lost(self) -> Iterator[str]:
        for host in self.world.versions:
            yield from self._lost_on(host)

    def _lost_on(self, host: str) -> Iterator[str]:
        """What was usable and is not any more, under its own name or kept for the time of a replacement."""
        usable = self.world.usable(host)
        kept = {digest for name, digest in usable.items() if is_backup(name)}
        for name, digest in self._kept[host].items():
            if usable.get(name) == digest or digest in kept or is_backup(name) or (host, name) in self._others_at:
                continue
            if name in usable and self._may_hold(host, name, usable[name]):
                continue
            if name not in self.world.listed(host) and self._may_go(host, name, digest):
                continue
            state = usable.get(name) or ("broken" if name in self.world.listed(host) else "gone")
            yield f"{name} on {host} was sha256:{digest[:12]} and is {state[:12]}"

    def _may_hold(self, host: str, name: str, digest: str) -> bool:
        """Whether a manifest asks for something that can be this content."""
        entry = self._entries.get(name)
        if entry is None:
            return name == full(ORIGIN) and (host, name, digest) in self._ever
        if entry.get("absent") or entry.get("freeze"):
            return False
        pull = entry.get("pull")
        if pull is not None and "pin" in pull:
            return digest in published(pull["pin"])
        return True

    def _may_go(self, host: str, name: str, digest: str) -> bool:
        """Whether a manifest or a policy asks for the name to go."""
        entry = self._entries.get(name)
        if any(meant(pattern, name) for pattern in self._policy.get("protect", ())):
            return False
        if (host, name, digest) in self._unaccepted:
            return True
        if entry is not None and not entry.get("absent"):
            return False
        if entry is not None or any(
            each.get("absent") and meant(spelled, name) for spelled, each in self.world.declared.items()
        ):
            return True
        if name == full(ORIGIN) and (host, name, digest) in self._ever:
            return True
        prune = self._policy.get("prune", "never")
        return prune == "undeclared" or (prune == "owned" and (host, name, digest) in self._ever)

    def _unasked(self, plan: Plan) -> Iterator[str]:
        """Requests that no step of the plan stands for."""
        names: dict[str, set[str]] = {host: set() for host in self.world.versions}
        deletes: dict[str, set[str]] = {host: set() for host in self.world.versions}
        for step in plan.steps:
            names[step.host].add(full(str(step.model)))
            if step.action is Action.DELETE or (step.action is Action.PULL and step.presumes is None):
                deletes[step.host].add(full(str(step.model)))
            if step.action is Action.PULL and (_origin(step) or "") == ORIGIN:
                names[step.host].add(full(ORIGIN))
                deletes[step.host].add(full(ORIGIN))
        for each in self.world.eyes.history:
            if each.kind == "blob_post" or is_backup(each.name):
                continue
            allowed = deletes if each.kind == "delete" else names
            own = each.name in names[each.host] and (each.host, each.name, each.former or "") in self._ever
            if each.name not in allowed[each.host] and not own:
                yield f"{each.kind} {each.name} on {each.host}, and no step of the plan says so"

    def _against_guards(self, ran: Ran, allowance: Allowance) -> Iterator[str]:
        """Deletes from a desired state that shrank, more than are allowed, or on a host that lost its models."""
        plan = ran.plan
        assert plan is not None
        counted = Counter(step.host for step in plan.steps if step.action is Action.DELETE and not _own(step))
        limit = allowance.max_deletes if allowance.max_deletes is not None else self._policy.get("max_deletes", 5)
        for host, count in counted.items():
            if count > limit:
                yield f"{count} deletes on {host}, and {limit} are allowed"
        if not allowance.shrunk and self._asked and 2 * oracle.items(self.world) < self._asked:
            yield from (
                f"delete {step.model} on {step.host} although the desired state shrank"
                for step in plan.steps
                if step.action is Action.DELETE and not _own(step)
            )
        for known, had in self._had.items():
            if had and not allowance.emptied and not self._seen.get(known, {"?"}):
                told = f"on {known}, which lists nothing any more"
                yield from (f"{step.action} {step.model} {told}" for step in plan.steps if step.host == known)

    def _too_often(self) -> Iterator[str]:
        counts = Counter(
            (each.host, each.kind, each.name) for each in self.world.eyes.history if each.kind != "blob_post"
        )
        for (host, kind, name), count in counts.items():
            if count > MOST_TRIES:
                yield f"{count} times {kind} {name} on {host} in one run"

    def _untrue(self, ran: Ran, report: Report, *, saved: bool) -> Iterator[str]:
        """What the run says and what there is."""
        if ran.code is ExitCode.AS_DESIRED and not saved:  # a saved plan tells of what it touches alone
            aside = _reported(report)
            for host in self.world.versions:
                yield from oracle.wrong(self.world, host, aside[host] | self._unseen(host))
        if ran.life.happened:
            return
        for result in report.results:
            if result.outcome is not Outcome.DONE:
                continue
            step, name = result.step, full(str(result.step.model))
            if step.action is Action.DELETE and name in self.world.listed(step.host):
                yield f"{name} on {step.host} was deleted, it says, and is there"
            if step.action in _CONTENT and name not in self.world.usable(step.host):
                yield f"{step.action} {name} on {step.host} is done, it says, and the model is not usable"
            pin = (self._entries.get(name, {}).get("pull") or {}).get("pin")
            if (
                step.action is Action.PULL
                and pin is not None
                and self.world.holds(step.host, name) not in published(pin)
            ):
                yield f"pull {name} on {step.host} is done, it says, and what is pinned is not there"
            streams = [
                each
                for each in self.world.eyes.history
                if (each.host, each.kind, each.name) == (step.host, step.action.value, name)
                and each.kind in {"pull", "create"}
            ]
            if streams and not any(each.success for each in streams):
                yield f"{step.action} {name} on {step.host} is done, it says, and no stream ended with success"

    def _unseen(self, host: str) -> frozenset[str]:
        """What others changed there after fleet's last look, with what is made from it or follows it."""
        seen = self.world.eyes.looked.get(host, 0.0)
        found = {name for (place, name), at in self._raced.items() if place == host and at >= seen}
        for _ in self._entries:
            found |= {name for name, entry in self._entries.items() if full(source(entry) or "") in found}
        return frozenset(found)

    def _ownership(self, ran: Ran) -> Iterator[str]:
        """What the record says that fleet put somewhere, and what it did put there. Of a step that failed, and said so,
        what came may be somebody else's: that is not fleet's then.
        """
        remembered = self.world.remembered()
        failed = {
            (str(result.step.host), full(str(result.step.model)))
            for result in (ran.report.results if ran.report is not None else ())
            if result.outcome is not Outcome.DONE
        }
        self._new -= failed
        for host, known in remembered.hosts.items():
            for model, made in known.made.items():
                key = host, full(str(model))
                if made.owned and (*key, made.digest.hex) not in self._ever and not self._comes(*key):
                    yield f"{model} on {host} is recorded as fleet's, and somebody else put it there"
        for (place, name), digest in self._put.items():
            if is_backup(name) or name == full(ORIGIN) or name not in self._entries:
                continue
            if (place, name) not in self._new | self._told or (place, name) in failed:
                continue
            left_at = self._left_at.get((place, name))
            if left_at is not None and (self.world.loop.time() - left_at > SURE or ran.life.fate is Fate.SET):
                continue  # By the clock of the run that saw it, it was not expected any more, or left at another time.
            found = remembered.hosts.get(HostName(place))
            names = {} if found is None else {full(str(model)): made for model, made in found.made.items()}
            begun = set() if found is None else {full(str(model)) for model in found.begun}
            # Whether it is fleet's own is for fleet to doubt, where somebody else was at that name a moment ago.
            recorded = name in names and names[name].digest.hex == digest
            if recorded and names[name].owned:
                self._told.add((place, name))
            if not recorded and name not in begun and self.world.holds(place, name) == digest:
                yield f"{name} on {place} was put there by fleet, and its record does not tell"

    def _comes(self, host: str, name: str) -> bool:
        """Whether a request of fleet's for a name that was free, or fleet's, brought it and has only words left to say."""
        self.world.eyes.looks()
        return any(
            (each.host, each.name, each.forgotten) == (host, name, False)
            and (each.unlisted or (each.came and (host, name, each.former) in self._ever))
            for each in self.world.eyes.under_way
        )

    def _left_over(self, host: str) -> Iterator[str]:
        """Names that fleet used on its way."""
        for name in self.world.listed(host):
            if is_backup(name) and self._put.get((host, name)):
                yield f"{name} is left on {host}"

    def _remember(self, ran: Ran, report: Report) -> None:
        """What the next run may be compared with."""
        codes = {refusal.code.name for refusal in report.plan.refused}
        if "DESIRED_SHRANK" not in codes:
            self._asked = oracle.items(self.world)
        for host in self.world.versions:
            if self.world.host(host).is_up and not any(
                each.host == host for each in (*report.unobserved, *report.plan.unobserved)
            ):
                self._had[host] = set(self.world.listed(host))


def _reported(report: Report) -> dict[str, frozenset[str]]:
    """Names of which the report itself says that they are not proven to be as declared, by host."""
    found: dict[str, set[str]] = {host.host: set() for host in report.after.hosts}
    for plan in (report.plan, report.after):
        for item in plan.blocked:
            found.setdefault(item.host, set()).add(full(str(item.model)))
        for host, name in plan.unverified:
            found.setdefault(host, set()).add(full(str(name)))
    return {host: frozenset(names) for host, names in found.items()}


def _origin(step: Step) -> str | None:
    origin = getattr(step.item.source, "origin", None) if step.item is not None else None
    return str(origin) if origin is not None else None


def _own(step: Step) -> bool:
    """Whether the step tidies up what fleet itself left."""
    return step.reason.value == "left-over" or is_backup(str(step.model))


def _unclean(report: Report) -> Iterator[str]:
    texts = [text for each in report.failures for text in (each.message, each.told, each.hint)]
    texts += [text for each in (*report.unobserved, *report.plan.unobserved) for text in (each.message, each.hint)]
    texts += [each.blocked.message for each in report.plan.blocked]
    texts += [*report.notes, *(note for note in report.plan.notes)]
    for text in texts:
        if text is not None and _UNCLEAN.search(text):
            yield f"a terminal would see {text!r}"


def saved_plan(world: World) -> Path:
    return world.folder / _PLAN
