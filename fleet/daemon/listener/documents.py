"""Hosts, items, passes and the rest of the board as JSON documents. What has no value is left out. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fleet.daemon.status import FleetStatus, HostStatus, InMemory, ItemStatus, Kind, PassStatus, SourceStatus
from fleet.foreign import clean
from fleet.render.history import pass_part

_TEXT = 1000
"""Characters of a message at most."""
_FAULTS = 16_000
"""Of all faults of manifests together."""


def moment(at: datetime) -> str:
    """In UTC, to the second: `2026-03-01T12:00:00Z`. Servers name moments near the end of the calendar too."""
    if at.tzinfo is not UTC:
        try:
            at = at.astimezone(UTC)
        except OverflowError:
            at = at.replace(tzinfo=UTC)
    return f"{at.isoformat()[:19]}Z"


@lru_cache(maxsize=8192)
def _quoted(text: str) -> str:
    return json.dumps(clean(text))


_moment_of_item = lru_cache(maxsize=8192)(moment)


def item_text(item: ItemStatus) -> str:
    """An item as JSON. There are 40,000 of them in a large fleet, so what most of them have is put together here by hand,
    and what is rare by the library.
    """
    text = (
        f'{{"model":{_quoted(str(item.model))},"condition":"{item.condition.value}",'
        f'"reason":{_quoted(item.reason)},"since":"{_moment_of_item(item.since)}"'
    )
    if item.memory:
        text += f',"memory":{_quoted(item.memory)}'
    if item.digest is not None:
        text += f',"digest":"sha256:{item.digest.hex}"'
    if item.size is not None:
        text += f',"size":{int(item.size)}'
    rare = _rare(item)
    return f"{text},{json.dumps(rare, separators=(',', ':'))[1:]}" if rare else f"{text}}}"


def _rare(item: ItemStatus) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if item.kind is not Kind.ITEM:
        document["kind"] = item.kind.value
    if item.message:
        document["message"] = clean(item.message, _TEXT)
    if item.code is not None:
        document["code"] = item.code.id
    if item.next_try is not None:
        document["next_try"] = moment(item.next_try)
    if item.tries:
        document["tries"] = item.tries
    if item.changes:
        document["changes"] = [clean(change) for change in item.changes]
    if item.moving is not None:
        moving = {
            "action": clean(item.moving.action),
            "words": clean(item.moving.words),
            "completed": item.moving.completed,
            "total": item.moving.total,
            "rate": None if item.moving.rate is None else round(item.moving.rate),
        }
        document["moving"] = {name: value for name, value in moving.items() if value not in (None, "")}
    return document


def host_document(host: HostStatus) -> dict[str, Any]:
    """Without its items, of which only the numbers are told, and without when it was seen and as desired."""
    document: dict[str, Any] = {
        "name": host.name,
        "condition": host.condition.value,
        "reason": clean(host.reason),
        "ready": host.ready,
        "since": moment(host.since),
        "url": clean(host.url),
        "labels": {clean(name): clean(value) for name, value in host.labels.items()},
        "message": clean(host.message, _TEXT),
        "code": host.code.id if host.code is not None else None,
        "server": clean(host.version),
        "next_try": _moment(host.next_try),
        "busy_since": _moment(host.busy_since),
        "vram": host.vram,
        "memory": [_in_memory(each) for each in host.memory],
        "refusals": [clean(each, _TEXT) for each in host.refusals],
        "counts": {condition.value: count for condition, count in sorted(host.counts.items())},
    }
    return {name: value for name, value in document.items() if value not in (None, "", [], {})}


def fleet_document(fleet: FleetStatus) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": clean(fleet.name),
        "at": moment(fleet.at),
        "started": moment(fleet.started),
        "version": fleet.version,
        "source": _source(fleet.source),
        "interval": fleet.interval,
        "next_pass": _moment(fleet.next_pass),
        "last_success": _moment(fleet.last_success),
        "dry_run": fleet.dry_run,
        "refusals": [clean(each, _TEXT) for each in fleet.refusals],
        "notes": [clean(each, _TEXT) for each in fleet.notes],
        "passes": [pass_document(each) for each in fleet.passes],
    }
    return {name: value for name, value in document.items() if value is not None}


def pass_document(one: PassStatus) -> dict[str, Any]:
    part = pass_part(one)
    part["message"] = part["message"] or None
    return {name: value for name, value in part.items() if value is not None}


def fault_lines(message: str) -> list[str]:
    """Every fault of the manifests, a line each, cleaned."""
    return [clean(line, _TEXT) for line in message[:_FAULTS].splitlines() if line.strip()]


def _source(source: SourceStatus) -> dict[str, Any]:
    document = {
        "state": source.state.value,
        "what": clean(source.what),
        "revision": clean(source.revision),
        "since": _moment(source.since),
        "faults": fault_lines(source.message),
    }
    return {name: value for name, value in document.items() if value not in (None, "", [])}


def _in_memory(each: InMemory) -> dict[str, Any]:
    document = {
        "model": clean(each.listed),
        "size": each.size,
        "vram": each.vram,
        "until": _moment(each.until),
        "declared": each.declared,
    }
    return {name: value for name, value in document.items() if value is not None}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else moment(at)
