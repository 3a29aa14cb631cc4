"""Which fleet a verb means that needs no manifests."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import pytest

from fleet.cli.which_fleet import which_fleet
from fleet.errors import UsageError
from fleet.settings import Settings
from fleet.state.history import History
from tests.state.examples import AT

INVENTORY = "version: 1\nname: {}\nhosts: {{alpha: {{url: http://127.0.0.1:9}}}}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; the record is in `s` below it."""
    folder = tmp_path / "here"
    (folder / "s").mkdir(parents=True, mode=0o700)
    for name in ("given", "configured"):
        (folder / f"{name}.yaml").write_text(INVENTORY.format(name), encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def meant(here: Path, *, name: str | None = None, inventory: str | None = None, configured: str | None = None) -> str:
    arguments = argparse.Namespace(fleet=name, inventory=[inventory] if inventory else [], files=[])
    settings = Settings(state_dir=str(here / "s"), inventory=configured)
    found = which_fleet(arguments, settings)
    assert (found.desired is None) == (found.name not in {"given", "configured", "local"})
    return found.name


def test_what_was_named_goes_before_what_is_set_and_that_before_what_lies_here_or_is_known(here: Path) -> None:
    configured = str(here / "configured.yaml")
    with History(str(here / "s"), "known") as history:
        history.begin(AT, ("start",), "1")
    assert meant(here) == "known"
    (here / "ollama-fleet.yaml").write_text(INVENTORY.format("local"), encoding="utf-8")
    assert meant(here) == "local"
    assert meant(here, configured=configured) == "configured"
    assert meant(here, inventory="given.yaml", configured=configured) == "given"
    assert meant(here, name="named", configured=configured) == "named"


def test_wrong_manifests_are_in_nobodys_way_where_the_inventory_is_named(here: Path) -> None:
    (here / "ollama-fleet.yaml").write_text("models: [", encoding="utf-8")
    assert meant(here, inventory="given.yaml") == "given"


def test_a_fleet_is_known_by_its_socket_alone(here: Path) -> None:
    with pytest.raises(UsageError, match="no fleet is known in"):
        meant(here)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s/a%000020b.sock")
        assert meant(here) == "a b"
        with History(str(here / "s"), "known") as history:
            history.begin(AT, ("start",), "1")
        with pytest.raises(UsageError, match="which fleet is meant"):
            meant(here)
