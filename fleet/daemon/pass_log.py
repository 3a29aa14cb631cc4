"""What the log says of passes, hosts and sources: one line a pass, and one more for whatever changed.

A fleet in which nothing changes writes one line a pass, however many hosts it has and however bad it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleet.daemon.status import Condition, HostStatus, Outcome, PassStatus, SourceState, SourceStatus
from fleet.names import HostName
from fleet.reconcile.report import Failure
from fleet.reconcile.report import Outcome as StepOutcome

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_MOST_FAILURES = 10
"""Steps of one host whose failures are told; a host where everything fails is one trouble, not forty."""
_BAD = frozenset({Condition.STALLED, Condition.BLOCKED, Condition.UNKNOWN})


class PassLog:
    """Remembers what it said last, to say it once. Every line has the revision of the manifests in force."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger
        self._source: SourceStatus | None = None
        self._refusals: dict[HostName | None, frozenset[str]] = {}
        self._failures: dict[HostName, dict[tuple[str, str], str]] = {}

    def pass_finished(self, ended: PassStatus, hosts: Iterable[HostStatus]) -> None:
        """The line of a pass."""
        conditions = Counter(host.condition for host in hosts)
        tell = self._logger.warning if ended.outcome in {Outcome.FAILED, Outcome.NOT_BEGUN} else self._logger.info
        tell(
            "pass.finished",
            number=ended.number,
            trigger=list(ended.triggers),
            revision=ended.revision,
            outcome=str(ended.outcome),
            hosts=conditions.total(),
            **{str(condition): conditions[condition] for condition in Condition if conditions[condition]},
            done=ended.done,
            failed=ended.failed,
            seconds=None if ended.ended is None else round((ended.ended - ended.begun).total_seconds(), 3),
            **({"message": ended.message} if ended.message else {}),
        )

    def host_changed(self, before: HostStatus | None, after: HostStatus) -> None:
        """To be called with every new status of a host: says what a person has to know of the difference, if anything.

        A host that was not known before and is ready is no news.
        """
        was = (before.condition, before.code) if before is not None else (Condition.READY, None)
        if was != (after.condition, after.code):
            bad = after.condition in _BAD
            self._say(
                "host.changed",
                bad=bad,
                host=after.name,
                **({"before": str(before.condition)} if before is not None else {}),
                condition=str(after.condition),
                reason=after.reason,
                **({"code": after.code.id} if after.code is not None else {}),
                **({"message": after.message} if after.message else {}),
                **(_worst_items(after) if bad else {}),
            )
        self.refused(after.refusals, after.name)
        self._forget_settled(after)

    def host_gone(self, host: HostName) -> None:
        """The inventory has it no more."""
        self._refusals.pop(host, None)
        self._failures.pop(host, None)

    def source_changed(self, source: SourceStatus) -> None:
        """To be called with every new status of the source: a line when state, revision or faults differ."""
        former, self._source = self._source, source
        if former is not None and (former.state, former.revision, former.message) == (
            source.state,
            source.revision,
            source.message,
        ):
            return
        good = source.state is SourceState.GOOD
        self._say(
            "source.changed",
            bad=not good,
            state=str(source.state),
            source=source.what,
            **({} if good else {"faults": source.message.splitlines()}),
            # Before anything was good there is nothing to go on by.
            **({} if good or not source.revision else {"in_force": "the last good manifests"}),
        )

    def refused(self, refusals: Iterable[str], host: HostName | None = None) -> None:
        """What guards hold back now, on a host or of the whole pass: each is said once, and again when it is over."""
        now = frozenset(refusals)
        before = self._refusals.get(host, frozenset())
        if now == before:
            return
        where = {} if host is None else {"host": host}
        for refusal in sorted(now - before):
            self._say("guard.refused", bad=True, **where, refusal=refusal)
        for refusal in sorted(before - now):
            self._say("guard.released", bad=False, **where, refusal=refusal)
        if now:
            self._refusals[host] = now
        else:
            self._refusals.pop(host, None)

    def failure(self, failure: Failure) -> None:
        """A step that failed, or whose end is not known: once, until it fails for another reason or the item is ready.

        What was not begun because of another failure is not told, nor more than some steps of one host.
        """
        if failure.outcome in {StepOutcome.NOT_TRIED, StepOutcome.SUPERSEDED}:
            return
        key = (str(failure.model or ""), str(failure.action or ""))
        known = self._failures.setdefault(failure.host, {})
        if known.get(key) == failure.code.id:
            return
        known[key] = failure.code.id
        if len(known) > _MOST_FAILURES:
            return
        self._say(
            "step.failed",
            bad=True,
            host=failure.host,
            **({"model": str(failure.model)} if failure.model is not None else {}),
            **({"action": str(failure.action)} if failure.action is not None else {}),
            outcome=str(failure.outcome),
            code=failure.code.id,
            message=failure.message,
            **({"told": failure.told} if failure.told else {}),
            hint=failure.hint or failure.code.cure,
        )

    def crashed(self, where: str, error: BaseException) -> None:
        """A fault of fleet itself, which everything else survived. `where` is a constant."""
        self._logger.error("fleet.fault", where=where, exc_info=error, **self._revision())

    def _say(self, event: str, *, bad: bool, **fields: object) -> None:
        tell = self._logger.warning if bad else self._logger.info
        tell(event, **fields, **self._revision())

    def _revision(self) -> dict[str, str]:
        return {"revision": self._source.revision} if self._source is not None and self._source.revision else {}

    def _forget_settled(self, host: HostStatus) -> None:
        known = self._failures.get(host.name)
        if not known:
            return
        waiting = {str(item.model) for item in host.items if item.condition is not Condition.READY}
        if host.condition is not Condition.READY:
            waiting.add("")
        for key in [key for key in known if key[0] not in waiting]:
            del known[key]
        if not known:
            del self._failures[host.name]


def _worst_items(host: HostStatus) -> dict[str, object]:
    """Which names are as bad as the host, and why; for a host that could not be looked at, it says so itself."""
    if host.condition is Condition.UNKNOWN:
        return {}
    items = [item for item in host.items if item.condition is host.condition]
    return {"items": [f"{item.model}: {item.message or item.reason}" for item in items]} if items else {}
