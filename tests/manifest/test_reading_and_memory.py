"""Reading lets the garbage collector rest; whoever called finds it as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fleet.manifest.faults import Faults
from fleet.manifest.reading import read_documents

DEEP = b"[" * 1000


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("content", [b"version: 1", DEEP], ids=["sound", "refused"])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(content: bytes, *, enabled: bool) -> None:
    if not enabled:
        gc.disable()
    faults = Faults()
    read_documents(content, "manifest.yaml", faults)
    assert bool(faults.found) == (content is DEEP)
    assert gc.isenabled() == enabled
