from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ollama.failure import Doing
from fleet.ollama.limits import MIB, Limits
from fleet.ollama.stream import ChatterError, Phase, StalledError, Watch
from fleet.ollama.wire import Progress

LIMITS = Limits()
LAYER = "sha256:" + "a" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def moving(completed: int | None, total: int | None = 100 * MIB, digest: str = LAYER) -> Progress:
    return Progress("pulling aaaaaaaaaaaa", digest, total, completed)


def hear(watch: Watch, clock: Clock, lines: Iterable[Progress], *, every: float) -> None:
    for line in lines:
        clock.now += every
        watch.hear(line)


def pulling() -> tuple[Watch, Clock]:
    clock = Clock()
    return Watch(Doing.PULL, LIMITS, clock), clock


@pytest.mark.fault("S5")
def test_ticks_without_bytes_are_a_stall() -> None:
    watch, clock = pulling()
    watch.hear(moving(5 * MIB))
    for _ in range(1999):
        clock.now += 0.06
        watch.hear(moving(5 * MIB))
    clock.now += 0.2
    with pytest.raises(StalledError) as stalled:
        watch.hear(moving(5 * MIB))
    assert stalled.value.moved == 0


@pytest.mark.fault("S5")
def test_a_byte_a_second_is_a_stall_too() -> None:
    watch, clock = pulling()
    watch.hear(moving(0))
    with pytest.raises(StalledError) as stalled:
        hear(watch, clock, (moving(done) for done in range(1, 1000)), every=1)
    assert 115 <= stalled.value.moved <= 121


def test_the_floor_reached_within_each_window_is_progress() -> None:
    watch, clock = pulling()
    for done in range(100):
        clock.now += 119
        watch.hear(moving(done * MIB))


@pytest.mark.fault("S5", "S12")
def test_falling_back_earns_nothing_and_costs_nothing() -> None:
    watch, clock = pulling()
    watch.hear(moving(50 * MIB))
    # A part that is restarted again and again never passes its own highest mark.
    lines = (moving((20 + number % 30) * MIB) for number in range(400))
    with pytest.raises(StalledError):
        hear(watch, clock, lines, every=1)


def test_a_layer_that_ends_is_progress_however_small() -> None:
    watch, clock = pulling()
    for number in range(20):
        clock.now += 100
        watch.hear(moving(None, 200, f"sha256:{number:064x}"))
        clock.now += 100
        watch.hear(moving(200, 200, f"sha256:{number:064x}"))


def test_a_completed_of_nothing_counts_as_zero() -> None:
    watch, clock = pulling()
    watch.hear(moving(None))
    clock.now += 121
    with pytest.raises(StalledError):
        watch.hear(moving(None))


@pytest.mark.fault("S6")
def test_each_phase_has_patience_of_its_own() -> None:
    watch, _ = pulling()
    seen = [(watch.phase, watch.patience)]
    said = [moving(1), *map(Progress, ("verifying sha256 digest", "writing manifest", "success"))]
    for progress in said:
        watch.hear(progress)
        seen.append((watch.phase, watch.patience))
    assert seen == [
        (Phase.TALKING, LIMITS.silence),
        (Phase.MOVING, LIMITS.silence),
        (Phase.VERIFYING, LIMITS.verifying),
        (Phase.TALKING, LIMITS.silence),
        (Phase.ENDED, LIMITS.after_success),
    ]


@pytest.mark.fault("S6")
def test_a_create_may_be_silent_for_long_from_its_start() -> None:
    watch = Watch(Doing.CREATE, LIMITS, Clock())
    assert watch.patience == LIMITS.creating


def test_a_create_that_counts_needs_any_growth_at_all() -> None:
    clock = Clock()
    watch = Watch(Doing.CREATE, LIMITS, clock)
    zeros = "0" * 19
    for done in range(1, 20):
        clock.now += LIMITS.creating - 1
        watch.hear(Progress("quantizing F16 model to Q4_K_M", zeros, 1000, done))
    clock.now += LIMITS.creating + 1
    with pytest.raises(StalledError):
        watch.hear(Progress("quantizing F16 model to Q4_K_M", zeros, 1000, 19))


