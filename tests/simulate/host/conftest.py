"""Hosts in virtual time for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulate.host.talking import Fleet, Place, Talk


@pytest.fixture
def place() -> Iterator[Place]:
    here = Place()
    yield here
    here.close()


@pytest.fixture
def host(place: Place) -> Callable[..., Talk]:
    """Makes a host of a version, alone: no registry can be reached."""
    return place.host


@pytest.fixture
def fleet(place: Place) -> Callable[[str], Fleet]:
    """Makes the fleet of a scenario, with its registry."""
    return place.fleet


@pytest.fixture
def host_of(place: Place) -> Callable[..., Talk]:
    """Makes a host that reaches one small registry."""
    return place.host_of


@pytest.fixture
def based(host: Callable[..., Talk]) -> Callable[..., Talk]:
    """Makes a host that holds `base`, which has texts of all kinds."""

    def make(version: str = "0.32.15", **settings: Any) -> Talk:
        here = host(version, **settings)
        here.seed(
            "base",
            template="{{ .System }} {{ .Prompt }}",
            system="Be kind.",
            parameters={"stop": ["a"], "top_k": 5},
            license="MIT",
            messages=[{"role": "user", "content": "hi"}],
        )
        return here

    return make
