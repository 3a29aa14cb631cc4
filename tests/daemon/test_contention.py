"""How long a model that others push out of memory is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet.daemon.contention import Contention
from fleet.names import HostName
from tests.daemon_process import DaemonProcess
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

KEY = (HostName("gpu-a"), "qwen3:8b", "load")


def stands(condition: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: [host["condition"] for host in status["hosts"]] == [condition]


class Model:
    """One warm model on a host of which somebody else makes use."""

    def __init__(self, kept: float | None = None) -> None:
        self.now = 100.0
        self.kept = kept
        self.contention = Contention(lambda: self.now)
        self.contention.loaded(KEY, kept)

    def pushed_out(self, after: float) -> float:
        """After so many seconds in memory; how many it then waits until it is loaded again, which it is."""
        self.now += after
        seconds = self.contention.missed(KEY)
        assert self.contention.missed(KEY) == 0.0, "told once"
        self.now += seconds
        self.contention.loaded(KEY, self.kept)
        return seconds


@pytest.mark.fault("W4")
def test_it_is_loaded_five_minutes_after_the_last_load_and_twice_as_late_each_time_up_to_an_hour() -> None:
    model = Model()
    assert [model.pushed_out(after=60) + 60 for _ in range(7)] == [300, 600, 1200, 2400, 3600, 3600, 3600]


@pytest.mark.fault("W4")
def test_what_stayed_for_longer_than_that_is_loaded_at_once_and_after_two_hours_it_begins_anew() -> None:
    model = Model()
    assert [model.pushed_out(after=60) for _ in range(3)] == [240, 540, 1140]
    assert model.pushed_out(after=3000) == 0
    assert model.pushed_out(after=60) == 3540, "the fifth time in a row"
    assert model.pushed_out(after=7200) == 0
    assert model.pushed_out(after=60) == 240


@pytest.mark.fault("W4")
def test_a_model_whose_time_was_over_was_not_pushed_out() -> None:
    model = Model(kept=120)
    assert [model.pushed_out(after=120) for _ in range(5)] == [0.0] * 5
    assert model.pushed_out(after=60) == 240


def test_a_host_that_is_gone_is_forgotten() -> None:
    model = Model()
    model.contention.drop(HostName("gpu-a"))
    assert model.pushed_out(after=1) == 0


@pytest.mark.long
@pytest.mark.fault("W4")
def test_a_daemon_does_not_fight_for_memory_and_says_so(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {models: {'warm:1b': {size: 4096}}}}")
    manifest = run_fleet.write("m.yaml", "version: 1\nmodels: {'warm:1b': {warm: true}}\n")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    with DaemonProcess(run_fleet, *files, "--interval", "50ms") as daemon:
        daemon.until(stands("ready"))
        fleet.post("/hosts/alpha/evict", {"model": "warm:1b"})
        told = daemon.until(stands("progressing"))
        passes = told["fleet"]["passes"][0]["number"]
        told = daemon.until(lambda status: status["fleet"]["passes"][0]["number"] > passes + 3)
        (item,) = told["hosts"][0]["items"]
        assert (item["code"], item["message"]) == ("FLT-241", "it was pushed out of memory soon after it was loaded")
        assert item["next_try"]
        assert fleet.state("alpha")["running"] == []
