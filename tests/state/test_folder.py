"""Where the file may lie: in a folder that is its owner's alone, also where nothing may be written any more."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.state.folder import StateError, file_name
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from tests.state.examples import FULL


def begun(folder: Path) -> Path:
    """Somebody's memory, as a run leaves it."""
    with Memory(str(folder), "fleet") as memory:
        memory.record(FULL)
    return folder / "fleet.db"


def known(folder: Path) -> Remembered:
    with Memory(str(folder), "fleet") as memory:
        return memory.remembered()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.parametrize("what", ["state", "state/fleet.db"])
@pytest.mark.fault("K8")
def test_what_others_may_write_to_is_not_used(what: str, mode: int, tmp_path: Path) -> None:
    begun(tmp_path / "state")
    (tmp_path / what).chmod(mode)
    with Memory(str(tmp_path / "state"), "fleet") as memory:
        for use in (memory.remembered, lambda: memory.record(FULL)):
            with pytest.raises(StateError, match="is writable by others") as fault:
                use()
            assert fault.value.code is Code.STATE_UNUSABLE
            assert fault.value.hint is not None
            assert f"chmod {'600' if what.endswith('.db') else '700'} {tmp_path / what}" in fault.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["state", "state/fleet.db"])
@pytest.mark.fault("K8")
def test_what_belongs_to_another_user_is_not_used(what: str, tmp_path: Path) -> None:
    begun(tmp_path / "state")
    os.chown(tmp_path / what, 12345, 12345)
    with pytest.raises(StateError, match="belongs to another user"):
        known(tmp_path / "state")


@pytest.mark.parametrize("what", ["state", "state/fleet.db"])
@pytest.mark.fault("K8")
def test_a_link_is_not_followed(what: str, tmp_path: Path) -> None:
    begun(tmp_path / "state")
    (tmp_path / what).rename(tmp_path / "moved")
    (tmp_path / what).symlink_to(tmp_path / "moved")
    with Memory(str(tmp_path / "state"), "fleet") as memory:
        for use in (memory.remembered, lambda: memory.record(FULL)):
            with pytest.raises(StateError, match="is a symbolic link") as fault:
                use()
            assert str(tmp_path / "moved") in (fault.value.hint or "")


@pytest.mark.fault("K8")
def test_a_file_that_others_may_read_is_made_private_again(tmp_path: Path) -> None:
    path = begun(tmp_path)
    path.chmod(0o644)
    assert known(tmp_path) == FULL
    begun(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with Memory(str(folder), "fleet") as memory:
            for use in (memory.remembered, lambda: memory.record(FULL)):
                with pytest.raises(StateError, match=f"Not a directory|File exists.*{folder}"):
                    use()


@pytest.fixture
def away() -> Iterator[Path]:
    """A folder that another user may reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """For root, who may write everywhere, by being somebody else meanwhile."""
    folder.chmod(0o500)
    root = os.geteuid() == 0
    if root:
        for each in (folder, *folder.iterdir()):
            os.chown(each, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_folder_where_nothing_may_be_written_is_read(away: Path) -> None:
    begun(away / "state")
    with read_only(away / "state"):
        assert known(away / "state") == FULL
        with Memory(str(away / "state"), "fleet") as memory, pytest.raises(StateError, match=r"fleet\.db"):
            memory.record(Remembered())
        assert known(away / "state") == FULL
    assert names(away / "state") == ["fleet.db"]


@pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")])
def test_the_last_writes_of_a_killed_run_are_read_there_too(left: tuple[str, ...], away: Path) -> None:
    begun(away / "state")
    (away / "copy").mkdir(0o700)
    with Memory(str(away / "state"), "fleet") as memory:
        memory.record(Remembered({"later": 1}))
        for suffix in ("", *left):
            shutil.copy(away / "state" / f"fleet.db{suffix}", away / "copy")
    with read_only(away / "copy"):
        assert known(away / "copy") == Remembered({"later": 1})


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_no_two_fleets_share_a_file_and_no_name_leaves_the_folder(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) is (one == other)
    for name in (file_name(one), file_name(other)):
        assert name
        assert not set("/.\\\0") & set(name)


def test_names_that_could_run_together_stay_apart() -> None:
    assert len({file_name(name) for name in ("", "%", "..", "é1", "\u0e91", "a/b", "a%2fb", "A", "a")}) == 9
