"""How pulled models stand to lock file and registries: a table for people, a document, a table for a merge request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fleet.errors import ExitCode
from fleet.names import HostName
from fleet.quantities import show_size
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.outdated import Compared
from fleet.registry.image import Image
from fleet.registry.locked import Locked
from fleet.render.document import unobserved_part
from fleet.render.inline import cell, code
from fleet.render.paint import PLAIN, Paint
from fleet.render.table import headed
from fleet.render.words import counted, explained, hint_lines, name, sentence, some, unobserved_lines
from fleet.render.writing import FORMAT, cleaned

_HEAD = ("MODEL", "ON HOSTS", "LOCKED", "REGISTRY", "SIZE", "STATE")
_NAMED = 3
"""Hosts that are named; of more, the number is told."""
_NOTHING = "Nothing to compare: no pulled model is chosen"


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is shown."""

    fleet: str
    models: tuple[Compared, ...]
    unobserved: tuple[Unobserved, ...]
    asked: bool
    """Whether registries were asked at all."""
    exit_code: ExitCode


def outdated_text(survey: Survey, *, paint: Paint = PLAIN, everything: bool = False) -> str:
    """The table, ending with a newline; `everything`: with the models that are current."""
    shown = [each for each in survey.models if everything or each.outdated or each.unknown or not survey.asked]
    lines: list[str] = []
    if shown:
        rows = [_HEAD, *(_row(each) for each in shown)]
        lines += [*headed(rows, paint), ""]
    for each in shown:
        if each.unknown is not None:
            lines.append(
                f"{paint.bad('!')} {name(each.name)}: {sentence(each.unknown.message)} ({each.unknown.code.id})"
            )
            lines += [f"    {line}" for line in hint_lines(each.unknown.hint)]
    for unseen in survey.unobserved:
        first, *more = unobserved_lines(unseen)
        lines += [f"{paint.bad('!')} {name(unseen.host)}: {first}", *(f"    {line}" for line in more)]
    lines += [""] if lines and lines[-1] else []
    lines.append(paint.strong(_summary(survey)))
    codes = [each.unknown.code.id for each in shown if each.unknown is not None]
    hint = explained([*codes, *(each.code.id for each in survey.unobserved)])
    return "\n".join([*lines, *([hint] if hint else [])]) + "\n"


def outdated_document(survey: Survey) -> dict[str, Any]:
    """The same as a document; `docs/output.md` is its reference."""
    return {
        "type": "outdated",
        "format": FORMAT,
        "name": survey.fleet,
        "models": [_part(each) for each in survey.models],
        "unobserved": [unobserved_part(each) for each in survey.unobserved],
        "counts": {
            "models": len(survey.models),
            "outdated": sum(each.outdated for each in survey.models),
            "not_known": sum(each.image is None for each in survey.models),
        },
        "exit_code": int(survey.exit_code),
    }


def outdated_markdown(survey: Survey) -> str:
    """Ending with a newline; inert wherever it is shown."""
    lines = [f"### fleet: {_summary(survey)}"]
    if survey.models:
        lines += ["", "| model | on hosts | locked | registry | size | state |", "|---|---|---|---|---|---|"]
    for each in survey.models:
        cells = [cell(text) if text else "" for text in _row(each)]
        lines.append(f"| {' | '.join(cells)} |")
    for unseen in survey.unobserved:
        lines += ["", f"{code(unseen.host)} was not seen: {code(unseen.message)} ({unseen.code.id})"]
    return "\n".join(lines) + "\n"


def _row(compared: Compared) -> tuple[str, str, str, str, str, str]:
    image = compared.image
    origin = "" if compared.origin == compared.name else f" from {name(compared.origin)}"
    return (
        f"{name(compared.name)}{origin}",
        "; ".join(_on_hosts(compared)),
        _short(compared.locked),
        _short(image),
        "-" if image is None else show_size(image.size),
        _state(compared),
    )


def _on_hosts(compared: Compared) -> Iterator[str]:
    by_digest: dict[str, list[HostName]] = {}
    for held in compared.hosts:
        told = held.digest.short if held.digest is not None else str(held.holding)
        by_digest.setdefault(told, []).append(held.host)
    for told, hosts in sorted(by_digest.items()):
        yield f"{told} ({some(hosts) if len(hosts) <= _NAMED else counted(len(hosts), 'host')})"


def _state(compared: Compared) -> str:
    if compared.outdated:
        return "outdated" if compared.hosts_outdated else "lock outdated"
    if compared.image is None:
        return "not known"
    return "current"


def _summary(survey: Survey) -> str:
    if not survey.models:
        return _NOTHING
    outdated = sum(each.outdated for each in survey.models)
    unknown = sum(each.image is None for each in survey.models)
    parts = [f"{outdated} of {counted(len(survey.models), 'pulled model')} outdated"]
    if not survey.asked:
        parts = [f"{counted(len(survey.models), 'pulled model')}; no registry was asked (`ask_registries` is false)"]
    elif unknown:
        parts.append(f"{unknown} not known")
    if survey.unobserved:
        parts.append(f"{counted(len(survey.unobserved), 'host')} not seen")
    return "; ".join(parts)


def _part(compared: Compared) -> dict[str, Any]:
    unknown = compared.unknown
    return {
        "model": str(compared.name),
        "asked": str(compared.origin),
        "outdated": compared.outdated if compared.image is not None else None,
        "lock_outdated": compared.lock_outdated if compared.image is not None and compared.locked is not None else None,
        "locked": _content(compared.locked),
        "served": _content(compared.image),
        "code": None if unknown is None else unknown.code.id,
        "message": None if unknown is None else cleaned(unknown.message),
        "hosts": [
            {
                "host": held.host,
                "state": str(held.holding),
                "digest": None if held.digest is None else str(held.digest),
                "as_locked": held.as_locked,
            }
            for held in compared.hosts
        ],
    }


def _content(of: Locked | Image | None) -> dict[str, Any] | None:
    if of is None:
        return None
    return {"digest": str(of.raw), "normalised": str(of.normalised), "size": of.size}


def _short(of: Locked | Image | None) -> str:
    return "-" if of is None else of.raw.short
