"""What a pass leaves for the next one: it comes back as it was, or is said to be unusable; never guessed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.names import HostName, ModelName
from fleet.state.memory import Memory, StateError, file_name
from fleet.state.remembered import HostRemembered, Remembered

FULL = Remembered(
    {'[null,["/etc/fleet/é","-"]]': 3, "[null,[]]": 40},
    {
        HostName("alpha"): HostRemembered(
            "http://alpha",
            frozenset({"registry.ollama.ai/library/q:1", "registry.ollama.ai/library/r:1"}),
            {ModelName.parse("q:1"): {"num_ctx": 8192, "temperature": 0.5, "use_mmap": True, "stop": ("a", "b")}},
        ),
        HostName("beta"): HostRemembered("http://beta"),
    },
)


def test_what_was_recorded_is_remembered(tmp_path: Path) -> None:
    Memory(str(tmp_path), "fleet").record(FULL)
    assert Memory(str(tmp_path), "fleet").remembered() == FULL


def test_nothing_is_remembered_of_a_fleet_that_was_never_seen(tmp_path: Path) -> None:
    Memory(str(tmp_path), "one").record(FULL)
    assert Memory(str(tmp_path), "other").remembered() == Remembered()


def test_folder_and_file_are_private_and_nothing_is_left_beside(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by-fleet"
    Memory(str(folder), "fleet").record(FULL)
    Memory(str(folder), "fleet").record(Remembered())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [(each.name, stat.S_IMODE(each.stat().st_mode)) for each in folder.iterdir()] == [("fleet.json", 0o600)]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(mode: int, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    with pytest.raises(StateError, match="writable by others"):
        Memory(str(tmp_path / "state"), "fleet").record(FULL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"format":2,"items":0,"sources":[],"hosts":{}}',
        '{"format":1,"items":1e999,"sources":[],"hosts":{}}',
        '{"format":1,"items":"many","sources":[],"hosts":{}}',
        '{"format":1,"items":0,"sources":[],"hosts":[]}',
        '{"format":1,"items":0,"sources":[],"hosts":{"a b":{"url":"","models":[],"loaded":{}}}}',
        '{"format":1,"items":0,"sources":[],"hosts":{"a":{"url":"","models":[],"loaded":{"//":{}}}}}',
        '{"format":1,"items":0,"sources":[],"hosts":{"a":{}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match="damaged") as fault:
        Memory(str(tmp_path), "fleet").remembered()
    assert fault.value.code is Code.STATE_UNUSABLE
    assert str(path) in str(fault.value)
    assert "move" in (fault.value.hint or "")
    assert path.read_text(encoding="utf-8") == text


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match="damaged"):
        Memory(str(tmp_path), "fleet").remembered()


def test_a_file_cut_short_anywhere_is_never_taken_for_a_memory(tmp_path: Path) -> None:
    Memory(str(tmp_path), "fleet").record(FULL)
    path = tmp_path / "fleet.json"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError):
            Memory(str(tmp_path), "fleet").remembered()


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    memory = Memory(str(tmp_path / "file"), "fleet")
    with pytest.raises(StateError, match=r"fleet\.json"):
        memory.remembered()
    with pytest.raises(StateError, match=r"fleet\.json"):
        memory.record(FULL)


def test_a_file_that_cannot_be_replaced_keeps_the_folder_clean(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").mkdir()
    with pytest.raises(StateError):
        Memory(str(tmp_path), "fleet").record(FULL)
    assert [each.name for each in tmp_path.iterdir()] == ["fleet.json"]


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_no_two_fleets_share_a_file_and_no_name_leaves_the_folder(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) is (one == other)
    for name in (file_name(one), file_name(other)):
        assert name
        assert not set("/.\\\0") & set(name)


def test_names_that_could_run_together_stay_apart() -> None:
    assert len({file_name(name) for name in ("", "%", "..", "é1", "\u0e91", "a/b", "a%2fb", "A", "a")}) == 9
