"""Passes of the history: a list or one of them with its plan and results, as text and as documents.

What stands in a pass's document was written by fleet, perhaps another version of it: what is not there is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from fleet.render.paint import PLAIN, Paint
from fleet.render.table import table
from fleet.render.words import counted, hint_lines, lasted, name, sentence
from fleet.render.writing import FORMAT, cleaned
from fleet.state.history import PassRecord

_HEAD = ("PASS", "BEGUN", "TOOK", "OUTCOME", "DONE", "FAILED", "BECAUSE", "REVISION")
_NUMBERS = frozenset({0, 2, 4, 5})
"""Columns of numbers."""
_SHORT = 12
"""Characters of a revision in a list."""


class Shown(Protocol):
    """A pass, as the history or the daemon knows it."""

    @property
    def number(self) -> int: ...
    @property
    def begun(self) -> datetime: ...
    @property
    def ended(self) -> datetime | None: ...
    @property
    def triggers(self) -> tuple[str, ...]: ...
    @property
    def revision(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def message(self) -> str: ...


def pass_part(one: Shown) -> dict[str, Any]:
    """What is told of every pass."""
    return {
        "number": one.number,
        "begun": _moment(one.begun),
        "ended": None if one.ended is None else _moment(one.ended),
        "seconds": None if one.ended is None else round((one.ended - one.begun).total_seconds(), 3),
        "triggers": list(one.triggers),
        "revision": cleaned(one.revision),
        "outcome": str(one.outcome),
        "done": one.done,
        "failed": one.failed,
        "message": cleaned(one.message),
    }


def history_document(fleet: str, passes: Sequence[Shown]) -> dict[str, Any]:
    """Newest first; `docs/output.md` is the reference."""
    return {"type": "history", "format": FORMAT, "name": fleet, "passes": [pass_part(one) for one in passes]}


def pass_document(fleet: str, one: Shown, document: Mapping[str, Any] | None) -> dict[str, Any]:
    """One pass with what was planned and done, host by host; `hosts` is `null` where that was not kept."""
    hosts = None if document is None else document.get("hosts")
    return {"type": "pass", "format": FORMAT, "name": fleet, **pass_part(one), "hosts": hosts}


def record_of(part: Mapping[str, Any]) -> PassRecord:
    """What `pass_part` was made of. Raises `ValueError`, `KeyError` and `TypeError` for what is no such part."""
    begun = datetime.fromisoformat(part["begun"])
    ended = None if part.get("ended") is None else datetime.fromisoformat(part["ended"])
    if ended is not None and part.get("seconds") is not None:
        # Moments are told to the second.
        ended = begun + timedelta(seconds=float(part["seconds"]))
    return PassRecord(
        int(part["number"]),
        begun,
        ended,
        tuple(map(str, part.get("triggers", ()))),
        str(part.get("revision") or ""),
        str(part["outcome"]),
        int(part.get("done", 0)),
        int(part.get("failed", 0)),
        str(part.get("message") or ""),
    )


def history_text(fleet: str, passes: Sequence[Shown], *, paint: Paint = PLAIN) -> str:
    """A table, ending with a newline; below a pass, what it had to say."""
    if not passes:
        return f"The history of `{sentence(fleet)}` has no passes\n"
    rows = [_HEAD, *(_row(one) for one in passes)]
    head, *lines = table(rows, right=_NUMBERS)
    below = " " * max(len(row[0]) for row in rows)
    shown = [paint.strong(head)]
    for one, line in zip(passes, lines, strict=True):
        shown.append(_by_outcome(one, line, paint))
        if one.message:
            shown.append(f"{below}  {sentence(one.message)}")
    return "\n".join(shown) + "\n"


def pass_text(
    fleet: str, one: Shown, document: Mapping[str, Any] | None, *, paint: Paint = PLAIN, everything: bool = False
) -> str:
    """One pass, ending with a newline. `everything`: with the steps that went well on every host."""
    took = "" if one.ended is None else f", took {lasted((one.ended - one.begun).total_seconds())}"
    lines = [
        paint.strong(f"Pass {one.number} of `{sentence(fleet)}`: ") + _by_outcome(one, str(one.outcome), paint),
        f"  begun     {_moment(one.begun)}{took}",
        f"  because   {', '.join(map(sentence, one.triggers)) or '-'}",
        f"  revision  {sentence(one.revision) or '-'}",
        f"  steps     {one.done} done, {one.failed} failed",
    ]
    if one.message:
        lines.append(f"  {sentence(one.message)}")
    hosts = _parts(document or {}, "hosts")
    if document is None and one.outcome != "unchanged":
        lines += ["", "Its plan and results were not kept"]
    told = [line for host in hosts for line in _host_lines(host, everything=everything)]
    lines += ["", *told] if told else []
    return "\n".join(lines) + "\n"


def _row(one: Shown) -> tuple[str, ...]:
    return (
        str(one.number),
        _moment(one.begun),
        "-" if one.ended is None else lasted((one.ended - one.begun).total_seconds()),
        sentence(str(one.outcome)),
        str(one.done),
        str(one.failed),
        sentence(", ".join(one.triggers)) or "-",
        sentence(one.revision)[:_SHORT] or "-",
    )


def _by_outcome(one: Shown, text: str, paint: Paint) -> str:
    match str(one.outcome):
        case "failed" | "not-begun":
            return paint.bad(text)
        case "cut-short":
            return paint.warning(text)
        case "changed":
            return paint.good(text)
        case "unchanged":
            return paint.faint(text)
    return text


def _host_lines(part: Mapping[str, Any], *, everything: bool) -> Iterator[str]:
    """A plan or report, as `fleet.render.document` wrote it."""
    if part.get("type") == "unobserved":
        yield f"{_named(part)}: not observed: {_told(part)}"
        return
    steps = _parts(part, "steps")
    results = {result.get("step"): result for result in _parts(part, "results")}
    failures = {failure.get("step"): failure for failure in _parts(part, "failures")}
    for step in steps:
        number = step.get("step")
        yield f"{_named(step)}: {sentence(str(step.get('action')))} {name(str(step.get('model')))}" + _ended(
            step, results.get(number)
        )
        if everything:
            yield from (f"    {line}" for line in _step_lines(step))
        failure = failures.pop(number, None)
        if failure is not None:
            yield f"    {_told(failure)}"
            yield from (f"    {line}" for line in hint_lines(failure.get("hint")))
    for failure in failures.values():
        yield f"{_named(failure)}: {_told(failure)}"
    for key, word in (("blocked", "blocked"), ("refused", "held back"), ("unobserved", "not observed")):
        for each in _parts(part, key):
            model = f" {name(str(each['model']))}" if each.get("model") else ""
            yield f"{_named(each)}:{model} {word}: {_told(each)}"


def _ended(step: Mapping[str, Any], result: Mapping[str, Any] | None) -> str:
    why = f" ({sentence(str(step.get('reason')))})"
    if result is None:
        return why
    seconds = result.get("seconds")
    took = f" in {lasted(float(seconds))}" if isinstance(seconds, int | float) else ""
    return f"{why}: {sentence(str(result.get('outcome')))}{took}"


def _step_lines(step: Mapping[str, Any]) -> Iterator[str]:
    if step.get("declared"):
        yield f"declared at {sentence(str(step['declared']))}"
    if step.get("old") or step.get("new"):
        yield f"{sentence(str(step.get('old') or 'nothing'))} → {sentence(str(step.get('new') or 'not known'))}"
    changed = [sentence(str(change.get("field"))) for change in _parts(step, "changes")]
    if changed:
        yield f"{counted(len(changed), 'field')} changed: {', '.join(changed)}"


def _named(part: Mapping[str, Any]) -> str:
    return name(str(part["host"])) if part.get("host") else "the whole pass"


def _told(part: Mapping[str, Any]) -> str:
    code = part.get("code")
    return sentence(str(part.get("message") or "")) + (f" ({sentence(str(code))})" if code else "")


def _parts(part: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = part.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
