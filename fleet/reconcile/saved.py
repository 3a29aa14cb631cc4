"""Plans kept in a file, to be read by a person and carried out later: private, checked, without contents.

A saved plan is never carried out by itself. What it was made from is read again, the hosts are looked at and planned
for again, and only if that comes to the same for everything the saved plan touches does the pass go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fleet.codes import Code
from fleet.errors import GuardError, InputError
from fleet.names import HostName
from fleet.reconcile.difference import Change
from fleet.reconcile.guard import would_do
from fleet.reconcile.plan import restricted
from fleet.reconcile.step import Plan, Refusal, Step
from fleet.whole import read_whole

FORMAT = 1
_LARGEST = 256 << 20
_YOUNG = timedelta(hours=24)
_MARK = b"fleet_plan"
_SAME = ("action", "reason", "old", "new", "presumes", "source", "inputs")
"""What has to be equal for a step to count as the one that was read."""
_TOLD = {
    "old": "what is there",
    "presumes": "what it presumes",
    "new": "what it brings",
    "source": "what it comes from",
    "inputs": "what it is made from",
}
"""How those are called of which the action and its reason say nothing."""
_HEX = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SavedArguments:
    """What the plan was made from: enough to make it again. Paths are absolute."""

    manifests: tuple[str, ...] = ()
    inventory: tuple[str, ...] = ()
    self_name: str | None = None
    labels: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    selector: str | None = None
    models: tuple[str, ...] = ()
    max_deletes: int | None = None
    accept_emptied: tuple[str, ...] = ()
    accept_shrunk: bool = False
    accept_sources: bool = False
    accept_foreign: tuple[str, ...] = ()
    lock_file: str | None = None
    rebuild_unverified: bool = False


class SavedStep(TypedDict):
    """One step of a plan file: `step_as_json` is what it means."""

    step: int
    host: str
    model: str
    action: str
    reason: str
    old: str | None
    new: str | None
    new_known_after_step: int | None
    bytes_to_transfer: int | None
    bytes_to_free: int | None
    presumes: str | None
    needs: list[int]
    source: str | None
    changes: list[dict[str, str | None]]
    inputs: str | None


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file, read."""

    name: str
    """Of the fleet."""
    created_at: datetime
    fingerprint: str
    """Of the desired state then."""
    arguments: SavedArguments
    steps: tuple[SavedStep, ...]
    """As `step_as_json` wrote them."""
    urls: Mapping[str, str]
    """Of the hosts that the steps change."""
    unobserved: tuple[str, ...] = ()
    blocked: tuple[Mapping[str, str], ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()


def step_as_json(step: Step) -> SavedStep:
    """One step without contents: sensitive texts as hash and size."""
    return {
        "step": step.number,
        "host": step.host,
        "model": str(step.model),
        "action": step.action.value,
        "reason": step.reason.value,
        "old": str(step.old) if step.old else None,
        "new": str(step.new) if step.new else None,
        "new_known_after_step": step.new_after,
        "bytes_to_transfer": step.bytes_in,
        "bytes_to_free": step.bytes_freed,
        "presumes": str(step.presumes) if step.presumes else None,
        "needs": list(step.needs),
        "source": str(step.source) if step.source else None,
        "changes": [change_as_json(change) for change in step.changes],
        "inputs": step.inputs,
    }


def change_as_json(change: Change, *, show: bool = False) -> dict[str, Any]:
    """Old and new value of a field; those of a sensitive one as hash and size, unless they are to be shown."""
    hidden = change.sensitive and not show
    return {
        "field": change.field,
        "old": summary(change.old) if hidden else change.old,
        "new": summary(change.new) if hidden else change.new,
    }


def summary(text: str | None) -> str | None:
    """A text as the beginning of its hash and its size in bytes: enough to tell two apart."""
    if not text:
        return text
    raw = text.encode(errors="surrogatepass")
    return f"sha256:{hashlib.sha256(raw).hexdigest()[:12]} ({len(raw)} bytes)"


def save(plan: Plan, arguments: SavedArguments, path: str) -> None:
    """Writes a private file, replacing what was there. Raises `InputError`."""
    body = {
        "format": FORMAT,
        "name": plan.name,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": plan.fingerprint,
        "arguments": asdict(arguments),
        "steps": [step_as_json(step) for step in plan.steps],
        "urls": {step.host: plan.urls.get(step.host, "") for step in plan.steps},
        "unobserved": [unseen.host for unseen in plan.unobserved],
        "blocked": [
            {"host": b.host, "model": str(b.model), "code": b.blocked.code.id, "message": b.blocked.message}
            for b in plan.blocked
        ],
        "refused": [
            {"host": r.host, "code": r.code.id, "message": r.message, "would": list(r.would)} for r in plan.refused
        ],
    }
    text = _written(body)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"the plan cannot be written: {path}: {error.strerror or error}",
            code=Code.PLAN_FILE_WRONG,
            hint="name a file in a folder that you may write to",
        ) from error


