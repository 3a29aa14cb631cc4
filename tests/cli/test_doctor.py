"""`fleet doctor` on simulated hosts: it finds what is wrong, says what to do, and touches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

HASTY = {"OLLAMA_FLEET_RETRY_TRIES": "1"}


def test_an_inventory_is_enough_and_nothing_is_changed(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("""
hosts:
  alpha: {version: 0.9.6, models: {good:1: {size: 1MB}, broken:1: {size: 1MB, seed: x}}}
  beta: {version: 0.32.15, models: {good:1: {size: 1MB}}}
  gamma: {down: true}
""")
    token = run_fleet.write("token", "secret-token")
    token.chmod(0o644)
    run_fleet.write(
        "hosts.yaml",
        f"version: 1\nhosts:\n  alpha: {fleet.urls['alpha']}\n  gamma: {fleet.urls['gamma']}\n"
        f"  beta: {{url: '{fleet.urls['beta']}', auth: {{bearer_file: token}}}}\n",
    )
    fleet.post("/hosts/alpha/break", {"model": "broken:1"})
    fleet.reset()

    ran = run_fleet("doctor", "-i", "hosts.yaml", "-o", "json", environment=HASTY | {"ALL_PROXY": "http://127.0.0.1:9"})
    assert ran.code == 3, ran.stderr
    document = json.loads(ran.stdout)
    found = [(each["severity"], each["about"], each["host"], each["code"]) for each in document["findings"]]
    assert found == [
        ("problem", "reachability", "gamma", "FLT-101"),
        ("problem", "reachability", "beta", "FLT-112"),
        ("problem", "credential", None, "FLT-112"),
        ("problem", "model", "alpha", "FLT-218"),
        ("warning", "advisory", "alpha", None),
        ("warning", "advisory", "alpha", None),
        ("note", "environment", None, None),
    ]
    assert all(each["do"] for each in document["findings"])
    assert [each["advisory"] for each in document["findings"] if each["about"] == "advisory"] == [
        "CVE-2025-51471",
        "CVE-2026-7482",
    ]
    assert "secret-token" not in ran.stdout + ran.stderr
    assert not (run_fleet.folder / "state").exists()
    assert fleet.changing() == 0

    token.chmod(0o600)
    well = run_fleet("doctor", "-i", "hosts.yaml", "--host", "beta", environment=HASTY)
    assert "chmod" not in well.stdout
    assert "1 warning; 1 host looked at" in well.stdout, "it answers those without credentials"


@pytest.mark.parametrize("redirect", [True, False])
def test_a_mirror_is_tried_as_hosts_would_use_it(
    redirect: bool, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(f"hosts: {{alpha: }}\nregistry: {{redirect: {str(redirect).lower()}}}\n")
    mirror = fleet.registry
    run_fleet.write(
        "hosts.yaml",
        f"version: 1\nhosts: {{alpha: {fleet.urls['alpha']}}}\n"
        f"registries: {{registry.ollama.ai: {{mirror: '{mirror}'}}, '{mirror}': {{insecure: true}}}}\n",
    )
    asking = {"OLLAMA_FLEET_ASK_REGISTRIES": "true"}
    ran = run_fleet("doctor", "-i", "hosts.yaml", manifest="version: 1\nmodels: {llama3.2:1b: }\n", environment=asking)
    if redirect:
        assert (ran.code, ran.stdout) == (0, "Nothing found; 1 host looked at\n")
    else:
        assert ran.code == 3
        assert f"the mirror `{mirror}` of `registry.ollama.ai` answers 200 with the blob itself" in ran.stdout
        assert "(FLT-213)" in ran.stdout


def test_wrong_manifests_are_told_before_anything_is_looked_at(run_fleet: FleetCommand) -> None:
    ran = run_fleet("doctor", manifest="version: 1\nmodels: {a: {pul: }}\n")
    assert ran.code == 4
    assert "ollama-fleet.yaml:2:" in ran.stderr
