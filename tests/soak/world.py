"""Ten simulated hosts, a daemon that keeps them, and everything that happens to both."""

from __future__ import annotations

import calendar
import json
import os
import time
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from fleet.simulate import catalogue
from fleet.simulate.image import ImageManifest
from fleet.simulate.scenario import OfferedModel
from tests.simulated import Simulated
from tests.soak.process import Daemon
from tests.soak.wanted import PUBLISHED, STRANGERS, TIERS, Wanted, offered, untrue

VERSIONS = ("0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15")
HOSTS = {f"h-{number:02}": (VERSIONS[number % 5], TIERS[number % 2]) for number in range(10)}
PUSHED_OUT = "FLT-241"
"""A restart soon after a load looks as if users needed the memory: the load is put off for five minutes and more, and what
is to be deleted comes after it. That is days here.
"""
SHARE = 0.05
"""Of calls that go wrong in a storm."""
_MIX: tuple[tuple[float, dict[str, Any]], ...] = (
    (0.20, {"fault": "unreachable"}),
    (0.15, {"fault": "cut", "bytes": 0}),
    # A copy or delete has a minute, which is hours here, and so is silence on it.
    *((0.01, {"fault": "silence", "endpoint": each}) for each in ("tags", "show", "ps", "pull", "create")),
    (0.10, {"fault": "status", "status": 500}),
    (0.10, {"fault": "status", "status": 503}),
    (0.20, {"fault": "cut", "lines": 1}),
    (0.05, {"fault": "error-line"}),
    (0.05, {"fault": "error-then-success"}),
    (0.02, {"fault": "html"}),
    (0.02, {"fault": "wrong-json"}),
    (0.01, {"fault": "escapes"}),
    (0.05, {"fault": "lost-answer"}),
)
# A minute is a quarter of a second here. What a run that was killed may have left going on is waited for longer than any
# call of it could take, as it is by default.
QUICK = {
    "OLLAMA_FLEET_LISTEN": "none",
    "OLLAMA_FLEET_JITTER": "0%",
    "OLLAMA_FLEET_SETTLE": "20ms",
    "OLLAMA_FLEET_RETRY_WAIT": "2ms",
    "OLLAMA_FLEET_BACK_OFF": "300ms",
    "OLLAMA_FLEET_BACK_OFF_MOST": "2s",
    "OLLAMA_FLEET_ANSWER_DEADLINE": "2s",
    "OLLAMA_FLEET_SILENCE": "1s",
    "OLLAMA_FLEET_CREATE_SILENCE": "1s",
    "OLLAMA_FLEET_VERIFY_SILENCE": "1s",
    "OLLAMA_FLEET_STALL_WINDOW": "1s",
    "OLLAMA_FLEET_UNLOAD_WAIT": "3s",
    "OLLAMA_FLEET_UNSETTLED_WAIT": "10s",
    "OLLAMA_FLEET_POLL_INTERVAL": "20ms",
    "OLLAMA_FLEET_GRACE": "1s",
}


def scenario() -> str:
    hosts = {
        name: {"version": version, "labels": {"tier": tier}, "models": list(STRANGERS), "max_loaded": 9}
        for name, (version, tier) in HOSTS.items()
    }
    models = {name: offered(name, 0) for name in (*PUBLISHED, *STRANGERS)}
    return json.dumps({"hosts": hosts, "registry": {"models": models}})


