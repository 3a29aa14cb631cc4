"""What a pass comes to: one exit code by rank, and counts that hide nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.codes import Code
from fleet.errors import ExitCode, HostUnreachable, OutcomeUnknown
from fleet.names import HostName
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.plan import plan
from fleet.reconcile.report import Failure, Outcome, Report, StepResult, counted, exit_code
from fleet.reconcile.step import Action, Plan
from tests.reconcile import notation

FAILURE = Failure(Code.STALLED, "it hung", HostName("alpha"))


def planned(desired: dict[str, Any], observed: dict[str, Any], **about: Any) -> Plan:
    wanted = notation.desired({"desired": desired, **about})
    return plan(
        wanted,
        {
            HostName(host): notation.observation(host, each, wanted.hosts[HostName(host)])
            for host, each in observed.items()
        },
    )


NOTHING = planned({"alpha": ["a:1"]}, {"alpha": ["a:1"]})
STEPS = planned({"alpha": ["a:1"]}, {"alpha": []})
BLOCKED = planned({"alpha": {"a:1": {"alias": "b:1"}}}, {"alpha": []})
REFUSED = planned({"alpha": {"a:1": "absent"}}, {"alpha": ["a:1"]}, max_deletes=0)
UNSEEN = planned({"alpha": ["a:1"]}, {"alpha": "NO_ANSWER"})


@pytest.mark.parametrize(
    ("made", "arguments", "said", "code"),
    [
        (NOTHING, {}, {"applied": True}, ExitCode.AS_DESIRED),
        (NOTHING, {}, {"applied": False, "detailed": True}, ExitCode.AS_DESIRED),
        (STEPS, {}, {"applied": True, "detailed": True}, ExitCode.AS_DESIRED),
        (STEPS, {}, {"applied": False}, ExitCode.AS_DESIRED),
        (STEPS, {}, {"applied": False, "detailed": True}, ExitCode.CHANGES_PENDING),
        (STEPS, {"failures": (FAILURE,)}, {"applied": True}, ExitCode.PARTIAL),
        (BLOCKED, {}, {"applied": True}, ExitCode.PARTIAL),
        (BLOCKED, {}, {"applied": False}, ExitCode.PARTIAL),
        (UNSEEN, {}, {"applied": True}, ExitCode.UNOBSERVED),
        (UNSEEN, {}, {"applied": True, "allowed_unobserved": 1}, ExitCode.AS_DESIRED),
        (UNSEEN, {"failures": (FAILURE,)}, {"applied": True}, ExitCode.PARTIAL),
        (REFUSED, {}, {"applied": False, "detailed": True}, ExitCode.REFUSED),
        (REFUSED, {"failures": (FAILURE,)}, {"applied": True}, ExitCode.REFUSED),
        (NOTHING, {"interrupted": ExitCode.INTERRUPTED}, {"applied": True}, ExitCode.INTERRUPTED),
        (NOTHING, {"interrupted": ExitCode.TERMINATED, "failures": (FAILURE,)}, {"applied": True}, ExitCode.TERMINATED),
        (REFUSED, {"interrupted": ExitCode.INTERRUPTED}, {"applied": True}, ExitCode.REFUSED),
    ],
)
def test_the_highest_ranked_code_wins(
    made: Plan, arguments: dict[str, Any], said: dict[str, Any], code: ExitCode
) -> None:
    report = Report(made, made, unobserved=made.unobserved, **arguments)
    assert exit_code(report, **said) is code


def test_a_suspended_host_that_is_down_is_not_missed() -> None:
    made = planned({"alpha": ["a:1"]}, {"alpha": "UNREACHABLE"}, hosts={"alpha": {"suspended": "in repair"}})
    report = Report(made, made, unobserved=made.unobserved)
    assert exit_code(report, applied=True) is ExitCode.AS_DESIRED


def test_counts_are_of_items_as_they_stand_at_the_end() -> None:
    made = planned(
        {
            "alpha": {
                "a:1": {"warm": True},
                "b:1": {},
                "c:1": {"alias": "nothing:1"},
                "d:1": {},
                "e:1": {"create": {"from": "u:1"}},
                "old:1": "absent",
                "twice:*": "absent",
            },
            "beta": ["a:1"],
            "gamma": ["a:1"],
        },
        {
            "alpha": {
                "models": {
                    "a:1": "a",
                    "b:1": "b",
                    "e:1": {"is": "e", "weights": []},
                    "u:1": {"is": "u", "weights": []},
                    "old:1": "o",
                    "twice:A": "t",
                    "twice:a": "t",
                }
            },
            "beta": "NO_ANSWER",
            "gamma": [],
        },
        hosts={"gamma": {"suspended": ""}},
    )
    ended = [*Outcome, Outcome.DONE]
    results = [StepResult(made.steps[0], outcome) for outcome in ended]
    counts = counted(made, made, results, made.unobserved)
    assert (counts.hosts, counts.unobserved, counts.suspended) == (3, 1, 1)
    assert (counts.items, counts.as_desired, counts.unverified, counts.differs, counts.blocked) == (7, 1, 1, 3, 2)
    assert (counts.done, counts.failed, counts.unknown, counts.superseded, counts.not_tried) == (2, 1, 1, 1, 1)


def test_a_failure_says_whether_its_end_is_known() -> None:
    step = STEPS.steps[0]
    failed = Failure.of(HostUnreachable("gone", code=Code.UNREACHABLE, hint="look", told="bye"), step)
    assert (failed.code, failed.message, failed.told, failed.hint) == (Code.UNREACHABLE, "gone", "bye", "look")
    assert (failed.host, failed.model, failed.action, failed.step) == ("alpha", step.model, Action.PULL, 1)
    assert failed.outcome is Outcome.FAILED
    unknown = Failure.of(OutcomeUnknown("cut", code=Code.STREAM_CUT), step)
    assert unknown.outcome is Outcome.UNKNOWN


def test_why_a_host_was_not_seen_is_kept() -> None:
    assert UNSEEN.unobserved == (Unobserved(HostName("alpha"), Code.NO_ANSWER, "no answer"),)
