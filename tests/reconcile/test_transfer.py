"""Bytes of a stream: keyed by layer, never going back, whatever the server says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.ollama.wire import Progress
from fleet.reconcile.transfer import Transferred

law = settings(max_examples=100, derandomize=True, deadline=None, database=None)

numbers = st.one_of(st.none(), st.integers(-(10**30), 10**30))
lines = st.builds(
    Progress,
    status=st.just("pulling"),
    digest=st.one_of(st.none(), st.sampled_from(["sha256:aaaaaaaaaaaaaaaa", "sha256:b", ""])),
    total=numbers,
    completed=numbers,
)


def layer(completed: int | None, total: int | None = 100, digest: str | None = "sha256:aaaaaaaaaaaaaaaa") -> Progress:
    return Progress("pulling", digest, total, completed)


def test_bytes_are_added_up_over_layers() -> None:
    transferred = Transferred()
    for line in (layer(0), layer(40), layer(0, 7, "b"), layer(7, 7, "b"), layer(100)):
        transferred.heard(line)
    assert transferred.bytes == 107


def test_what_was_there_before_does_not_count() -> None:
    transferred = Transferred()
    for line in (layer(100), layer(30, 50, "b"), layer(50, 50, "b")):
        transferred.heard(line)
    assert transferred.bytes == 20


def test_a_second_try_goes_on_where_the_first_one_broke_off() -> None:
    transferred = Transferred()
    for line in (layer(0), layer(60), layer(0), layer(10), layer(60), layer(100)):
        transferred.heard(line)
    assert transferred.bytes == 100


def test_lines_without_numbers_move_nothing() -> None:
    transferred = Transferred()
    for line in (layer(None), Progress("verifying"), layer(5, None), layer(5, 9, None)):
        transferred.heard(line)
        assert transferred.bytes == 0
    assert transferred.shown(Progress("verifying")) == (None, None, None)
    assert transferred.shown(layer(5, 0)) == (None, None, None)


@pytest.mark.fault("S12")
def test_numbers_out_of_bounds_are_cut() -> None:
    transferred = Transferred()
    for line in (layer(-50), layer(900)):
        transferred.heard(line)
    assert transferred.bytes == 100
    assert transferred.shown(layer(900)) == ("aaaaaaaaaaaa", 100, 100)


def test_progress_is_credited_once_and_in_lumps_of_the_floor() -> None:
    transferred = Transferred()
    transferred.heard(layer(0))
    transferred.heard(layer(9))
    assert not transferred.advanced(10)
    transferred.heard(layer(10))
    assert transferred.advanced(10)
    assert not transferred.advanced(10)
    transferred.heard(layer(19))
    assert not transferred.advanced(10)
    transferred.heard(layer(20))
    assert transferred.advanced(10)


def test_no_movement_is_no_progress_even_without_a_floor() -> None:
    transferred = Transferred()
    assert not transferred.advanced(0)
    transferred.heard(layer(0))
    assert not transferred.advanced(0)
    transferred.heard(layer(1))
    assert transferred.advanced(0)


@pytest.mark.fault("S12")
@law
@given(st.lists(lines, max_size=12))
def test_nothing_that_a_server_says_makes_it_go_back_or_leave_its_bounds(said: list[Progress]) -> None:
    transferred = Transferred()
    before = 0
    for line in said:
        transferred.heard(line)
        assert transferred.bytes >= before
        before = transferred.bytes
        _, completed, total = transferred.shown(line)
        assert (completed is None) == (total is None)
        if completed is not None and total is not None:
            assert 0 <= completed <= total
