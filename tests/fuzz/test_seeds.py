"""All seeds, among them whatever fuzzing ever found, survive within bounds: a small input costs little."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.targets import SEEDS, TARGETS

INPUTS = [(target, path) for target in TARGETS for path in sorted((SEEDS / target).iterdir())]


@pytest.mark.parametrize(("target", "path"), INPUTS, ids=[f"{target}-{path.name}" for target, path in INPUTS])
def test_a_seed_is_survived(target: str, path: Path) -> None:
    content = path.read_bytes()
    tracemalloc.start()
    began = time.perf_counter()
    try:
        TARGETS[target](content)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        assert time.perf_counter() - began < 2
    finally:
        tracemalloc.stop()
