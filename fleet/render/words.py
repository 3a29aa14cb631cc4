"""The words in which values are told to people: reasons, actions, counts, lists. Every foreign text is cleaned here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.quantities import show_duration, show_size
from fleet.reconcile.difference import Blocked, HostDifference, Reason, State, Warmth
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Failure, Outcome, at_its_end
from fleet.reconcile.step import Action, Plan, Step

REASONS = {
    Reason.MISSING: "missing",
    Reason.BROKEN: "listed, but not whole",
    Reason.DIGEST_DIFFERS: "another content than accepted",
    Reason.FIELDS_DIFFER: "fields differ",
    Reason.INPUTS_CHANGED: "what it is made from changed",
    Reason.CHANGED_ELSEWHERE: "somebody else changed it",
    Reason.REBUILD_ASKED: "not provable, and to be built anew",
    Reason.UNFINISHED: "not provable, and made by a run that was killed before it knew",
    Reason.BASE_CHANGED: "its base changed since it was made",
    Reason.BASE_CHANGES: "its base changes in this plan",
    Reason.SOURCE_DIFFERS: "its source has another digest",
    Reason.SOURCE_CHANGES: "its source changes in this plan",
    Reason.DECLARED_ABSENT: "declared absent",
    Reason.NO_LONGER_DECLARED: "fleet put it there, and nobody declares it any more",
    Reason.NOT_DECLARED: "nobody declares it",
    Reason.LEFT_OVER: "left by a run that was killed",
    Reason.PUT_BACK: "replaced for the time of a step by a run that was killed",
    Reason.NOT_WARM: "not in memory",
    Reason.CONTENT_CHANGES: "its content changes in this plan",
    Reason.OLD_CONTENT_WARM: "its former content is in memory",
    Reason.CONTEXT_DIFFERS: "in memory with another context",
    Reason.OPTIONS_CHANGED: "its options changed",
    Reason.EXPIRES_SOON: "leaves memory too soon",
    Reason.CHECKED_BESIDE: "a check loads models, and may put others in its place",
    Reason.IN_MEMORY: "in memory",
    Reason.NO_LONGER_WARM: "no longer declared warm",
    Reason.BLOB_MISSING: "not on the host",
    Reason.NOT_CHECKED: "its answers were not checked",
    Reason.NOT_PUBLISHED: "not in its registry",
    Reason.PUBLISHED_DIFFERS: "its registry has another content",
}

STANDS = REASONS | {
    Reason.BASE_CHANGES: "would change with its base",
    Reason.SOURCE_CHANGES: "would change with its source",
    Reason.CONTENT_CHANGES: "would change with its content",
}
"""The same where no plan is shown that they could be in."""

OUTCOMES = {
    Outcome.DONE: "done",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "unknown how it ended",
    Outcome.SUPERSEDED: "left alone, the host changed meanwhile",
    Outcome.NOT_TRIED: "not tried",
}

_CONTENT_STAYS = frozenset({Action.LOAD, Action.RELEASE, Action.CHECK})

NAME_LIMIT = 350
"""Characters of a name; the longest that Ollama takes has 350 in its registry alone."""


def name(value: ModelName | HostName | str) -> str:
    return clean(str(value), limit=NAME_LIMIT)


def offloaded(warmth: Warmth) -> str:
    """Of a model in memory that is not wholly on the GPU."""
    return f"{show_size(warmth.offloaded)} of it is on the CPU ({Code.OFFLOADED.id})"


def symbol(step: Step) -> str:
    """`+` for what comes, `-` for what goes, `~` for what is replaced, `?` for what is asked."""
    if step.action in {Action.DELETE, Action.UNLOAD, Action.RELEASE}:
        return "-"
    if step.action is Action.CHECK:
        return "?"
    return "+" if step.old is None or step.action in {Action.LOAD, Action.UPLOAD, Action.PUSH} else "~"


def replaces(step: Step) -> bool:
    """Whether the step takes something away that is on the host's disk."""
    return symbol(step) == "~" or step.action is Action.DELETE


