"""The lock file: written alike for equal models, read strictly, every fault with its line."""

from __future__ import annotations

import os
import stat
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.errors import FleetError, InputError
from fleet.names import Digest, ModelName
from fleet.registry.lock import read_lock, write_lock
from fleet.registry.locked import Locked, lock_text, parse_lock

A, B = Digest("a" * 64), Digest("b" * 64)
DAY = date(2026, 11, 25)
QWEN = Locked(ModelName.parse("qwen3:8b"), A, B, 5_200_000_000, DAY)
OTHER = Locked(ModelName.parse("hf.co/Team/repo:Q4_K_M"), A, A, 0, DAY)
HEAD = lock_text([])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ollama-fleet.lock"
    assert write_lock(path, [QWEN, OTHER])
    assert read_lock(path) == {QWEN.name: QWEN, OTHER.name: OTHER}
    assert path.read_text() == HEAD + (
        f"hf.co/Team/repo:Q4_K_M sha256:{A.hex} sha256:{A.hex} 0 2026-11-25\n"
        f"qwen3:8b sha256:{A.hex} sha256:{B.hex} 5200000000 2026-11-25\n"
    )


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9._-]{0,9}:[a-z0-9]{1,4}", fullmatch=True),
        st.tuples(
            st.binary(min_size=32, max_size=32),
            st.binary(min_size=32, max_size=32),
            st.integers(0, 1 << 50),
            st.dates(date(1970, 1, 1)),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_any_models_come_back_in_whatever_order_they_went(
    models: dict[str, tuple[bytes, bytes, int, date]], order: object
) -> None:
    locked = [
        Locked(ModelName.parse(name), Digest(raw.hex()), Digest(other.hex()), size, day)
        for name, (raw, other, size, day) in models.items()
    ]
    text = lock_text(locked)
    order.shuffle(locked)  # type: ignore[attr-defined]
    assert lock_text(locked) == text
    assert parse_lock(text) == ({one.name: one for one in locked}, [])


def test_the_same_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "ollama-fleet.lock"
    write_lock(path, [QWEN])
    before = path.stat()
    assert not write_lock(path, [QWEN])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_mode_and_links_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.lock", tmp_path / "link.lock"
    write_lock(real, [])
    real.chmod(0o640)
    link.symlink_to(real)
    assert write_lock(link, [QWEN])
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert read_lock(real) == {QWEN.name: QWEN}
    assert {path.name for path in tmp_path.iterdir()} == {"real.lock", "link.lock"}


def test_a_new_one_is_as_others_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_lock(tmp_path / "a.lock", [])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.lock").stat().st_mode) == 0o644


def test_where_it_cannot_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "a.lock", tmp_path / "folder"):
        with pytest.raises(FleetError, match="the lock file cannot be written") as found:
            write_lock(path, [QWEN])
        assert "--lock-file" in str(found.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


LINE = str(QWEN)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("qwen3:8b", "has five fields, each after one space, and this one has 1"),
        (LINE.replace(" ", "  ", 1), "and this one has 6"),
        (LINE + " ", "and this one has 6"),
        (LINE.replace("qwen3:8b", "Qwen 3"), "and this one has 6"),
        (LINE.replace("qwen3:8b", "library/qwen3:8b"), "`library/qwen3:8b` is written as `qwen3:8b`"),
        (LINE.replace("qwen3:8b", "qwen3"), "`qwen3` is written as `qwen3:latest`"),
        (LINE.replace("qwen3:8b", "a/b/c/d"), "more than three parts"),
        (LINE.replace("qwen3:8b", "q\x1b[31m"), r"`q\x1b[31m` is no model name"),
        (LINE.replace("sha256:a", "a", 1), "is no digest"),
        (LINE.replace("sha256:b", "sha256:B", 1), "is no digest"),
        (LINE.replace("5200000000", "5.2GB"), "`5.2GB` is no number of bytes"),
        (LINE.replace("5200000000", "05"), "`05` is no number of bytes"),
        (LINE.replace("5200000000", "9" * 17), "is no number of bytes"),
        (LINE.replace("2026-11-25", "20261125"), "`20261125` is no date"),
        (LINE.replace("2026-11-25", "2026-02-30"), "`2026-02-30` is no date"),
        ("# mine", "a comment is lost"),
        ("<<<<<<< HEAD", "merge conflict"),
        ("=======", "merge conflict"),
    ],
)
def test_every_fault_has_its_line(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "a.lock"
    path.write_text(f"{HEAD}{OTHER}\n{line}\n")
    with pytest.raises(InputError) as found:
        read_lock(path)
    assert str(found.value).startswith(f"{path}:5: ")
    assert fault in str(found.value)
    assert found.value.code is Code.LOCK_FILE_WRONG


def test_all_faults_come_together(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    again = LINE.replace("qwen3", "QWEN3")
    path.write_text(f"{HEAD}{LINE}\n{again}\nnonsense\n")
    with pytest.raises(InputError) as found:
        read_lock(path)
    assert str(found.value).splitlines()[1:] == [
        f"  {path}:5: `QWEN3:8b` is on line 4 already",
        f"  {path}:6: a line has five fields, each after one space, and this one has 1",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "1: no lock file of fleet begins like this"),
        (b"version: 1\n", "1: no lock file of fleet begins like this: `version: 1`"),
        (b"# fleet lock file, format 2\nanything\n", "1: format 2 is of another version of fleet"),
        (b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_other_files_are_none(tmp_path: Path, text: bytes, fault: str) -> None:
    path = tmp_path / "a.lock"
    path.write_bytes(text)
    with pytest.raises(InputError) as found:
        read_lock(path)
    assert fault in str(found.value)


def test_line_ends_of_other_systems_and_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_bytes(f"{HEAD}{QWEN}\n{OTHER}".replace("\n", "\r\n").encode())
    assert read_lock(path).keys() == {QWEN.name, OTHER.name}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "it is no regular file"), ("none", "No such file")):
        with pytest.raises(InputError, match=why):
            read_lock(tmp_path / name)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(InputError, match="more than 8 MiB"):
        read_lock(tmp_path / "large")
