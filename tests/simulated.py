"""A simulated fleet for tests: real sockets on loopback, served by a thread; asked and steered by its control port."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleet.simulate.scenario import parse_scenario
from fleet.simulate.server import Simulation
from fleet.simulate.thread import simulated as serving


class Simulated:
    """One running simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.control_url = simulation.control_url
        self.registry = simulation.registry_name
        self.urls = {name: host.url for name, host in simulation.hosts.items()}
        self._simulation = simulation

    def inventory(self, path: Path) -> str:
        """Writes the inventory and tells its path, as `-i` takes it."""
        self._simulation.write_inventory(path)
        return str(path)

    def state(self, host: str) -> dict[str, Any]:
        """What the host holds, as the simulator knows it and not as fleet says."""
        found: dict[str, Any] = self._ask("GET", f"/hosts/{host}/state")
        return found

    def names(self, host: str) -> set[str]:
        return set(self.state(host)["models"])

    def changing(self) -> int:
        """Requests that change something, loads and unloads included, over all hosts."""
        total: int = self._ask("GET", "/counters")["total"]["changing"]
        return total

    def uploads(self, host: str) -> dict[str, int]:
        """How often each blob was sent to the host, by digest."""
        found: dict[str, int] = self._ask("GET", "/counters")["uploads"][host]
        return found

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", "/requests")["requests"]
        return found

    def reset(self) -> None:
        self._ask("POST", "/counters/reset")

    def fault(self, host: str, *faults: dict[str, Any]) -> None:
        """From now on the host has these faults and no others."""
        self._ask("POST", f"/hosts/{host}/faults", {"faults": list(faults)})

    def heal(self, host: str) -> None:
        self._ask("DELETE", f"/hosts/{host}/faults")

    def get(self, path: str) -> Any:
        """Any other question to the control port."""
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Any other call of the control port."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        raw = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.control_url + path, raw, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")


@contextmanager
def simulated(scenario: str) -> Iterator[Simulated]:
    """Serves a scenario, given as its text, for as long as the block lasts."""
    with serving(parse_scenario(scenario)) as simulation:
        yield Simulated(simulation)
