"""The JSON files of the first release: taken over once, so that no guard forgets what it compares with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.names import HostName, ModelName
from fleet.state.folder import StateError, file_name
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered, Remembered
from tests.state.examples import ALPHA, CHAT, FULL, MADE, URL

FORMER = """{"format":1,"hosts":{"alpha":{"loaded":{"q:1":{"num_ctx":8192,"stop":["a","b"],"temperature":0.5}},
"models":["registry.ollama.ai/library/q:1","registry.ollama.ai/library/r:1"],"url":"http://alpha:11434"},
"beta":{"loaded":{},"models":[],"url":"http://beta"}},"items":{"[null,[]]":40}}"""

REMEMBERED = Remembered(
    {"[null,[]]": 40},
    {
        HostName("alpha"): HostRemembered(
            URL,
            frozenset({"registry.ollama.ai/library/q:1", "registry.ollama.ai/library/r:1"}),
            {ModelName.parse("q:1"): {"num_ctx": 8192, "temperature": 0.5, "stop": ("a", "b")}},
        ),
        HostName("beta"): HostRemembered("http://beta"),
    },
)


def test_it_is_read_where_it_lies_and_taken_over_by_the_first_write(tmp_path: Path) -> None:
    path = tmp_path / f"{file_name('my fleet')}.json"
    path.write_text(FORMER, encoding="utf-8")
    (tmp_path / f".{path.name}.half").write_text("{", encoding="utf-8")
    with Memory(str(tmp_path), "my fleet") as memory:
        assert memory.remembered() == REMEMBERED
        assert path.exists(), "a run that only reads moves nothing"
        memory.keep_evidence(ALPHA, URL, CHAT, MADE)
        kept = memory.remembered()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["fleet.db", f"{path.name}.migrated"]
    assert (tmp_path / f"{path.name}.migrated").read_text(encoding="utf-8") == FORMER
    with Memory(str(tmp_path), "my fleet") as memory:
        assert memory.remembered() == kept
        assert kept.items == REMEMBERED.items
        assert kept.hosts[ALPHA].models == REMEMBERED.hosts[ALPHA].models
        assert memory.notes == ()


def test_it_is_taken_over_into_a_file_that_other_fleets_have_already(tmp_path: Path) -> None:
    with Memory(str(tmp_path), "other") as other:
        other.record(FULL)
    (tmp_path / "fleet.json").write_text(FORMER, encoding="utf-8")
    with Memory(str(tmp_path), "fleet") as memory:
        assert memory.remembered() == REMEMBERED
        memory.record(memory.remembered())
        assert not (tmp_path / "fleet.json").exists()
    with Memory(str(tmp_path), "fleet") as memory:
        assert memory.remembered() == REMEMBERED


def test_a_run_that_was_killed_before_it_was_moved_takes_nothing_over_twice(tmp_path: Path) -> None:
    with Memory(str(tmp_path), "fleet") as memory:
        memory.record(FULL)
    (tmp_path / "fleet.json").write_text(FORMER, encoding="utf-8")
    with Memory(str(tmp_path), "fleet") as memory:
        assert memory.remembered() == FULL
        memory.forget_evidence(ALPHA, CHAT)
        assert memory.remembered().items == FULL.items
    assert (tmp_path / "fleet.json.migrated").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        FORMER.replace('"format":1', '"format":2'),
        FORMER.replace("40", "1e999"),
        FORMER.replace("40", '"many"'),
        FORMER.replace('"hosts":{', '"hosts":[{').replace(',\n"beta"', '}],"more":{"beta"'),
        FORMER.replace('"alpha":', '"al pha":'),
        FORMER.replace('"q:1":', '"//":'),
        FORMER.replace('"models"', '"mod"'),
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_one_is_said_to_be_damaged_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    content = path.read_bytes()
    with Memory(str(tmp_path), "fleet") as memory:
        for use in (memory.remembered, lambda: memory.record(FULL)):
            with pytest.raises(StateError, match="damaged") as fault:
                use()
            assert fault.value.code is Code.STATE_UNUSABLE
            assert str(path) in str(fault.value)
            assert "move" in (fault.value.hint or "")
    assert path.read_bytes() == content
