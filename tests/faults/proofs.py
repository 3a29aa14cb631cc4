"""Which tests say that they prove which row of the matrix, or which invariant, read from their sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def proofs(mark: str = "fault") -> dict[str, list[str]]:
    """Ids of tests by the name of the row, as `pytest.mark.fault` tells it, or of what else a mark names; in the order of
    files and lines.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if f"mark.{mark}(" not in source:
            continue
        where = path.relative_to(TESTS.parent).as_posix()
        for test in ast.walk(ast.parse(source)):
            if isinstance(test, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for row in _rows(test, mark):
                    found.setdefault(row, []).append(f"{where}::{test.name}")
    return found


def _rows(test: ast.FunctionDef | ast.AsyncFunctionDef, mark: str) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{mark}":
            for argument in decorator.args:
                yield str(ast.literal_eval(argument))
