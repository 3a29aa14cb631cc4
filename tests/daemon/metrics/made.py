"""Statuses as passes leave them, for tests of what is told of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from fleet.daemon.status import (
    Condition,
    FleetStatus,
    HostStatus,
    InMemory,
    ItemStatus,
    Outcome,
    PassStatus,
    SourceState,
    SourceStatus,
)
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.report import Outcome as StepOutcome
from fleet.reconcile.report import StepResult
from fleet.reconcile.step import Action, Step

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EARLIER = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
GOOD = SourceStatus(SourceState.GOOD, "/etc/ollama-fleet/models", "4f2a9c1", EARLIER)
READY, STALLED, UNKNOWN = Condition.READY, Condition.STALLED, Condition.UNKNOWN


def a_fleet(**changes: object) -> FleetStatus:
    made = FleetStatus("acme-prod", NOW, EARLIER, "0.1.0", GOOD, 300.0, None, last_success=EARLIER)
    return replace(made, **changes)  # type: ignore[arg-type]


def an_item(model: str, condition: Condition = READY, **changes: object) -> ItemStatus:
    made = ItemStatus(ModelName.parse(model), condition, "as-desired" if condition is READY else "missing", EARLIER)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_host(name: str, condition: Condition = READY, *items: ItemStatus, **changes: object) -> HostStatus:
    made = HostStatus(HostName(name), condition, "as-desired", EARLIER, items=items)
    return replace(made, **changes)  # type: ignore[arg-type]


def in_memory(listed: str, vram: int) -> InMemory:
    return InMemory(listed, vram, vram, None, declared=True)


def a_pass(number: int = 7, outcome: Outcome = Outcome.UNCHANGED, **changes: object) -> PassStatus:
    made = PassStatus(number, EARLIER, NOW, ("interval",), "4f2a9c1", outcome)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_step(action: Action, host: str = "gpu-a", number: int = 1) -> Step:
    name = ModelName.parse("qwen3:8b")
    return Step(number, HostName(host), name, str(name), action, Reason.MISSING)


def a_result(
    action: Action, outcome: StepOutcome = StepOutcome.DONE, host: str = "gpu-a", bytes_in: int = 0
) -> StepResult:
    return StepResult(a_step(action, host), outcome, None, 1.0, bytes_in)
