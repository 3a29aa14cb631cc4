"""What the tests of crashes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.preloaded import Preloaded


@pytest.fixture(scope="session")
def mortal() -> Iterator[Preloaded]:
    """The command, loaded once, in processes that can be told when to die."""
    running = Preloaded("tests.crashes.mortal")
    yield running
    running.close()