def digests(step: Step) -> str:
    """`old → new`, as far as they are known; empty where there is nothing to tell."""
    if step.action is Action.DELETE or step.old == step.new:
        return "" if step.old is None or step.action in _CONTENT_STAYS else step.old.short
    if step.action in {Action.CHECK, Action.PUSH}:
        return ""
    new = step.new.short if step.new else ""
    if not new and step.new_after is not None and (step.old is not None or step.new_after != step.number):
        new = "known when done" if step.new_after == step.number else f"known after step {step.new_after}"
    return f"{step.old.short} → {new or 'not known'}" if step.old else new


def told_of(step: Step) -> str:
    """Why a step is wanted and what it moves, in one line."""
    # A model that is not there yet cannot change: its load just has to wait for it.
    comes = step.reason is Reason.CONTENT_CHANGES and step.old is None
    parts = [REASONS[Reason.NOT_WARM if comes else step.reason]]
    if step.blob is not None:
        parts.insert(0, sentence(step.blob.shown, limit=NAME_LIMIT))
    if step.source is not None:
        parts.append(f"from {name(step.source)}")
    if digests(step):
        parts.append(digests(step))
    if step.bytes_in:
        parts.append(f"{show_size(step.bytes_in)} to transfer")
    if step.bytes_freed:
        parts.append(f"frees up to {show_size(step.bytes_freed)}")
    return "; ".join(parts)


def action_of(step: Step) -> str:
    """`delete old:1b`, for lists and progress."""
    return f"{step.action} {name(step.model)}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def in_service(plan: Plan) -> list[HostDifference]:
    """The hosts of a plan that are not suspended: what others hold is nobody's fault."""
    return [host for host in plan.hosts if host.host not in plan.suspended]


def some(names: Sequence[str], limit: int = 5) -> str:
    """The first of many: `a, b, c and 13 more`; one more than the limit is still written out."""
    cleaned = [name(each) for each in names[: limit + 1]]
    if len(names) <= limit + 1:
        return ", ".join(cleaned)
    return f"{', '.join(cleaned[:limit])} and {len(names) - limit} more"


def sentence(text: str, limit: int = 1000) -> str:
    """A message that may hold a server's words, in one clean line."""
    return clean(text, limit=limit)


def blocked_lines(blocked: Blocked) -> list[str]:
    """Message with code, then the hint."""
    return [f"{sentence(blocked.message)} ({blocked.code.id})", *hint_lines(blocked.hint)]


def hint_lines(hint: str | None) -> list[str]:
    return [f"hint: {sentence(hint)}"] if hint else []


def unobserved_lines(unobserved: Unobserved) -> list[str]:
    """Message with code, then the host's own words; the hint, which many hosts share, is not among them."""
    lines = [f"{sentence(unobserved.message)} ({unobserved.code.id})"]
    if unobserved.told and not _holds(unobserved.message, unobserved.told):
        lines.append(f"the host said: {sentence(unobserved.told)}")
    return lines


def _holds(message: str, told: str) -> bool:
    """Whether the message has the server's words already."""
    return sentence(told) in sentence(message)


def as_desired(host: HostDifference) -> int:
    """How many items of a host are as desired in all that is asked of them."""
    good = {State.AS_DESIRED, State.UNVERIFIED}
    return sum(at_its_end(item) in good for item in host.items)


def failure_lines(failure: Failure) -> list[str]:
    """What went wrong, in the server's own words too, and where to read more."""
    lines = [f"{OUTCOMES[failure.outcome]}: {sentence(failure.message)} ({failure.code.id})"]
    if failure.told and not _holds(failure.message, failure.told):
        lines.append(f"the server said: {sentence(failure.told)}")
    return lines + hint_lines(failure.hint)


def explained(codes: Iterable[str]) -> str:
    """Where to read about the codes of a report; empty without any."""
    distinct = list(dict.fromkeys(codes))
    if not distinct:
        return ""
    more = "" if len(distinct) == 1 else f" (also {some(distinct[1:])})"
    return f"hint: `fleet explain {distinct[0]}` tells cause and cure{more}"


def show_age(seconds: float) -> str:
    """One unit is enough: `40s`, `12m`, `5h`, `3d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def lasted(seconds: float) -> str:
    """A duration for people: tenths below ten seconds, whole seconds above."""
    return f"{seconds:.1f}s" if seconds < 10 else show_duration(float(round(seconds)))
