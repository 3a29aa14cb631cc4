"""The last good manifests: there as they were kept, or not there at all."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.state.folder import StateError
from fleet.state.good import LastGood
from tests.state.examples import AT


def test_the_last_one_is_read_by_the_next_process(tmp_path: Path) -> None:
    with LastGood(str(tmp_path), "fleet") as good:
        assert good.read() is None
        good.keep("first", "1", AT)
        good.keep('{"second": "\N{SNOWMAN}"}', "2", AT + timedelta(hours=1))
    with LastGood(str(tmp_path), "fleet") as good:
        assert good.read() == ('{"second": "\N{SNOWMAN}"}', "2", AT + timedelta(hours=1))
        good.keep('{"second": "\N{SNOWMAN}"}', "2", AT + timedelta(hours=2))
        assert good.read() == ('{"second": "\N{SNOWMAN}"}', "2", AT + timedelta(hours=1)), "good since then"
    with LastGood(str(tmp_path), "other") as good:
        assert good.read() is None


@pytest.mark.parametrize(
    "damage", ["SET packed = zeroblob(length(packed))", "SET revision = '3'", "SET at = NULL OR at || '0'"]
)
def test_a_damaged_one_counts_as_none_and_the_next_takes_its_place(damage: str, tmp_path: Path) -> None:
    with LastGood(str(tmp_path), "fleet") as good:
        good.keep("text" * 1000, "2", AT)
    with closing(sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)) as connection:
        connection.execute(f"UPDATE last_good {damage}")
    with LastGood(str(tmp_path), "fleet") as good:
        assert good.read() is None
        (note,) = good.notes
        assert "last good manifests" in note
        assert str(tmp_path / "fleet.db") in note
        good.keep("text", "3", AT)
        assert good.read() == ("text", "3", AT)


def test_one_that_is_too_large_is_said_and_the_former_stays(tmp_path: Path) -> None:
    with LastGood(str(tmp_path), "fleet", largest=1024) as good:
        good.keep("first", "1", AT)
        with pytest.raises(StateError, match="too large to be kept as the last good ones: more than 1KiB"):
            good.keep(random.Random(1).randbytes(1100).hex(), "2", AT)
        assert good.read() == ("first", "1", AT)
