"""`fleet import`: where it reads from, where it writes to, and what it tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

SMALL = """
hosts:
  alpha: {labels: {tier: prod}, models: {qwen3:8b: {size: 1MB}, acme/other: {size: 1MB}}}
  beta: {labels: {tier: prod}, models: {qwen3:8b: {size: 1MB}}}
"""


def named(fleet: Simulated) -> list[str]:
    return [f"{name}={url}" for name, url in fleet.urls.items()]


def test_hosts_of_an_inventory_and_a_stream(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    fleet = simulate(SMALL)
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    ran = run_fleet("import", "-i", inventory)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.endswith('version: 1\n\nmodels:\n  acme/other:latest:\n    where: "name=alpha"\n  qwen3:8b:\n')
    planned = run_fleet("plan", "-i", inventory, "-f", "-", "--detailed-exitcode", stdin=ran.stdout)
    assert planned.code == 0, planned.stderr
    chosen = run_fleet("import", "-i", inventory, "--host", "beta").stdout
    assert '  qwen3:8b:\n    where: "name=beta"\n' in chosen, "of the others nothing is known"


def test_one_file_says_everything(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    fleet = simulate(SMALL)
    assert run_fleet("import", *named(fleet), "--out", "ollama-fleet.yaml").code == 0
    assert run_fleet("plan", "--detailed-exitcode").code == 0
    again = run_fleet("import", *named(fleet), "--out", "ollama-fleet.yaml")
    assert again.code == 6
    assert "`ollama-fleet.yaml` is there already" in again.stderr
    written = (run_fleet.folder / "ollama-fleet.yaml").read_bytes()
    assert run_fleet("import", *named(fleet), "--out", "ollama-fleet.yaml", "--force").code == 0
    assert (run_fleet.folder / "ollama-fleet.yaml").read_bytes() == written


def test_a_host_that_does_not_answer_is_left_out_and_told(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {models: {qwen3:8b: {size: 1MB}}}, beta: {down: true}}\n")
    ran = run_fleet("import", *named(fleet), "--out", "got", environment={"OLLAMA_FLEET_RETRY_TRIES": "1"})
    assert ran.code == 7
    assert "FLT-101" in ran.stderr
    manifest = (run_fleet.folder / "got/models.yaml").read_text()
    assert "# Not looked into, so nothing is said of them:\n#   beta: no connection" in manifest
    assert '  qwen3:8b:\n    where: "name=alpha"\n' in manifest

    nobody = run_fleet(
        "import", "beta=" + fleet.urls["beta"], "--out", "none", environment={"OLLAMA_FLEET_RETRY_TRIES": "1"}
    )
    assert nobody.code == 7
    assert not (run_fleet.folder / "none").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["alpha"],
        ["a b=http://x"],
        ["a=ftp://x"],
        ["a=http://x", "A=http://y"],
        ["--host", "x"],
        ["a=http://x", "-i", "x"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(wrong: list[str], run_fleet: FleetCommand) -> None:
    ran = run_fleet("import", *wrong)
    assert ran.code == 64
    assert "error: " in ran.stderr
