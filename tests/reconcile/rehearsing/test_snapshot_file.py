"""Snapshot files: the same bytes for the same content, and nothing believed of a file that somebody else wrote."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import FleetError, InputError
from fleet.reconcile.rehearsing.snapshot import KeptContent, KeptModel
from fleet.reconcile.rehearsing.snapshot_file import MOST_BYTES, read_snapshot, snapshot_text, write_snapshot
from tests.reconcile.rehearsing.snapshots import DIGEST, EMPTY, holding

SMALL = replace(holding(KeptModel("qwen3:8b", DIGEST, 5, shown="key")), contents={"key": KeptContent(DIGEST)})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "hosts.snapshot"
    file.write_text("something else")
    write_snapshot(file, SMALL)
    assert read_snapshot(file) == SMALL
    assert file.stat().st_mode & 0o777 == 0o644 & ~_umask()
    assert [each.name for each in tmp_path.iterdir()] == ["hosts.snapshot"]
    write_snapshot(file, SMALL, private=True)
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_is_the_same_file_for_the_same_content() -> None:
    text = snapshot_text(SMALL)
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    assert "remembered" not in text  # what says nothing is left out


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be written: No such file or directory"):
        write_snapshot(tmp_path / "no" / "hosts.snapshot", EMPTY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"version: 1\nhosts: {}\n", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "no JSON"),
        (b'{"type": "plan", "format": 1}', "no snapshot of fleet"),
        (b"[1]", "no snapshot of fleet"),
        (b'{"type": "fleet-snapshot"}', "`format` is no number"),
        (b'{"type": "fleet-snapshot", "format": true}', "`format` is no number"),
        (b'{"type": "fleet-snapshot", "format": 2}', "is of format 2; this fleet reads format 1"),
        (b'{"type": "fleet-snapshot", "format": 1}', "is damaged: `taken_at`"),
    ],
)
def test_another_file_is_told_by_what_it_is(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_snapshot(file)


def test_a_newer_one_asks_for_a_newer_fleet(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"type": "fleet-snapshot", "format": 2}')
    with pytest.raises(InputError) as told:
        read_snapshot(file)
    assert told.value.hint is not None
    assert told.value.hint.startswith("upgrade fleet here")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hosts", {"a b": {"version": "0.9.6"}}),
        ("hosts", {"alpha": {"version": "0.9.6", "extra": 1}}),
        ("hosts", {"alpha": {"version": 9}}),
        ("hosts", {"alpha": {"version": "0.9.6", "models": [{"listed": "m", "digest": DIGEST, "shown": "nowhere"}]}}),
        ("hosts", {"alpha": {"version": "0.9.6", "models": [{"listed": "m", "digest": DIGEST, "size": -1}]}}),
        ("hosts", {"alpha": {"version": "0.9.6", "models": [{"listed": "m", "digest": DIGEST, "size": 1e300}]}}),
        ("contents", {"key": {"hash": "no hash"}}),
        ("contents", {"key": {"hash": DIGEST, "context_length": 2**40}}),
        ("served", {"not a name": {"code": "FLT-207"}}),
        ("fleet", "x" * 2000),
        ("fleet", "\ud800"),
    ],
)
def test_what_no_fleet_wrote_is_damage(path: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "file"
    told = json.loads(snapshot_text(EMPTY)) | {path: value}
    file.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"damaged|no JSON"):
        read_snapshot(file)


def test_what_cannot_be_read_as_a_whole_is_refused(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large", tmp_path / "pipe"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    os.mkfifo(pipe)
    for path, why in ((large, "more than 256 MiB"), (pipe, "no regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(InputError, match=why):
            read_snapshot(path)


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found
