"""What is known of a model's answers to the questions of its entry. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from fleet.codes import Code
from fleet.manifest.item import Check
from fleet.reconcile.difference import Blocked, Difference
from fleet.state.evidence import Checked


def questions_of(checks: Iterable[Check]) -> str:
    """SHA-256 over the questions and what is expected of the answers."""
    return hashlib.sha256(json.dumps([asdict(check) for check in checks], sort_keys=True).encode()).hexdigest()


def unchecked(item: Difference, checked: Checked | None) -> bool:
    """Whether this content was never asked these questions, as far as fleet knows."""
    return (
        checked is None
        or item.present is None
        or checked.digest != item.present.digest
        or checked.questions != questions_of(item.item.check)
    )


def check_failed(item: Difference, checked: Checked | None) -> Blocked | None:
    """What to say of a model that answered badly, if it did."""
    if checked is None or checked.passed:
        return None
    return Blocked(
        Code.CHECK_FAILED,
        f"`{item.item.name}` failed its check: {checked.told}",
        hint="mend the model or its `check`; `fleet check` asks again",
    )
