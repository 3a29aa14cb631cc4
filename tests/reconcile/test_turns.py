"""In which order the steps of a host come when something was left there, and which of them wait."""

from __future__ import annotations

from datetime import timedelta

from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Action, Step
from fleet.reconcile.unsettled import turns, waits_for
from fleet.state.evidence import Begun
from tests.reconcile import notation

A, B, C = ModelName.parse("a:1"), ModelName.parse("b:1"), ModelName.parse("c:1")
WAIT = 600.0


def step(number: int, model: ModelName, *, there: bool = False, needs: tuple[int, ...] = ()) -> Step:
    """A pull of what is `there` already, or not."""
    presumes = notation.digest(model.model) if there else None
    return Step(
        number, HostName("alpha"), model, str(model), Action.PULL, Reason.MISSING, presumes=presumes, needs=needs
    )


def left(model: ModelName, seconds: float, *, there: bool = False, again: bool = False) -> Begun:
    former = notation.digest(model.model) if there else None
    return Begun("pull", former, notation.NOW - timedelta(seconds=seconds), again=again)


def order(steps: list[Step], begun: dict[ModelName, Begun]) -> list[int]:
    return [each.number for each in turns(steps, begun, notation.NOW, WAIT).steps]


def test_what_was_left_comes_first_with_what_it_needs_and_what_removes_nothing_before_the_rest() -> None:
    steps = [step(1, A), step(2, B, there=True, needs=(1,)), step(3, C)]
    assert order(steps, {B: left(B, 5, there=True)}) == [1, 2, 3]
    assert order(steps, {B: left(B, 5, there=True), C: left(C, 5)}) == [3, 1, 2]


def test_what_was_left_again_or_long_ago_comes_last_with_what_needs_it() -> None:
    steps = [step(1, A), step(2, B, needs=(1,)), step(3, C)]
    assert order(steps, {A: left(A, 601)}) == [3, 1, 2]
    assert order(steps, {A: left(A, 5, again=True)}) == [3, 1, 2]
    assert order(steps, {A: left(A, 5, again=True), C: left(C, 700)}) == [3, 1, 2]


def test_two_that_are_followed_do_not_wait_for_each_other() -> None:
    steps = [step(1, A, there=True), step(2, B, there=True), step(3, C, there=True)]
    begun = {A: left(A, 5, there=True), B: left(B, 5, there=True)}
    models = {name: Present(name, str(name), notation.digest(name.model), 1) for name in (A, B, C)}
    followed = turns(steps, begun, notation.NOW, WAIT).followed
    waiting = [waits_for(each, begun, models, notation.NOW, WAIT, followed) is not None for each in steps]
    assert waiting == [False, False, True]


def test_a_download_waits_for_what_takes_layers_away_at_its_end_and_for_nothing_else() -> None:
    models = {A: Present(A, "a:1", notation.digest("a"), 1)}

    def waits(begun: Begun) -> bool:
        return waits_for(step(1, B), {A: begun}, models, notation.NOW, WAIT) is not None

    assert waits(left(A, 5, there=True))
    assert waits(Begun("create", notation.digest("a"), notation.NOW))
    assert not waits(left(A, 601, there=True))
    assert not waits_for(step(1, B), {C: left(C, 5)}, models, notation.NOW, WAIT)


def test_a_clock_that_was_set_back_ends_no_wait() -> None:
    gone = step(1, B, there=True)
    models = {B: Present(B, "b:1", notation.digest("b"), 1)}
    for ago, waits in ((599, True), (601, False), (-172_800, True)):
        assert (waits_for(gone, {C: left(C, ago)}, models, notation.NOW, WAIT) is not None) is waits
