"""A commit's files from what a hostile repository could hold: nothing is written but plain files below the folder."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fleet.daemon.source.unpacking import Damaged, Entry, Mode, entries, unpack
from fleet.errors import InputError

OBJECT = "a" * 40


def listed(*rows: tuple[str, str], size: int = 1) -> bytes:
    """As `git ls-tree -r -l -z` lists: mode and path of each."""
    return b"".join(f"{mode} blob {OBJECT} {size:7}\t{path}\0".encode() for mode, path in rows)


def unpacked(folder: Path, files: dict[str, tuple[Mode, bytes]]) -> tuple[str, ...]:
    found = [Entry(mode, OBJECT, len(content), path) for path, (mode, content) in files.items()]
    batch = b"".join(f"{OBJECT} blob {len(content)}\n".encode() + content + b"\n" for _, content in files.values())
    return unpack(found, io.BytesIO(batch), folder)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "a//x",
        "./x",
        "a/.git/config",
        ".GIT/hooks/x",
        "",
        "a/" * 70 + "x",
        "n" * 256,
        "a/" + "b" * 5000,
    ],
)
def test_names_that_no_file_may_have_refuse_the_commit(path: str) -> None:
    with pytest.raises(InputError, match="is no name or kind of file"):
        entries(listed(("100644", path)))


def test_kinds_that_are_none_refuse_the_commit() -> None:
    with pytest.raises(InputError, match="is no name or kind of file"):
        entries(listed(("100999", "x")))


def test_too_many_and_too_large_are_refused_before_anything_is_written() -> None:
    many = listed(*((("100644", f"f{number}")) for number in range(4)))
    assert len(entries(many, most_files=4)) == 4
    with pytest.raises(InputError, match="more than 3 files"):
        entries(many, most_files=3)
    large = listed(("100644", "a"), ("100644", "b"), size=600)
    assert len(entries(large, most_bytes=1200)) == 2
    with pytest.raises(InputError, match="more than 1KB in all"):
        entries(large, most_bytes=1000)


def test_names_beyond_utf8_are_kept(tmp_path: Path) -> None:
    (found,) = entries(f"100644 blob {OBJECT} 1\t".encode() + b"\xff\xfe.yaml\0")
    unpack([found], io.BytesIO(f"{OBJECT} blob 1\nx\n".encode()), tmp_path)
    assert [bytes(path) for path in tmp_path.iterdir()] == [bytes(tmp_path) + b"/\xff\xfe.yaml"]


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"a": "/etc/passwd"}, "`a` leads out"),
        ({"a": ".."}, "`a` leads out"),
        ({"d/a": "../../x"}, "`d/a` leads out"),
        # The first leads to the root, so that the second leaves it: what no comparison of texts would see.
        ({"d/e/up": "../..", "x": "d/e/up/../y"}, "`x` leads out"),
        ({"a": "b", "b": "/"}, "`a` leads out"),
        ({"a": "b", "b": "a"}, "`a` leads in a circle"),
        ({"a": "a"}, "`a` leads in a circle"),
        ({"a": ""}, "`a` leads out"),
        ({"a": "x\0y"}, "`a` leads out"),
    ],
)
def test_links_that_lead_out_refuse_the_commit(tmp_path: Path, links: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        unpacked(tmp_path, {path: (Mode.LINK, target.encode()) for path, target in links.items()})


def test_links_within_are_made(tmp_path: Path) -> None:
    unpacked(
        tmp_path,
        {
            "shared/p.txt": (Mode.FILE, b"text"),
            "prod/p.txt": (Mode.LINK, b"../shared/./p.txt"),
            "to": (Mode.LINK, b"shared"),
            "gone": (Mode.LINK, b"not/there"),
        },
    )
    assert (tmp_path / "prod" / "p.txt").read_text() == (tmp_path / "to" / "p.txt").read_text() == "text"


@pytest.mark.parametrize("order", [("x", "x/f"), ("x/f", "x")])
def test_nothing_is_written_through_a_link(tmp_path: Path, order: tuple[str, str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    files = {"x": (Mode.LINK, b"elsewhere"), "x/f": (Mode.FILE, b"text")}
    with pytest.raises((InputError, FileExistsError)):
        unpacked(tmp_path / "in", {path: files[path] for path in order})
    assert not (tmp_path / "in" / "elsewhere").exists()


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    found = [Entry(Mode.FILE, OBJECT, 1, "x")] * 2
    with pytest.raises(InputError, match="`x` is in it twice"):
        unpack(found, io.BytesIO(f"{OBJECT} blob 1\nx\n".encode() * 2), tmp_path)


@pytest.mark.parametrize(
    "batch",
    [
        b"",
        b"aaaa missing\n",
        f"{OBJECT} blob 2\nxy\n".encode(),
        f"{OBJECT} tree 1\nx\n".encode(),
        f"{OBJECT} blob 1\nxy".encode(),
    ],
)
def test_other_contents_than_listed_are_damage(tmp_path: Path, batch: bytes) -> None:
    with pytest.raises(Damaged):
        unpack([Entry(Mode.FILE, OBJECT, 1, "x")], io.BytesIO(batch), tmp_path)
