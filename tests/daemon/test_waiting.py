"""What failed is left alone for a while: how long, and what ends that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.codes import Code
from fleet.daemon.backoff import BackOff, Clocks, key_of
from fleet.daemon.waiting import after_failure, after_silence, class_of, needs_person
from fleet.names import HostName, ModelName
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Failure
from fleet.reconcile.step import Action
from fleet.settings import Settings
from fleet.state.attempts import Attempt, RetryClass

HOST = HostName("gpu-a")
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SETTINGS = Settings(state_dir="/state")


@dataclass
class Clock:
    """Both clocks; only the wall's can be set."""

    seconds: float = 1000.0
    set_by: timedelta = timedelta(0)

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.seconds, lambda: NOW + timedelta(seconds=self.seconds - 1000.0) + self.set_by)


def failure(code: Code, action: Action = Action.PULL) -> Failure:
    return Failure(code, "it did not work", HOST, ModelName.parse("qwen3:8b"), action, 1)


def failed(code: Code, times: int, *, inputs: str = "a", now: datetime = NOW) -> Attempt:
    attempt: Attempt | None = None
    for _ in range(times):
        attempt = after_failure(attempt, failure(code), inputs, now, SETTINGS, 0.5)
    assert attempt is not None
    return attempt


@pytest.mark.parametrize(
    ("code", "action", "kind", "person"),
    [
        (Code.NOT_IN_REGISTRY, Action.PULL, RetryClass.P, True),
        (Code.UNREACHABLE, Action.PULL, RetryClass.T, False),
        (Code.STREAM_CUT, Action.PULL, RetryClass.T_RESUME, False),
        (Code.STREAM_CUT, Action.CREATE, RetryClass.U, False),
        (Code.DISK_FULL, Action.PULL, RetryClass.B_DISK, True),
        (Code.OUT_OF_MEMORY, Action.LOAD, RetryClass.B_VRAM, True),
        (Code.NEWER_SERVER_NEEDED, Action.PULL, RetryClass.B_VERSION, True),
        (Code.NOT_AS_WANTED, Action.PULL, RetryClass.U, False),
    ],
)
def test_each_failure_has_its_kind(code: Code, action: Action, kind: RetryClass, person: bool) -> None:
    assert class_of(code, action) is kind
    assert needs_person(kind) is person


def test_what_may_pass_is_waited_for_twice_as_long_each_time_up_to_half_an_hour() -> None:
    waits = [(failed(Code.UNREACHABLE, n).next_try - NOW).total_seconds() for n in range(1, 10)]
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


@pytest.mark.fault("R1")
def test_what_needs_a_person_is_looked_at_every_half_hour_from_the_start() -> None:
    waits = [(failed(Code.NOT_IN_REGISTRY, n).next_try - NOW).total_seconds() for n in (1, 2, 5)]
    assert waits == [1800, 1800, 1800]


@pytest.mark.fault("W1")
def test_a_load_for_which_memory_did_not_suffice_is_tried_again_up_to_six_hours_later() -> None:
    waits = [(failed(Code.OUT_OF_MEMORY, n).next_try - NOW).total_seconds() for n in range(1, 8)]
    assert waits == [1800, 3600, 7200, 14400, 21600, 21600, 21600]


@pytest.mark.fault("P12")
def test_a_change_that_never_holds_waits_for_a_person_from_the_third_time_on() -> None:
    tried = [failed(Code.NOT_AS_WANTED, n) for n in (1, 2, 3, 4)]
    assert [needs_person(each.retry_class) for each in tried] == [False, False, True, True]
    assert [each.code for each in tried[1:3]] == [Code.NOT_AS_WANTED.id, Code.DOES_NOT_CONVERGE.id]
    assert (tried[2].next_try - NOW).total_seconds() == 1800
    # Something else is asked for: that is another change.
    other = after_failure(tried[3], failure(Code.NOT_AS_WANTED), "b", NOW, SETTINGS, 0.5)
    assert (other.tries, needs_person(other.retry_class)) == (1, False)


def test_waiting_is_spread_by_a_fifth() -> None:
    spread = [
        (after_failure(None, failure(Code.UNREACHABLE), "", NOW, SETTINGS, chance).next_try - NOW).total_seconds()
        for chance in (0.0, 1.0)
    ]
    assert spread == [24, 36]


def test_other_inputs_begin_to_count_anew() -> None:
    third = failed(Code.UNREACHABLE, 3)
    other = after_failure(third, failure(Code.UNREACHABLE), "b", NOW, SETTINGS, 0.5)
    assert (third.tries, other.tries) == (3, 1)


def test_a_host_that_is_silent_is_looked_at_a_dozen_times_an_hour() -> None:
    unseen = Unobserved(HOST, Code.UNREACHABLE, "refused")
    attempt: Attempt | None = None
    for _ in range(12):
        attempt = after_silence(attempt, unseen, NOW, SETTINGS, 0.5)
    assert attempt is not None
    assert (attempt.next_try - NOW).total_seconds() == 300


def test_it_is_held_until_its_time_unless_its_inputs_change() -> None:
    clock = Clock()
    attempt = failed(Code.UNREACHABLE, 1)
    waiting = BackOff([attempt], SETTINGS, clock.clocks())
    assert waiting.held(key_of(attempt), "a")
    assert not waiting.held(key_of(attempt), "b")
    assert waiting.due_hosts() == set()
    clock.seconds += 30
    assert not waiting.held(key_of(attempt), "a")
    assert waiting.due_hosts() == {HOST}


@pytest.mark.parametrize("by", [timedelta(hours=-1), timedelta(hours=5)])
@pytest.mark.fault("T1", "T2")
def test_a_wall_clock_that_is_set_changes_nothing(by: timedelta) -> None:
    clock = Clock()
    attempt = failed(Code.UNREACHABLE, 1)
    waiting = BackOff([attempt], SETTINGS, clock.clocks())
    clock.set_by = by
    assert waiting.held(key_of(attempt), "a")
    clock.seconds += 31
    assert not waiting.held(key_of(attempt), "a")


@pytest.mark.fault("T1")
def test_after_a_restart_nothing_waits_for_longer_than_it_ever_would() -> None:
    clock = Clock(set_by=timedelta(days=-1))
    attempt = failed(Code.UNREACHABLE, 9)
    waiting = BackOff([attempt], SETTINGS, clock.clocks())
    clock.seconds += 1800 * 1.2 + 1
    assert not waiting.held(key_of(attempt), "a")


def test_what_a_person_names_waits_no_longer() -> None:
    clock = Clock()
    attempt = failed(Code.NOT_IN_REGISTRY, 1)
    waiting = BackOff([attempt, replace(attempt, host=HostName("gpu-b"))], SETTINGS, clock.clocks())
    waiting.release([HOST])
    assert not waiting.held(key_of(attempt), "a")
    assert waiting.held((HostName("gpu-b"), attempt.model, attempt.action), "a")


def test_the_next_moment_is_the_earliest_that_is_still_to_come() -> None:
    clock = Clock()
    early, late = failed(Code.UNREACHABLE, 1), replace(failed(Code.UNREACHABLE, 3), model="phi4:14b")
    waiting = BackOff([early, late], SETTINGS, clock.clocks())
    assert waiting.next_due() == 1030.0
    clock.seconds = 1031.0
    assert waiting.next_due() == 1120.0
    assert waiting.drop([key_of(late), key_of(late)]) == [key_of(late)]
    assert waiting.next_due() is None
