"""A simulated fleet whose registries fleet itself may ask: the command with its inventory, and what registries saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fleet_command import FleetCommand, Ran, Started
from tests.simulated import Simulated

ENVIRONMENT = {"OLLAMA_FLEET_ASK_REGISTRIES": "true", "OLLAMA_FLEET_RETRY_WAIT": "1ms"}


class Asking:
    """Runs the command on these hosts. `more` are further arguments that every run has."""

    def __init__(self, command: FleetCommand, simulated: Simulated, *more: str) -> None:
        self.command = command
        self.simulated = simulated
        self.arguments = ("-i", simulated.inventory(command.folder / "hosts.yaml"), *more)

    def __call__(
        self, verb: str, *options: str, manifest: str | None = None, settings: Mapping[str, str] | None = None
    ) -> Ran:
        environment = {**ENVIRONMENT, **(settings or {})}
        return self.command(verb, *self.arguments, *options, manifest=manifest, environment=environment)

    def start(self, verb: str, *options: str, settings: Mapping[str, str] | None = None) -> Started:
        return self.command.start(verb, *self.arguments, *options, environment={**ENVIRONMENT, **(settings or {})})

    def told(self, verb: str, *options: str, code: int = 0, manifest: str | None = None) -> dict[str, Any]:
        """The JSON of a run that ended with this code."""
        ran = self(verb, *options, "-o", "json", manifest=manifest)
        assert ran.code == code, ran.stdout + ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def apply(self, *options: str, code: int = 0, manifest: str | None = None) -> dict[str, Any]:
        return self.told("apply", "--yes", *options, code=code, manifest=manifest)

    def as_desired(self, *options: str) -> bool:
        """Whether a plan has no step."""
        return not self.told("plan", *options)["steps"]

    def digests(self, host: str) -> dict[str, str]:
        """What the host lists."""
        return {name: f"sha256:{model['digest']}" for name, model in self.simulated.state(host)["models"].items()}

    def store(self, host: str) -> dict[str, Any]:
        """All that lies on the host's disk."""
        state = self.simulated.state(host)
        return {part: state[part] for part in ("models", "blobs", "orphans")}

    def served(self, registry: str = "registry") -> dict[str, str]:
        """Digests by the registry's own short names."""
        path = "/registry/state" if registry == "registry" else f"/registries/{registry}/state"
        return {name: f"sha256:{model['digest']}" for name, model in self.simulated.get(path)["models"].items()}

    def asked(self, registry: str = "registry", client: str = "ollama-fleet") -> dict[str, int]:
        """Requests to the registry by kind; `client` may be `ollama`: all hosts."""
        counted: dict[str, int] = self.simulated.get("/counters")["registries"][registry]["clients"].get(client, {})
        return counted

    def fault(self, registry: str, *faults: dict[str, Any]) -> None:
        """From now on the registry has these faults and no others."""
        path = "/registry/faults" if registry == "registry" else f"/registries/{registry}/faults"
        self.simulated.post(path, {"faults": list(faults)})


def codes(told: Mapping[str, Any], part: str) -> set[tuple[str, str, str]]:
    """Host, model and code of what is `blocked` or among the `failures`."""
    return {(each["host"], each["model"], each["code"]) for each in told[part]}