class World:
    """Made with a running simulation of `scenario()` and a folder of its own."""

    def __init__(self, fleet: Simulated, folder: Path, random: Random, interval: str) -> None:
        self.fleet = fleet
        self.random = random
        self.wanted = Wanted(random)
        self._manifest = folder / "manifests" / "models.json.yaml"
        self._manifest.parent.mkdir()
        inventory = fleet.inventory(folder / "hosts.yaml")
        policy = folder / "policy.yaml"
        policy.write_text("version: 1\npolicy: {prune: owned, max_deletes: 50}\nname: soak\n")
        self.daemon = Daemon(
            folder,
            ("-i", inventory, "-i", str(policy), "-f", str(self._manifest.parent), "--interval", interval),
            {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "OLLAMA_FLEET_STATE_DIR": str(folder / "s"),
                **QUICK,
            },
        )
        self.strangers = {host: self._digests(host) for host in HOSTS}
        self._read = 0
        self.wanted.begin()
        self.write()

    def write(self) -> None:
        """Wholly or not at all, as a checkout does it."""
        beside = self._manifest.with_name(".new")
        beside.write_text(self.wanted.manifest())
        beside.replace(self._manifest)

    def storm(self) -> None:
        for host in HOSTS:
            self.fleet.fault(host, *({**fault, "chance": SHARE * part} for part, fault in _MIX))

    def calm(self) -> None:
        for host in HOSTS:
            self.fleet.heal(host)
            self.fleet.post(f"/hosts/{host}/up")

    def restart_a_host(self) -> None:
        self.fleet.post(f"/hosts/{self.random.choice(list(HOSTS))}/restart", {"idle": self.random.choice((0, 7200))})

    def a_host_goes_down(self) -> None:
        self.fleet.post(f"/hosts/{self.random.choice(list(HOSTS))}/down")

    def publish(self) -> None:
        name = self.wanted.publishes()
        self.fleet.post("/registry/add", {"model": name, **offered(name, self.wanted.contents[name])})

    def untrue(self, hosts: set[str]) -> dict[str, list[str]]:
        """What is not as it is wanted on these hosts, as the simulator knows it."""
        registry = {name: _forms(name, content) for name, content in self.wanted.contents.items()}
        found: dict[str, list[str]] = {}
        for host, (_, tier) in HOSTS.items():
            wanted = self.wanted.for_tier(tier)
            state = self.fleet.state(host)
            told = list(untrue(wanted, state, registry))
            told += [
                f"`{name}` is there and nobody asks for it"
                for name in state["models"].keys() - wanted.keys() - set(STRANGERS)
                if not name.startswith("fleet-backup/")
            ]
            if told and host in hosts:
                found[host] = told
        return found

    def harmed(self) -> list[str]:
        """What was taken away or changed that is somebody else's."""
        return [host for host in HOSTS if self._digests(host) != self.strangers[host]]

    def unasked_deletes(self) -> list[str]:
        """Deletes since the last call of what was wanted there all the time."""
        found = []
        for request in self.fleet.requests():
            if request["number"] <= self._read:
                continue
            self._read = request["number"]
            name, host = str(request["model"]), request["host"]
            if request["kind"] != "delete" or not request["model"] or name.startswith("fleet-backup/"):
                continue
            if (HOSTS[host][1], name) not in self.wanted.unwanted:
                found.append(f"`{name}` on {host}")
        return found

    def _digests(self, host: str) -> dict[str, str]:
        models = self.fleet.state(host)["models"]
        return {name: models[name]["digest"] for name in STRANGERS if name in models}


def _forms(name: str, content: int) -> frozenset[str]:
    """The digests that a host may list for what the registry has."""
    raw = catalogue.build(name, OfferedModel.model_validate(offered(name, content))).manifest
    return frozenset(sha256(form).hexdigest() for form in (raw, ImageManifest.decoded(raw).encoded(newline=False)))


def agreed(status: dict[str, Any] | None, since: float) -> set[str] | None:
    """The hosts of which the daemon says that all is as desired, once it does of every one by looks that are newer than
    `since` (seconds of the epoch); without those where it says that it waits for minutes by rule.
    """
    if status is None or len(status["hosts"]) != len(HOSTS):
        return None
    waiting = set()
    for host in status["hosts"]:
        seen = host.get("seen")
        if seen is None or _epoch(seen) <= since:
            return None
        if any(item.get("code") == PUSHED_OUT for item in host.get("items", [])):
            waiting.add(host["name"])
        elif not host["ready"]:
            return None
    return set(HOSTS) - waiting


def _epoch(text: str) -> float:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
