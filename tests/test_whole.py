"""Files that are replaced as a whole, and what is left of those who were killed over it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fleet.whole import replace_whole

KILLED = ".metrics.prom.0123456789abcdef"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def left(path: Path, hours: float) -> None:
    path.write_bytes(b"half")
    os.utime(path, (time.time() - hours * 3600,) * 2)


@pytest.mark.fault("K18")
def test_what_was_left_half_written_goes_with_the_next_write(tmp_path: Path) -> None:
    left(tmp_path / KILLED, 2)
    replace_whole(tmp_path / "metrics.prom", b"whole")
    assert names(tmp_path) == ["metrics.prom"]


@pytest.mark.fault("K18")
@pytest.mark.parametrize(
    "name",
    [
        ".metrics.prom.swp",
        ".metrics.prom.0123456789abcde",
        ".metrics.prom.0123456789abcdeg",
        ".metricsXprom.0123456789abcdef",
        ".other.prom.0123456789abcdef",
        "metrics.prom.0123456789abcdef",
    ],
)
def test_files_of_others_stay(name: str, tmp_path: Path) -> None:
    left(tmp_path / name, 2)
    replace_whole(tmp_path / "metrics.prom", b"whole")
    assert name in names(tmp_path)


@pytest.mark.fault("K18")
def test_what_another_process_is_still_writing_stays(tmp_path: Path) -> None:
    left(tmp_path / KILLED, 0.1)
    (tmp_path / ".metrics.prom.fedcba9876543210").mkdir()
    replace_whole(tmp_path / "metrics.prom", b"whole")
    assert names(tmp_path) == [KILLED, ".metrics.prom.fedcba9876543210", "metrics.prom"]