def read(path: str) -> SavedPlan:
    """Reads a plan file. Raises `InputError` where there is no plan to read, `GuardError` for one that was edited."""
    try:
        raw = read_whole(Path(path), _LARGEST)
    except OSError as error:
        raise InputError(
            f"the plan cannot be read: {path}: {error.strerror or error}",
            code=Code.PLAN_FILE_WRONG,
            hint="make one with `fleet plan --save FILE`",
        ) from error
    try:
        whole = json.loads(raw)
        body = whole["fleet_plan"]
        if whole["checksum"] != _checksum(body):
            raise ValueError("its checksum does not fit")
        if body["format"] != FORMAT:
            raise ValueError("it was written by another version of fleet")
        if raw != _written(body).encode():
            raise ValueError("it is not as fleet wrote it")
        return _shape().validate_python({key: value for key, value in body.items() if key != "format"})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if _MARK not in raw:
            raise InputError(
                f"this is no saved plan: {path}",
                code=Code.PLAN_FILE_WRONG,
                hint=f"make one with `fleet plan --save FILE`; manifests are named by `-f {path}`",
            ) from error
        why = str(error) if type(error) is ValueError else "a part of it is missing"
        raise GuardError(
            f"the plan cannot be used: {path}: {why}",
            code=Code.PLAN_FILE_WRONG,
            hint="make a new one with `fleet plan --save FILE`",
        ) from error


@lru_cache(maxsize=1)
def _shape() -> TypeAdapter[SavedPlan]:
    return TypeAdapter(SavedPlan)


def aged(saved: SavedPlan, now: datetime) -> str | None:
    """A word on a plan that was read long before it is carried out, if it was."""
    age = now - saved.created_at
    if age <= _YOUNG:
        return None
    made = saved.created_at.isoformat(sep=" ", timespec="minutes")
    return f"the saved plan is {age // timedelta(hours=1)} hours old, made {made}: what it touches is the same still"


def match(saved: SavedPlan, fresh: Plan) -> Plan:
    """The steps of `saved`, as they are planned now. Raises `GuardError` where a host or a manifest moved on."""
    then, now = _by_model(saved.steps), _by_model([step_as_json(step) for step in fresh.steps])
    held = _held(fresh)
    moved = [
        f"{host}: {model}: {_moved(then[host, model], now.get((host, model), []), held(host, then[host, model]))}"
        for host, model in then
        if [_same(step) for step in then[host, model]] != [_same(step) for step in now.get((host, model), [])]
    ]
    # What a step is made from may have to be brought first by now, and nobody has read that.
    sources = {(step["host"], step["source"]) for key in then for step in now.get(key, []) if step["source"]}
    moved += [
        f"{host}: {model}: was as desired, is {_words(now[host, model])}"
        for host, model in sorted(sources - then.keys())
        if (host, model) in now
    ]
    moved += [
        f"{host}: was at {url}, is at {fresh.urls.get(HostName(host), 'no address')}"
        for host, url in sorted(saved.urls.items())
        if fresh.urls.get(HostName(host), "") != url
    ]
    if not then and now:
        # A person read that there was nothing to do, and there is.
        moved += [
            f"{host}: {model}: was as desired, is {_words(steps)}" for (host, model), steps in sorted(now.items())
        ]
    if saved.name != fresh.name:
        moved.append(f"it is for the fleet `{saved.name}`, and this is `{fresh.name}`")
    if moved:
        raise GuardError(
            "the saved plan no longer fits, and nothing was done:\n  " + "\n  ".join(moved),
            code=Code.PLAN_STALE,
            hint="make a new one with `fleet plan --save FILE`, read it, and apply that",
        )
    return restricted(fresh, lambda step: (step.host, str(step.model)) in then)


def _by_model(steps: Any) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for step in steps:
        found.setdefault((step["host"], step["model"]), []).append(step)
    return found


def _same(step: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(step.get(key) for key in _SAME)


def _held(fresh: Plan) -> Callable[[str, list[Mapping[str, Any]]], Refusal | None]:
    """The guard that holds a step of those back now, if one does."""
    by_step = {(refusal.host, told): refusal for refusal in fresh.refused for told in refusal.would}

    def held(host: str, then: list[Mapping[str, Any]]) -> Refusal | None:
        told = (would_do(step["action"], step["model"], host, step["reason"]) for step in then)
        return next((found for each in told if (found := by_step.get((HostName(host), each))) is not None), None)

    return held


def _moved(then: list[Mapping[str, Any]], now: list[Mapping[str, Any]], held: Refusal | None) -> str:
    """What was to be done beside what is to be done now, or what holds it back; where that reads alike, what is not the
    same about it.
    """
    was, is_now = _words(then), _words(now)
    if held is not None and not now:
        return f"was {was}, is held back: {held.message} ({held.code.id})"
    if was != is_now:
        return f"was {was}, is {is_now}"
    # Of several parts that changed alike, such as what is there and what is presumed, the first tells enough.
    found: dict[tuple[str, str, str], str] = {}
    for step, other in zip(then, now, strict=True):
        for key, told in _TOLD.items():
            if step.get(key) != other.get(key):
                found.setdefault((step["action"], _short(step.get(key)), _short(other.get(key))), told)
    return "; ".join(f"{action}: {told} was {old}, is {new}" for (action, old, new), told in found.items())


def _short(value: Any) -> str:
    """A digest in its short form; of other hashes the beginning, and names as they are."""
    if value is None:
        return "not known"
    return str(value).removeprefix("sha256:")[:12] if _HEX.fullmatch(str(value)) else str(value)


def _words(steps: list[Mapping[str, Any]]) -> str:
    return " and ".join(f"{step['action']} ({step['reason']})" for step in steps) or "as desired"


def _written(body: Any) -> str:
    return json.dumps({"fleet_plan": body, "checksum": _checksum(body)}, indent=1, sort_keys=True) + "\n"


def _checksum(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
