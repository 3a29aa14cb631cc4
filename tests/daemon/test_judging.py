"""From a plan and what failed before to the condition of each item, as people and metrics see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.codes import Code
from fleet.daemon.judging import Circumstances, host_status, with_moving
from fleet.daemon.status import Condition, HostStatus, ItemStatus, Kind, Moving
from fleet.daemon.waiting import LOOK
from fleet.names import HostName, ModelName
from fleet.reconcile.observed import Observation, Unobserved
from fleet.reconcile.plan import plan
from fleet.state.attempts import Attempt, RetryClass
from fleet.state.remembered import HostRemembered, Remembered
from tests.reconcile import notation

HOST = HostName("alpha")
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)


def stands(
    desired: Any,
    observed: Any,
    *,
    former: HostStatus | None = None,
    remembered: Remembered | None = None,
    **circumstances: Any,
) -> HostStatus:
    """How `alpha` stands."""
    about: dict[str, Any] = {"desired": {"alpha": desired}, **circumstances.pop("more", {})}
    wanted = notation.desired(about)
    seen: Observation = (
        observed if isinstance(observed, Unobserved) else notation.observation("alpha", observed, wanted.hosts[HOST])
    )
    made = plan(wanted, {HOST: seen}, remembered=remembered)
    now = circumstances.pop("now", NOW)
    return host_status(wanted.hosts[HOST], made, seen, former, Circumstances(now, **circumstances))


def one(status: HostStatus) -> ItemStatus:
    (item,) = status.items
    return item


def failed(kind: RetryClass, code: Code) -> Attempt:
    return Attempt(HOST, "qwen3:8b", "pull", kind, 3, NOW, NOW, LATER, "", code.id, "no route to the registry")


def test_what_is_as_desired_is_ready_and_so_is_its_host() -> None:
    status = stands(["qwen3:8b"], ["qwen3:8b"])
    assert (one(status).condition, one(status).reason) == (Condition.READY, "as-desired")
    assert (status.condition, status.ready, status.converged) == (Condition.READY, True, NOW)


def test_what_a_step_is_going_to_mend_is_progressing_with_the_plans_reason() -> None:
    status = stands(["qwen3:8b"], [])
    assert (one(status).condition, one(status).reason) == (Condition.PROGRESSING, "missing")
    assert (status.condition, status.reason, status.converged) == (Condition.PROGRESSING, "missing", None)


@pytest.mark.parametrize(
    ("kind", "code", "condition"),
    [
        (RetryClass.T, Code.REGISTRY_TROUBLE, Condition.PROGRESSING),
        (RetryClass.P, Code.NOT_IN_REGISTRY, Condition.STALLED),
        (RetryClass.B_DISK, Code.DISK_FULL, Condition.STALLED),
    ],
)
def test_what_failed_tells_why_and_when_it_is_tried_again(kind: RetryClass, code: Code, condition: Condition) -> None:
    key = ("qwen3:8b", "pull")
    item = one(stands(["qwen3:8b"], [], failed={key: failed(kind, code)}, next_tries={key: LATER}))
    assert (item.condition, item.code, item.tries, item.next_try) == (condition, code, 3, LATER)
    assert item.message == "no route to the registry"


def test_a_failure_of_another_item_is_none_of_this_one() -> None:
    key = ("phi4:14b", "pull")
    item = one(stands(["qwen3:8b"], [], failed={key: replace(failed(RetryClass.P, Code.DISK_FULL), model="phi4:14b")}))
    assert (item.condition, item.tries) == (Condition.PROGRESSING, 0)


def test_what_the_host_cannot_have_is_blocked() -> None:
    item = one(stands({"chat": {"alias": "nobody:1b"}}, []))
    assert (item.condition, item.code) == (Condition.BLOCKED, Code.SOURCE_NOT_THERE)


def test_what_must_be_gone_is_an_item_too() -> None:
    status = stands({"old:1b": "absent"}, ["old:1b"])
    assert (one(status).kind, one(status).condition) == (Kind.REMOVAL, Condition.PROGRESSING)


@pytest.mark.fault("N1")
def test_a_host_that_was_not_seen_is_unknown_with_all_it_is_to_have() -> None:
    unseen = Unobserved(HOST, Code.UNREACHABLE, "no connection")
    status = stands(["qwen3:8b"], unseen, next_tries={("", LOOK): LATER})
    assert (status.condition, status.code, status.next_try) == (Condition.UNKNOWN, Code.UNREACHABLE, LATER)
    assert one(status).condition is Condition.UNKNOWN


def test_what_was_known_of_a_silent_host_is_kept_as_old() -> None:
    seen = replace(stands(["qwen3:8b"], ["qwen3:8b"]), seen=NOW, version="0.32.15")
    status = stands(["qwen3:8b"], Unobserved(HOST, Code.UNREACHABLE, "no connection"), former=seen, now=LATER)
    assert (status.seen, status.version, status.converged) == (NOW, "0.32.15", NOW)
    assert status.since == LATER


@pytest.mark.fault("N1")
def test_a_condition_keeps_its_age_until_it_changes() -> None:
    first = stands(["qwen3:8b"], [])
    second = stands(["qwen3:8b"], [], former=first, now=LATER)
    assert (second.since, one(second).since) == (NOW, NOW)
    third = stands(["qwen3:8b"], ["qwen3:8b"], former=second, now=LATER)
    assert (third.since, one(third).since) == (LATER, LATER)


def test_a_guard_makes_its_host_wait_for_a_person() -> None:
    wanted = notation.desired({"desired": {"alpha": ["qwen3:8b"]}})
    before = Remembered(hosts={HOST: HostRemembered(wanted.hosts[HOST].host.url, frozenset("abcdefgh"))})
    status = stands(["qwen3:8b"], [], remembered=before)
    assert (status.condition, status.reason) == (Condition.STALLED, "held-back")
    assert "FLT-505" in status.refusals[0]
    assert (one(status).condition, one(status).code) == (Condition.STALLED, Code.HOST_EMPTIED)


def test_what_moves_is_shown_with_its_item() -> None:
    moving = Moving("pull", completed=5, total=10)
    status = with_moving(stands(["qwen3:8b"], []), {ModelName.parse("qwen3:8b"): moving}, NOW)
    assert (one(status).moving, status.busy_since) == (moving, NOW)
