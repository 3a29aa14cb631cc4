"""What the last look is compared with: what was listed before, at the same address."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.names import HostName
from fleet.reconcile.identity import vanished
from fleet.reconcile.plan import plan
from fleet.reconcile.report import Failure
from fleet.reconcile.step import Plan
from fleet.reconcile.verify import unproven
from tests.reconcile import notation

HOST = HostName("alpha")


def planned(models: Any, **remembered: Any) -> Plan:
    wanted = notation.desired({"desired": {"alpha": ["a:1"]}, "prune": "undeclared"})
    known = notation.remembered({"sources": "", "items": 1, "hosts": {"alpha": {"models": ["a:1"], **remembered}}})
    return plan(wanted, {HOST: notation.observation("alpha", {"models": models}, wanted.hosts[HOST])}, remembered=known)


def came(models: Any) -> tuple[Failure, ...]:
    """What is told of `b:1`, which is not needed any more, beside what was there when that was planned."""
    return unproven(planned(models, begun=["b:1"]), planned({"a:1": "a", "b:1": "b"}), ())


def test_what_was_listed_all_the_time_did_not_come_meanwhile() -> None:
    assert came({"a:1": "a", "b:1": "b"}) == ()


def test_what_came_meanwhile_is_told() -> None:
    assert ["came to the host while this ran" in failure.message for failure in came({"a:1": "a"})] == [True]


@pytest.mark.parametrize(("url", "gone"), [("http://alpha:11434", 1), ("http://former:11434", 0)])
def test_a_model_vanishes_from_the_machine_that_listed_it_alone(url: str, gone: int) -> None:
    known = notation.remembered({"hosts": {"alpha": {"url": url, "models": ["a:1"]}}})
    assert len(vanished(planned({"b:1": "b"}), known)) == gone
