"""One golden scenario, set up once and put back before every try: killed before an effect, then run anew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from sqlite3 import connect
from typing import Any, Self

from fleet.names import ModelName
from fleet.reconcile.backup import backup_of, is_backup
from fleet.simulate.calls import CHANGING
from fleet.simulate.server import Simulation
from fleet.state.memory import Memory
from tests.crashes import mortal
from tests.crashes.golden import Golden
from tests.crashes.picture import put_back, take
from tests.crashes.striking import Striking
from tests.fleet_command import FleetCommand, Ran
from tests.preloaded import Preloaded
from tests.simulated import Simulated
from tests.weights import making

KILLED = -9
_PATIENCE = 10.0
_QUICK = {
    "OLLAMA_FLEET_ASK_REGISTRIES": "true",
    "OLLAMA_FLEET_RETRY_WAIT": "1ms",
    "OLLAMA_FLEET_POLL_INTERVAL": "10ms",
    "OLLAMA_FLEET_UNLOAD_WAIT": "5s",
    "OLLAMA_FLEET_CONNECT_TIMEOUT": "5s",
}

Truth = Mapping[str, Mapping[str, str]]
"""By host what each name holds, as the simulator knows it: the digest, and whether all of it is there."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What there is after a run that was not killed, but for times."""

    truth: Truth
    running: Mapping[str, list[tuple[object, ...]]]
    published: Mapping[str, str]
    remembered: object
    leases: list[tuple[str, str]]
    kept: list[str]
    """Files beside the record."""


