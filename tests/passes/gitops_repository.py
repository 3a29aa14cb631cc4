"""The repository of `examples/gitops` as a team has it, its inventories leading to simulated hosts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

EXAMPLE = Path(__file__).parents[2] / "examples/gitops"
SCENARIO = EXAMPLE.parent / "scenarios/gitops.yaml"
ENVIRONMENTS = {
    "staging": ("stg-01", "stg-02"),
    "production": ("osa-01", "osa-02", "tyo-01", "tyo-02", "tyo-03"),
}
RANGES = {"stg-[01:02]": ("stg-01", "stg-02"), "tyo-[01:02]": ("tyo-01", "tyo-02")}
SECRETS = ("staging.token", "production.token")


def copied(command: FleetCommand, simulated: Simulated) -> Path:
    """A copy in the command's folder. Everything stays as written but where hosts and their registry are."""
    folder = command.folder / "fleet-config"
    shutil.copytree(EXAMPLE, folder)
    served: dict[str, Any] = yaml.safe_load(Path(simulated.inventory(command.folder / "all.yaml")).read_text())
    for environment in ENVIRONMENTS:
        path = folder / f"inventories/{environment}.yaml"
        written: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        written["hosts"] = {
            name: {**host, "url": simulated.urls[name]}
            for key, host in written["hosts"].items()
            for name in RANGES.get(key, (key,))
        }
        written["registries"] = {name: served["registries"][name] for name in written["registries"]}
        path.write_text(yaml.safe_dump(written), encoding="utf-8")
    for secret in SECRETS:
        token = command.write(f"credentials/{secret}", "a-token-that-nobody-asks-for")
        token.chmod(0o600)
    return folder


def files_of(environment: str) -> tuple[str, ...]:
    """What CI and the daemon give to every verb."""
    return ("-i", f"fleet-config/inventories/{environment}.yaml", "-f", "fleet-config/models")


def surrounding(command: FleetCommand) -> dict[str, str]:
    """Variables as a runner sets them."""
    return {
        "OLLAMA_FLEET_CREDENTIALS_DIR": str(command.folder / "credentials"),
        "OLLAMA_FLEET_ASK_REGISTRIES": "true",
    }
