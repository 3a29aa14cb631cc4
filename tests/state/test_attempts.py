"""Failed attempts, kept over restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from fleet.state.attempts import Attempt, Attempts, RetryClass
from tests.state.examples import ALPHA, AT, BETA, CHAT

PULL = Attempt(
    ALPHA,
    str(CHAT),
    "pull",
    RetryClass.T_RESUME,
    3,
    AT,
    AT + timedelta(minutes=2),
    AT + timedelta(minutes=4),
    "a" * 64,
    "FLT-203",
    "the registry closed the connection",
)
CREATE = replace(PULL, action="create", retry_class=RetryClass.P)
LOOK = Attempt(BETA, "", "observe", RetryClass.T, 1, AT, AT, AT, "")


def kept(folder: Path) -> tuple[Attempt, ...]:
    with Attempts(str(folder), "fleet") as attempts:
        assert attempts.notes == ()
        return attempts.all()


def test_every_class_comes_back_as_it_was(tmp_path: Path) -> None:
    every = tuple(replace(PULL, action=f"a{number}", retry_class=each) for number, each in enumerate(RetryClass))
    with Attempts(str(tmp_path), "fleet") as attempts:
        attempts.keep(every)
    assert kept(tmp_path) == every


def test_the_next_try_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    again = replace(PULL, tries=4, next_try=AT + timedelta(minutes=30))
    with Attempts(str(tmp_path), "fleet") as attempts:
        attempts.keep([LOOK, PULL, CREATE])
        attempts.keep([again])
        assert attempts.all() == (CREATE, again, LOOK)
    assert kept(tmp_path) == (CREATE, again, LOOK)


def test_what_went_well_is_forgotten(tmp_path: Path) -> None:
    with Attempts(str(tmp_path), "fleet") as attempts:
        attempts.keep([PULL, CREATE, LOOK])
        attempts.drop([PULL.key, ("nobody", "", "pull")])  # type: ignore[list-item]
        assert attempts.all() == (CREATE, LOOK)
        attempts.drop_host(ALPHA)
    assert kept(tmp_path) == (LOOK,)


def test_another_fleet_has_its_own(tmp_path: Path) -> None:
    with Attempts(str(tmp_path), "other") as attempts:
        attempts.keep([PULL])
    assert kept(tmp_path) == ()


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    with Attempts(str(tmp_path / "state"), "fleet") as attempts:
        attempts.keep([])
        attempts.drop([])
    assert not (tmp_path / "state").exists()