class Stage:
    """A running simulation with one fleet that keeps it."""

    def __init__(self, golden: Golden, folder: Path, simulation: Simulation, command: Preloaded) -> None:
        self.golden = golden
        self._simulation = simulation
        self._fleet = Simulated(simulation)
        self._command = command
        self._run = FleetCommand(folder, command)
        self._told = folder / "effects"
        self._state = folder / "state"
        self._beginning = folder / "beginning"
        self._set_up()
        self.before = self.truth()
        self._picture = take(simulation)

    def _set_up(self) -> None:
        golden, folder = self.golden, self._run.folder
        self._fleet.inventory(folder / "hosts.yaml")
        (folder / "made.gguf").write_bytes(making.model(general__name="one"))
        self._state.mkdir(exist_ok=True)
        for models in golden.before:
            self._write(models, "")
            ran = self._run(*self._arguments("apply", "--yes"), environment=_QUICK)
            assert ran.code == 0, ran.stdout + ran.stderr
        for happens in golden.happens:
            happens(self._fleet, folder)
        self._write(golden.manifest, golden.policy)
        if self._state.exists():
            shutil.copytree(self._state, self._beginning)
        else:
            self._beginning.mkdir()

    def _write(self, models: str, policy: str) -> None:
        self._run.write("ollama-fleet.yaml", f"version: 1\nmodels: {{{models}}}\n")
        self._run.write("policy.yaml", f"version: 1\npolicy: {{{policy}}}\n")

    def put_back(self) -> Self:
        """As it was before the run in question."""
        for host in self._simulation.hosts:
            # Whatever is still under way there ends, sooner or later.
            self._fleet.post(f"/hosts/{host}/restart")
        until = time.monotonic() + _PATIENCE
        while self._changing():
            assert time.monotonic() < until, "a host is still at what an earlier run asked for"
            time.sleep(0.005)
        self._fleet.reset()
        put_back(self._simulation, self._picture)
        shutil.rmtree(self._state, ignore_errors=True)
        shutil.copytree(self._beginning, self._state)
        return self

    def run(self, before: int = 0) -> Ran:
        """A run that is killed before its effect of this number, if it has so many; 0 for one that is not."""
        told = {mortal.TOLD: str(self._told), mortal.BEFORE: str(before)}
        return self._run(*self._arguments(*self.golden.command), environment={**_QUICK, **told})

    def slow(self) -> None:
        """From now on hosts and registry take the time that the scenario says."""
        self._simulation._pace.whole.rate = self.golden.bandwidth
        faults = [{"fault": "slow", "endpoint": endpoint, "delay": delay} for endpoint, delay in self.golden.slow]
        for host in self._fleet.urls:
            self._fleet.fault(host, *faults)

    def quick(self) -> None:
        """From now on nothing takes longer than it must."""
        self._simulation._pace.whole.rate = None
        for host in self._fleet.urls:
            self._fleet.heal(host)

    def killed(self, seconds: float, *, installed: bool) -> bool | None:
        """A run that is killed so many seconds after its first request; whether that was in the middle of a step.
        Nothing for one that ended before.

        `installed`: a start of the installed command; else a fork of the loaded one.
        """
        arguments = self._arguments(*self.golden.command)
        striking = Striking(seconds, self._asked, self._changing)
        self.slow()
        if installed:
            with self._run.start(*arguments, environment=_QUICK) as running:
                striking.begin(running.pid)
                running.communicate()
                code = running.returncode
        else:
            environment = self._run.environment(_QUICK)
            code, _, _ = self._command.run(arguments, self._run.folder, environment, b"", 60, striking.begin)
        changing = striking.ended()
        self.quick()
        if changing is None or code != KILLED:
            return None
        return changing or self._begun()

    def _asked(self) -> bool:
        """Whether the run has asked for anything yet."""
        counters: Any = self._simulation.journal.counters(list(self._simulation.hosts))
        return any(counters["total"].values())

    def _changing(self) -> bool:
        """Whether a request that changes something is under way."""
        journal = self._simulation.journal
        begun: Any = journal.counters(list(self._simulation.hosts))
        ended = [
            entry for entry in journal.requests() if entry["kind"] in CHANGING and entry["host"] in self._fleet.urls
        ]
        return int(begun["total"]["changing"]) > len(ended)

    def _begun(self) -> bool:
        """Whether the record says that a host may still be at something."""
        with Memory(str(self._state / "ollama-fleet"), "default") as memory:
            hosts = memory.remembered().hosts
            assert not memory.notes, "whatever the moment, the record can be read"
        return any(host.begun for host in hosts.values())

    def effects(self) -> list[str]:
        """Of the last run, without what differs from folder to folder."""
        return [each.replace(str(self._run.folder), "~") for each in mortal.effects(self._told)]

    def ended(self) -> Ended:
        running: dict[str, list[tuple[object, ...]]] = {}
        published: dict[str, str] = {}
        for host in self._fleet.urls:
            held = self._fleet.state(host)["running"]
            running[host] = sorted((each["digest"], each["context_length"], each["session_seconds"]) for each in held)
        everything = self._fleet.get("/state")["registries"]
        for registry, state in everything.items():
            published.update({f"{registry} {name}": model["digest"] for name, model in state["models"].items()})
        folder = self._state / "ollama-fleet"
        return Ended(self.truth(), running, published, self._remembered(folder), _leases(folder), _kept(folder))

    def truth(self) -> dict[str, dict[str, str]]:
        return {host: self._holds(host) for host in self._fleet.urls}

    def _holds(self, host: str) -> dict[str, str]:
        return _held(self._fleet.state(host))

    def lost(self, after: Truth) -> list[str]:
        """What was usable at the beginning, nobody gave up, and is not usable now: neither under its name nor under its
        backup name, nor is what the run brings in its place.
        """
        found = []
        for host, models in self.before.items():
            now = self._holds(host)
            for name, digest in models.items():
                given_up = name in self.golden.given_up or is_backup(ModelName.parse(name))
                held, kept = now.get(name), now.get(str(backup_of(ModelName.parse(name))))
                if (
                    not given_up
                    and digest.endswith(_WHOLE)
                    and digest not in {held, kept}
                    and held != after[host][name]
                ):
                    found.append(f"{host}: {name} was {digest}, is {held}, and kept is {kept}")
        return found

    def _arguments(self, *command: str) -> tuple[str, ...]:
        return (*command, "-i", "hosts.yaml", "-i", "policy.yaml", "-f", "ollama-fleet.yaml")

    def _remembered(self, folder: Path) -> object:
        with Memory(str(folder), "default") as memory:
            found = timeless(memory.remembered())
            assert not memory.notes
        return found


_WHOLE = " whole"


def _held(state: Mapping[str, Any]) -> dict[str, str]:
    there = state["blobs"]
    return {
        name: model["digest"] + (_WHOLE if all(layer["digest"] in there for layer in model["layers"]) else " broken")
        for name, model in state["models"].items()
    }


def _leases(folder: Path) -> list[tuple[str, str]]:
    file = folder / "fleet.db"
    if not file.exists():
        return []
    with closing(connect(file)) as database:
        return database.execute("SELECT fleet, url FROM leases ORDER BY url").fetchall()


def _kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def timeless(value: object) -> object:
    """A value with nothing in it that tells when it was made."""
    if isinstance(value, datetime):
        return "some time"
    if is_dataclass(value) and not isinstance(value, (type, Enum, ModelName)):
        return {each.name: timeless(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: timeless(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [timeless(each) for each in value]
    return value
