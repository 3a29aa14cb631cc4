"""What docs/security.md says holds something is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))
ROWS = [line for line in TEXT.split("## Point by point")[1].split("\n") if line.startswith("| ") and "`" in line]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    assert (ROOT / file).is_file()
    assert not name or name in functions(ROOT / file)


def test_every_module_that_is_named_exists() -> None:
    named = re.findall(r"`((?:fleet|docs|systemd|requirements)/[\w./-]+)`", TEXT)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_concern_has_a_module_and_a_test() -> None:
    assert len(ROWS) > 40
    for row in ROWS:
        *_, where, test, _end = row.split(" |") if row.endswith(" |") else (row, "", "", "")
        assert re.search(r"`(?:fleet|systemd)/", where), row
        assert "`tests/" in test, row
