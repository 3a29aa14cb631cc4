"""`fleet simulate` as a process: told addresses, an inventory, signals, and errors before anything listens."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml

from fleet.cli import simulate
from fleet.errors import FleetError, InputError, UsageError

VERB = """
import argparse, sys
from fleet.cli import simulate
parser = argparse.ArgumentParser()
simulate.add_parser(parser.add_subparsers())
arguments = parser.parse_args()
sys.exit(arguments.run(arguments))
"""
FREE = ["--port", "0", "--registry-port", "0", "--control-port", "0"]


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs; ended by its own process id, whatever the test did."""
    process = subprocess.Popen(
        [sys.executable, "-c", VERB, "simulate", *FREE, *options], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_addresses_when_ready_and_ends_at_once_with_a_stream_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("hosts: {alpha: {faults: [{fault: stall}]}}")
    inventory = tmp_path / "hosts.yaml"
    with started("-o", "json", "--write-inventory", str(inventory), str(scenario)) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        local = told["registry"].removeprefix("http://")
        registries = {**{name: {"url": url} for name, url in told["registries"].items()}, local: {"insecure": True}}
        written = {"version": 1, "registries": registries, "hosts": {"alpha": told["hosts"]["alpha"]}}
        assert yaml.safe_load(inventory.read_text()) == written
        assert list(told["registries"]) == ["registry.ollama.ai", "hf.co", "huggingface.co"]
        with httpx2.Client() as client:
            request = client.build_request("POST", told["hosts"]["alpha"] + "/api/pull", json={"model": "qwen3:8b"})
            reply = client.send(request, stream=True)
            assert next(reply.iter_lines()) == '{"status":"pulling manifest"}'
            process.send_signal(number)
            assert process.wait(5) == 0
            reply.close()


def test_text_names_each_listener_on_a_line() -> None:
    with started("--hosts", "2", "--ollama", "0.5.4") as process:
        assert process.stdout
        lines = [process.stdout.readline().split() for _ in range(4)]
        assert [line[:-1] for line in lines] == [["registry"], ["control"], ["host", "host-1"], ["host", "host-2"]]
        assert httpx2.get(lines[3][-1] + "/api/version").json() == {"version": "0.5.4"}
        process.terminate()
        assert process.wait(5) == 0


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    simulate.add_parser(parser.add_subparsers())
    return parser.parse_args(["simulate", *FREE, *options])


def test_a_wrong_scenario_is_an_error_of_the_input(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("hosts: {a: {disk: much}}")
    with pytest.raises(InputError, match=r"hosts\.a\.disk: `much` is no size"):
        simulate.run(parsed(str(scenario)))
    with pytest.raises(InputError, match=r"`0\.1` is no version"):
        simulate.run(parsed("--ollama", "0.1"))


def test_hosts_by_number_and_by_name_exclude_each_other(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("hosts: {a: {}}")
    with pytest.raises(UsageError, match="exclude each other"):
        simulate.run(parsed("--hosts", "2", str(scenario)))


@pytest.mark.parametrize("options", [["--hosts", "0"], ["--hosts", "1001"], ["--port", "65536"], ["--port", "x"]])
def test_impossible_numbers_are_refused_by_the_parser(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*options)
    assert "is no number from" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_with_a_way_out() -> None:
    with started("-o", "json") as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["registry"].rpartition(":")[2]
        with pytest.raises(FleetError, match=f"Address already in use: .*{port}") as found:
            simulate.run(parsed("--registry-port", port))
        assert found.value.hint is not None
        process.terminate()
