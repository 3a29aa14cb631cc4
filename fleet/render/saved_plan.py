"""A saved plan as text: what its file holds, which is all but contents and the state of the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.codes import Code
from fleet.errors import InputError
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.difference import Blocked, Change, Reason
from fleet.reconcile.saved import SavedPlan
from fleet.reconcile.step import Action, BlockedItem, Plan, Refusal, Step
from fleet.render.paint import PLAIN, Paint
from fleet.render.plan import plan_text
from fleet.render.words import sentence, some
from fleet.render.writing import FORMAT

_BY_ID = {code.id: code for code in Code}


def saved_text(saved: SavedPlan, *, paint: Paint = PLAIN) -> str:
    """The plan as it was shown when it was made. Raises `InputError` for a file that no fleet wrote."""
    try:
        plan = _plan(saved)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "the plan cannot be shown: a part of it is not what fleet writes",
            code=Code.PLAN_FILE_WRONG,
            hint="make a new one with `fleet plan --save FILE`",
        ) from error
    made = saved.created_at.isoformat(sep=" ", timespec="seconds")
    lines = [f"Plan of `{sentence(saved.name)}`, made {made}, from {some(saved.arguments.manifests)}"]
    if saved.unobserved:
        lines.append(f"Not observed then, so nothing is planned there: {some(saved.unobserved, 20)}")
    if not plan.steps and not plan.blocked and not plan.refused:
        return "\n".join([*lines, "", paint.strong("No steps to take")]) + "\n"
    return "\n".join(lines) + "\n\n" + plan_text(plan, paint=paint)


def saved_document(saved: SavedPlan) -> dict[str, Any]:
    """The same for machines."""
    return {
        "type": "saved-plan",
        "format": FORMAT,
        "name": saved.name,
        "created_at": saved.created_at.isoformat(timespec="seconds"),
        "fingerprint": saved.fingerprint,
        "manifests": list(saved.arguments.manifests),
        "inventory": list(saved.arguments.inventory),
        "steps": [dict(step) for step in saved.steps],
        "blocked": [dict(item) for item in saved.blocked],
        "refused": [dict(refusal) for refusal in saved.refused],
        "unobserved": list(saved.unobserved),
    }


def _plan(saved: SavedPlan) -> Plan:
    return Plan(
        saved.name,
        tuple(_step(step) for step in saved.steps),
        blocked=tuple(
            BlockedItem(
                HostName.parse(item["host"]),
                ModelName.parse(item["model"]),
                Blocked(_BY_ID[item["code"]], str(item["message"])),
            )
            for item in saved.blocked
        ),
        refused=tuple(
            Refusal(
                _BY_ID[refusal["code"]],
                str(refusal["message"]),
                "",
                None if refusal["host"] is None else HostName.parse(refusal["host"]),
                tuple(str(would) for would in refusal["would"]),
            )
            for refusal in saved.refused
        ),
        fingerprint=saved.fingerprint,
    )


def _step(read: Mapping[str, Any]) -> Step:
    """A step as far as it was written down; its changes stand as they were shown."""
    return Step(
        int(read["step"]),
        HostName.parse(read["host"]),
        ModelName.parse(read["model"]),
        str(read["model"]),
        Action(read["action"]),
        Reason(read["reason"]),
        _digest(read["old"]),
        _digest(read["new"]),
        _number(read["new_known_after_step"]),
        _number(read["bytes_to_transfer"]),
        _number(read["bytes_to_free"]),
        changes=tuple(Change(str(c["field"]), _text(c["old"]), _text(c["new"])) for c in read["changes"]),
        source=None if read["source"] is None else ModelName.parse(read["source"]),
    )


def _digest(read: Any) -> Digest | None:
    return None if read is None else Digest.parse(read)


def _number(read: Any) -> int | None:
    return None if read is None else int(read)


def _text(read: Any) -> str | None:
    return None if read is None else str(read)
