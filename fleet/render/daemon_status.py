"""What a running daemon tells of its fleet, for the terminal: how everything stands by its last looks, and how old those are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fleet.errors import ExitCode, highest_ranked
from fleet.foreign import clean
from fleet.render.paint import PLAIN, Paint
from fleet.render.table import headed
from fleet.render.words import counted, show_age

_HEAD = ("HOST", "MODEL", "CONDITION", "SINCE", "NEXT TRY", "WHY")
_FEW = 8
"""Hosts that are shown item by item."""
_ROWS = 50
_WORST = ("stalled", "blocked", "unknown", "progressing", "suspended", "ready")
_CODES = {"stalled": ExitCode.PARTIAL, "blocked": ExitCode.PARTIAL, "unknown": ExitCode.UNOBSERVED}


def daemon_status_text(
    document: Mapping[str, Any], now: datetime, *, paint: Paint = PLAIN, everything: bool = False
) -> str:
    """`document` is that of `/api/status`; ages are told from `now` on. Raises `KeyError`, `TypeError` and `ValueError` for another one."""
    hosts, fleet = document["hosts"], document["fleet"]
    whole = everything or len(hosts) <= _FEW
    rows = [row for host in hosts for row in _rows(host, now) if whole or row[2] != "ready"]
    rows.sort(key=lambda row: (_WORST.index(row[2]), row[:2]) if not whole else (0, row[:2]))
    lines = headed([_HEAD, *rows[: None if whole else _ROWS]], paint) if rows else []
    if not whole and len(rows) > _ROWS:
        lines.append(f"… and {len(rows) - _ROWS} more; `-v` shows every item")
    refusals = [*fleet.get("refusals", ()), *(each for host in hosts for each in host.get("refusals", ()))]
    if refusals:
        lines += [
            "",
            paint.warning("Held back by a guard, waits for a person:"),
            *(f"  {clean(each)}" for each in refusals),
        ]
    suspended = [host for host in hosts if host["condition"] == "suspended"]
    if suspended:
        lines += ["", "Suspended, only looked at:"]
        lines += [f"  {clean(host['name'])}: {clean(host.get('message') or 'no reason given')}" for host in suspended]
    source = fleet["source"]
    if source["state"] != "good":
        told = paint.warning(f"The manifests are {source['state']}; those of before stay in force:")
        lines += ["", told, *(f"  {clean(each)}" for each in source.get("faults", ()))]
    lines += [f"note: {clean(each)}" for each in fleet.get("notes", ())]
    lines += ["", paint.strong(_summary(hosts, fleet, now))]
    return "\n".join(lines).lstrip("\n") + "\n"


def daemon_exit_code(document: Mapping[str, Any]) -> ExitCode:
    """As of a pass (`design.md` 10)."""
    codes = [_CODES[host["condition"]] for host in document["hosts"] if host["condition"] in _CODES]
    if document["fleet"].get("refusals") or any(host.get("refusals") for host in document["hosts"]):
        codes.append(ExitCode.REFUSED)
    return highest_ranked(codes)


def _rows(host: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, ...]]:
    name = clean(host["name"])
    if not host["items"]:
        yield name, "-", host["condition"], _ago(host.get("since"), now), _ahead(host.get("next_try"), now), _why(host)
    for item in host["items"]:
        told = item if item["condition"] != "unknown" else {**host, **item, "message": host.get("message", "")}
        yield (
            name,
            clean(item["model"]),
            item["condition"],
            _ago(item.get("since"), now),
            _ahead(told.get("next_try"), now),
            _why(told),
        )


def _why(part: Mapping[str, Any]) -> str:
    """Progress first, then words and code; nothing of what is as desired."""
    moving = part.get("moving")
    if moving:
        done, total = moving.get("completed"), moving.get("total")
        share = f" {100 * done // total} %" if done is not None and total else ""
        return clean(f"{moving['action']}{share}")
    if part["condition"] == "ready" and not part.get("message"):
        return clean(part.get("memory") or "-")
    code = f" ({part['code']})" if part.get("code") else ""
    return clean(f"{part.get('message') or part['reason']}{code}")


def _summary(hosts: list[Mapping[str, Any]], fleet: Mapping[str, Any], now: datetime) -> str:
    conditions = Counter(host["condition"] for host in hosts)
    parts = [f"{conditions['ready']} of {counted(len(hosts), 'host')} ready"]
    parts += [f"{conditions[each]} {each}" for each in _WORST[:-1] if conditions[each]]
    passes = fleet.get("passes", ())
    if passes:
        newest = passes[0]
        parts.append(
            f"pass {newest['number']} {newest['outcome']}, {_ago(newest.get('ended') or newest['begun'], now)} ago"
        )
    if fleet.get("dry_run"):
        parts.append("a dry run: nothing is changed")
    return "; ".join(parts)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _ago(text: str | None, now: datetime) -> str:
    return "-" if text is None else show_age(max(0.0, (now - _moment(text)).total_seconds()))


def _ahead(text: str | None, now: datetime) -> str:
    return "-" if text is None else f"in {show_age(max(0.0, (_moment(text) - now).total_seconds()))}"
