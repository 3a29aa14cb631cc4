"""Simulated hosts and the passes of one or more fleets over them, in one process over real sockets, with a clock to turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import isawaitable
from pathlib import Path
from typing import Any, ParamSpec, Self

import httpx2

from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.inventory import Host
from fleet.manifest.load import load
from fleet.manifest.local import local_files, with_digests
from fleet.ollama.client import Client
from fleet.reconcile.connection import connect
from fleet.reconcile.plan import Allowance
from fleet.reconcile.progress import Event, StepBegun, deaf
from fleet.reconcile.report import Outcome, Report
from fleet.reconcile.run import Pass, carry_out, make_plan
from fleet.reconcile.step import Plan
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.simulate.clock import Clock
from fleet.simulate.faults import Fault
from fleet.simulate.scenario import parse_scenario
from fleet.simulate.server import Simulation
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered
from fleet.weights.hashing import hash_files

P = ParamSpec("P")

QUICK: dict[str, Any] = {
    "retry_wait": 0.0005,
    "answer_deadline": 5.0,
    "silence": 5.0,
    "create_silence": 5.0,
    "unload_wait": 2.0,
    "poll_interval": 0.01,
    "grace": 0.0,
}


LONG = 60
"""From so many seconds on, the simulator waits for as long as the test wants."""


@dataclass(frozen=True, slots=True)
class Held(Clock):
    """The simulator's time, of which a test ends the long waits."""

    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        await (self.released.wait() if seconds >= LONG else asyncio.sleep(seconds))


class Site:
    """Running between `async with` and its end. `hours` is by how much fleet's clock is ahead."""

    def __init__(self, folder: Path, scenario: str, **settings: Any) -> None:
        self._clock = Held()
        self.simulation = Simulation(parse_scenario(scenario), clock=self._clock)
        self.hours = 0.0
        self.moves: dict[str, str] = {}
        """Which address leads where, if elsewhere than it says."""
        self._folder = folder
        self._settings = {**QUICK, **settings}
        self._http = httpx2.AsyncClient(trust_env=False, verify=False, timeout=30)

    async def __aenter__(self) -> Self:
        await self.simulation.__aenter__()
        self.simulation.write_inventory(self._folder / "hosts.yaml")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        await self._http.aclose()
        await self.simulation.__aexit__(None, None, None)

    def release(self) -> None:
        """Ends all long waits of the simulator, and those to come."""
        self._clock.released.set()

    def listed(self, host: str = "alpha") -> dict[str, str]:
        """Digests by name, as the simulator knows them."""
        return {str(name): stored.digest for name, stored, _ in self.simulation.hosts[host].engine.store.listed()}

    def whole(self, host: str = "alpha") -> set[str]:
        """Names of which every layer is there."""
        store = self.simulation.hosts[host].engine.store
        return {
            str(name)
            for name, _, manifest in store.listed()
            if all(store.blobs.find(layer.digest) is not None for layer in manifest.all_layers)
        }

    def faults(self, host: str, *faults: dict[str, Any]) -> None:
        """From now on the host has these and no others."""
        self.simulation.hosts[host].faults.replace([Fault.model_validate(fault) for fault in faults])

    def asked(self, *kinds: str) -> list[str]:
        """What was asked of hosts so far, as `kind model`, in the order in which it ended."""
        found = self.simulation.journal.requests()
        return [
            f"{each['kind']} {each['model']}" for each in found if each["kind"] in kinds and each["host"] != "registry"
        ]

    async def ask(self, method: str, path: str, body: dict[str, Any], host: str = "alpha") -> int:
        """What another client asks of a host."""
        url = f"{self.simulation.hosts[host].url}/api/{path}"
        answer = await self._http.request(method, url, json=body, headers={"Connection": "close"})
        return answer.status_code

    def known(self, host: str = "alpha", state: str = "state") -> HostRemembered:
        """What the fleet whose folder is `state` recorded of the host."""
        with Memory(str(self._folder / state), "default") as memory:
            return memory.remembered().hosts[host]  # type: ignore[index]  # a text finds a host

    async def plan(self, manifest: str, state: str = "state", inventory: str = "") -> tuple[Pass, Plan]:
        work = await self._work(manifest, state, Allowance(), inventory)
        return work, await make_plan(work)

    async def applies(
        self,
        manifest: str,
        *,
        state: str = "state",
        inventory: str = "",
        allowance: Allowance = Allowance(max_deletes=99, shrunk=True, sources=True),
        before: Callable[[Event], object] = deaf,
        killed_at: Callable[[Event], bool] = lambda _: False,
        planned: Callable[[], object] = lambda: None,
    ) -> Report | None:
        """One pass, as `fleet apply` does it; nothing comes of one that is killed. `before` hears every event first, and
        `planned` is called, and awaited where it takes its time, between plan and execution.
        """
        work = await self._work(manifest, state, allowance, inventory)
        made = await make_plan(work)
        if isawaitable(done := planned()):
            await done

        def hear(event: Event) -> None:
            before(event)
            if killed_at(event):
                running.cancel()

        running = asyncio.ensure_future(carry_out(work, made, Stop(), hear))
        with suppress(asyncio.CancelledError):
            return await running
        return None

    async def _work(self, manifest: str, state: str, allowance: Allowance, inventory: str) -> Pass:
        file = self._folder / f"{state}.yaml"
        file.write_text(f"version: 1\n{manifest}\n", encoding="utf-8")
        hosts = self._folder / "hosts.yaml"
        if inventory:
            hosts = self._folder / f"{state}-hosts.yaml"
            hosts.write_text(f"version: 1\n{inventory}\n", encoding="utf-8")
        desired = resolve(load([str(file)], inventory=[str(hosts)]))
        files = local_files(desired)
        digests = await hash_files(files, None) if files else {}
        desired = with_digests(desired, lambda file: digests[file.path])
        settings = Settings(state_dir=str(self._folder / state), **self._settings)
        return Pass(
            desired, fingerprint(desired), settings, allowance=allowance, sources=(str(file),), reach=self._reach
        )

    def _reach(self, host: Host, settings: Settings) -> Client:
        client = connect(replace(host, url=self.moves.get(host.url, host.url)), settings)
        client.now = lambda: datetime.now(UTC) + timedelta(hours=self.hours)
        return client


def played(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs in a loop of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def outcomes(report: Report | None) -> dict[str, Outcome]:
    """How each step ended, by `action model`."""
    assert report is not None
    return {f"{each.step.action} {each.step.model}": each.outcome for each in report.results}


def codes(report: Report | None) -> dict[str, str]:
    """The codes of what failed, by model."""
    assert report is not None
    return {str(each.model): each.code.name for each in report.failures}


def begins(action: str, model: str) -> Callable[[Event], bool]:
    """Whether an event is the begin of that step."""
    return lambda event: isinstance(event, StepBegun) and (event.step.action, str(event.step.model)) == (action, model)
