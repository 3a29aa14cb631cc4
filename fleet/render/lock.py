"""What `fleet lock` did or would do, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fleet.errors import ExitCode
from fleet.quantities import show_size
from fleet.reconcile.accepting import Acceptance
from fleet.reconcile.locking import Change, Decision
from fleet.registry.locked import Locked
from fleet.render.document import unobserved_part
from fleet.render.paint import PLAIN, Paint
from fleet.render.words import counted, explained, hint_lines, name, sentence, unobserved_lines
from fleet.render.writing import FORMAT, cleaned

_SYMBOLS = {Change.KEPT: " ", Change.ADDED: "+", Change.MOVED: "~", Change.DROPPED: "-", Change.FAILED: "!"}
_DONE = {Change.ADDED: "added", Change.MOVED: "moved", Change.DROPPED: "dropped", Change.FAILED: "failed"}
_TO_DO = {Change.ADDED: "to add", Change.MOVED: "to move", Change.DROPPED: "to drop", Change.FAILED: "failed"}


def lock_text(
    acceptance: Acceptance, file: str, *, changed: bool, check: bool, paint: Paint = PLAIN, everything: bool = False
) -> str:
    """What changes, what could not be accepted, and how the file stands; ends with a newline.

    `changed`: whether the file did, or for `check` whether it would; `everything`: what stays as well.
    """
    shown = [each for each in acceptance.decisions if everything or each.change is not Change.KEPT]
    width = max((len(name(each.name)) for each in shown), default=0)
    lines = [line for each in shown for line in _lines(each, width, paint)]
    for unseen in acceptance.unobserved:
        first, *more = unobserved_lines(unseen)
        lines += [f"{paint.bad('!')} {name(unseen.host)}: {first}", *(f"    {line}" for line in more)]
    codes = [each.code.id for each in shown if each.code is not None]
    codes += [each.code.id for each in acceptance.unobserved]
    summary = paint.strong(_summary(acceptance.decisions, file, changed=changed, check=check))
    hint = explained(codes) or (
        "hint: run `fleet lock`, read what it writes, and commit it" if check and changed else ""
    )
    return "\n".join([*lines, *([""] if lines else []), summary, *([hint] if hint else [])]) + "\n"


def lock_document(
    acceptance: Acceptance, file: str, exit_code: ExitCode, *, changed: bool, check: bool
) -> dict[str, Any]:
    """The same as a document; `docs/output.md` is its reference."""
    counts = Counter(each.change for each in acceptance.decisions)
    return {
        "type": "lock",
        "format": FORMAT,
        "file": cleaned(file),
        "check": check,
        "changed": changed,
        "models": [
            {
                "model": str(each.name),
                "change": str(each.change),
                "before": _locked(each.before),
                "after": _locked(each.after),
                "code": None if each.code is None else each.code.id,
                "message": cleaned(each.message),
                "hint": cleaned(each.hint),
            }
            for each in acceptance.decisions
        ],
        "unobserved": [unobserved_part(each) for each in acceptance.unobserved],
        "counts": {str(change): counts[change] for change in Change},
        "exit_code": int(exit_code),
    }


def _lines(decision: Decision, width: int, paint: Paint) -> Iterator[str]:
    symbol = _SYMBOLS[decision.change]
    if decision.change is Change.FAILED:
        why = f"{sentence(decision.message or '')}{f' ({decision.code.id})' if decision.code else ''}"
        yield f"{paint.bad(symbol)} {name(decision.name):<{width}}  {why}"
        yield from (f"    {line}" for line in hint_lines(decision.hint))
        return
    yield f"{paint.by_symbol(symbol, symbol)} {name(decision.name):<{width}}  {_content(decision)}".rstrip()


def _content(decision: Decision) -> str:
    before, after = decision.before, decision.after
    if decision.change is Change.MOVED and before is not None and after is not None:
        return f"{before.raw.short} → {after.raw.short}  {show_size(after.size)}"
    told = after or before
    return "" if told is None else f"{told.raw.short}  {show_size(told.size)}"


def _summary(decisions: Sequence[Decision], file: str, *, changed: bool, check: bool) -> str:
    counts = Counter(each.change for each in decisions)
    words = _TO_DO if check else _DONE
    parts = [f"{counts[change]} {word}" for change, word in words.items() if counts[change]]
    models = counted(sum(each.after is not None for each in decisions), "model")
    if check:
        state = "is not up to date" if changed or counts[Change.FAILED] else f"is up to date, with {models}"
    else:
        state = f"written, with {models}" if changed else f"unchanged, with {models}"
    return f"{sentence(file)}: {state}" + (f"; {', '.join(parts)}" if parts else "")


def _locked(locked: Locked | None) -> dict[str, Any] | None:
    if locked is None:
        return None
    return {
        "digest": str(locked.raw),
        "normalised": str(locked.normalised),
        "size": locked.size,
        "date": locked.date.isoformat(),
    }
