"""The repository of `examples/gitops` from a merge request to hosts as it says, in staging and then in production."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet_command import FleetCommand, Ran
from tests.passes.gitops_repository import ENVIRONMENTS, EXAMPLE, SCENARIO, copied, files_of, surrounding
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(SCENARIO.read_text(encoding="utf-8"))


@pytest.fixture
def repository(run_fleet: FleetCommand, simulated: Simulated) -> Path:
    return copied(run_fleet, simulated)


def test_the_example_as_it_lies_there_is_sound(run_fleet: FleetCommand) -> None:
    files = {
        environment: ("-i", str(EXAMPLE / f"inventories/{environment}.yaml"), "-f", str(EXAMPLE / "models"))
        for environment in ENVIRONMENTS
    }
    for environment in ENVIRONMENTS:
        assert run_fleet("validate", *files[environment]).code == 0
        settings = run_fleet("settings", "--settings", str(EXAMPLE / f"daemon/{environment}.yaml"))
        assert (settings.code, settings.stderr) == (0, "")
    assert run_fleet("lock", "--check", *files["production"]).code == 0


def contents(snapshot: Path) -> dict[str, dict[str, str]]:
    """What each host of a snapshot holds."""
    hosts = json.loads(snapshot.read_text(encoding="utf-8"))["hosts"]
    return {name: {each["listed"]: each["digest"] for each in host.get("models", ())} for name, host in hosts.items()}


@pytest.mark.usefixtures("repository")
def test_from_a_merge_request_to_both_environments(run_fleet: FleetCommand, simulated: Simulated) -> None:
    def fleet(*arguments: str, environment: str) -> Ran:
        return run_fleet(*arguments, *files_of(environment), environment=surrounding(run_fleet))

    taken = fleet("snapshot", "--out", "taken.json", environment="production")
    assert taken.code == 0, taken.stderr
    assert contents(run_fleet.folder / "taken.json") == contents(EXAMPLE / "snapshots/production.json")

    for environment, hosts in ENVIRONMENTS.items():
        planned = fleet("plan", "--detailed-exitcode", "-o", "markdown", environment=environment)
        assert planned.code == 2, planned.stdout + planned.stderr
        assert planned.stdout.startswith(f"<!-- ollama-fleet: plan of acme-{environment} -->\n### fleet: Plan: ")
        applied = fleet("apply", "--yes", environment=environment)
        assert applied.code == 0, applied.stdout + applied.stderr
        again = fleet("plan", "--detailed-exitcode", environment=environment)
        assert again.code == 0, again.stdout + again.stderr
        for host in set(hosts) - {"osa-02"}:
            assert {"qwen3:8b", "acme/assistant:latest", "assistant:latest"} <= simulated.names(host)

    assert simulated.names("osa-02") == set(), "suspended in the inventory"
    assert simulated.names("stg-01") - simulated.names("tyo-03") == {"phi4:14b"}, "tried in staging alone"
    assert simulated.names("tyo-03") - simulated.names("tyo-01") == {"nomic-embed-text:latest"}, "for role=rag"
    assert "tmp-summaries:latest" not in simulated.names("tyo-01")
    # Staging asks for repeatable answers, and each site has a prompt of its own.
    made = {host: simulated.state(host)["models"]["assistant:latest"]["digest"] for host in ("stg-01", "tyo-01")}
    assert made["stg-01"] != made["tyo-01"]


def test_what_staging_runs_is_accepted_for_production(
    run_fleet: FleetCommand, simulated: Simulated, repository: Path
) -> None:
    environment = surrounding(run_fleet)
    simulated.post("/registry/add", {"model": "qwen3:8b", "size": "310KB", "family": "qwen3"})
    held = run_fleet("plan", *files_of("production"), "--model", "qwen3:8b", environment=environment)
    assert held.code == 3
    assert "FLT-313" in held.stdout, "nobody accepted what the registry serves now"

    lock = repository / "models/ollama-fleet.lock"
    before = lock.read_text(encoding="utf-8")
    applied = run_fleet("apply", "--yes", *files_of("staging"), environment=environment)
    assert applied.code == 0, applied.stderr
    for arguments in (("--from-hosts", *files_of("staging")), files_of("production")):
        locked = run_fleet("lock", *arguments, environment=environment)
        assert locked.code == 0, locked.stdout + locked.stderr
    changed = set(lock.read_text(encoding="utf-8").splitlines()) ^ set(before.splitlines())
    assert {line.split()[0] for line in changed} == {"qwen3:8b"}, "one line to review, and no trial of staging"
    assert run_fleet("plan", *files_of("production"), environment=environment).code == 0


@pytest.mark.usefixtures("repository")
def test_a_secret_that_is_not_there_is_told_by_its_name(run_fleet: FleetCommand, simulated: Simulated) -> None:
    ran = run_fleet("plan", *files_of("production"), "--host", "tyo-01")
    assert ran.code == 7
    assert "production.token" in ran.stdout
    assert "FLT-112" in ran.stdout
    assert simulated.changing() == 0