def test_repeating_a_status_is_not_progress() -> None:
    watch, clock = pulling()
    with pytest.raises(StalledError):
        hear(watch, clock, [Progress("pulling manifest")] * 200, every=1)


def test_success_for_ever_comes_to_an_end() -> None:
    watch, clock = pulling()
    with pytest.raises(StalledError):
        hear(watch, clock, [Progress("success")] * 200, every=1)


def test_ever_new_statuses_come_to_an_end() -> None:
    watch, clock = pulling()
    with pytest.raises(ChatterError):
        hear(watch, clock, (Progress(f"status {number}") for number in range(100_000)), every=100)
    assert clock.now <= 1000 + 2001 * 100


@pytest.mark.fault("S12")
def test_a_total_that_grows_with_each_line_is_a_stall() -> None:
    watch, clock = pulling()
    with pytest.raises(StalledError) as stalled:
        hear(watch, clock, (moving(done, done + 1) for done in range(5 * MIB, 6 * MIB)), every=1)
    assert stalled.value.moved <= 1


def test_what_is_completed_past_the_total_does_not_count() -> None:
    watch, clock = pulling()
    lines = (moving(200 + number * MIB, 200 if number == 0 else 10**18) for number in range(400))
    with pytest.raises(StalledError) as stalled:
        hear(watch, clock, lines, every=1)
    assert stalled.value.moved == 0
    assert clock.now <= 1000 + 1 + LIMITS.stall_window + 1


def test_a_layer_ends_once_whatever_its_total_becomes() -> None:
    watch, clock = pulling()
    with pytest.raises(StalledError):
        hear(watch, clock, (moving(number, number) for number in range(1, 400)), every=1)
    assert clock.now <= 1000 + 1 + LIMITS.stall_window + 1


def test_a_total_of_nothing_is_none_told() -> None:
    watch, clock = pulling()
    watch.hear(moving(None, 0))
    for done in range(100):
        clock.now += 119
        watch.hear(moving(done * MIB))


@pytest.mark.parametrize("doing", [Doing.PULL, Doing.CREATE])
def test_numbers_in_the_status_of_a_known_digest_are_no_news(doing: Doing) -> None:
    clock = Clock()
    watch = Watch(doing, LIMITS, clock)
    lines = (Progress(f"pulling, {number} % of 100", LAYER, 100 * MIB, MIB) for number in range(4000))
    with pytest.raises(StalledError):
        hear(watch, clock, lines, every=1)


def test_the_numbers_of_different_digests_are_news() -> None:
    watch, clock = pulling()
    lines = (Progress(f"pulling {number:012x}", f"sha256:{number:064x}", 100, None) for number in range(50))
    hear(watch, clock, lines, every=119)


@pytest.mark.parametrize("size", [100, 10 * MIB])
def test_hopping_from_digest_to_digest_comes_to_an_end(size: int) -> None:
    watch, clock = pulling()
    lines = (moving(size, size, f"sha256:{number:064x}") for number in range(100_000))
    with pytest.raises(ChatterError):
        hear(watch, clock, lines, every=100)
    assert clock.now <= 1000 + 2001 * 100


def test_hopping_between_known_digests_is_a_stall() -> None:
    watch, clock = pulling()
    digests = [f"sha256:{number:064x}" for number in range(10)]
    with pytest.raises(StalledError):
        hear(watch, clock, (moving(5, 10 * MIB, digests[number % 10]) for number in range(1000)), every=1)


def test_texts_that_differ_far_behind_are_the_same() -> None:
    watch, clock = pulling()
    with pytest.raises(StalledError):
        hear(watch, clock, (Progress("x" * 1000 + chr(97 + number % 26) * number) for number in range(400)), every=1)


@pytest.mark.fault("S12")
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "", LAYER, "sha256:model", "0" * 19]),
            st.one_of(st.none(), st.integers(-(10**30), 10**30)),
            st.one_of(st.none(), st.integers(-(10**30), 10**30)),
        ),
        max_size=50,
    )
)
def test_absurd_numbers_never_break_it(lines: list[tuple[str | None, int | None, int | None]]) -> None:
    watch, _ = pulling()
    for digest, total, completed in lines:
        watch.hear(Progress("pulling", digest, total, completed))
