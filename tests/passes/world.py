"""One simulated host and one fleet that keeps it, in one process over real sockets: plays what happens, in order."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx2

from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.load import load
from fleet.manifest.local import local_files, with_digests
from fleet.names import HostName
from fleet.reconcile.plan import Allowance
from fleet.reconcile.progress import Event
from fleet.reconcile.report import Report
from fleet.reconcile.run import Pass, carry_out, make_plan
from fleet.reconcile.step import Plan
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.simulate import catalogue
from fleet.simulate.faults import Fault
from fleet.simulate.host import SimulatedHost
from fleet.simulate.image import ImageManifest
from fleet.simulate.scenario import OfferedModel, parse_scenario
from fleet.simulate.server import Simulation
from fleet.state.digests import Digests
from fleet.state.memory import Memory
from fleet.weights.hashing import hash_files
from tests.passes.happenings import (
    CONTENTS,
    ORIGIN,
    PUBLISHED,
    Apply,
    Declare,
    Entry,
    Foreign,
    Happening,
    Lose,
    Publish,
    Restart,
    Rewrite,
    source,
)
from tests.weights import making

HOST = HostName("alpha")
SIZE = 4096
WEIGHTS = (making.model(general__name="one"), making.model(general__name="two"))


def offered(content: int) -> OfferedModel:
    return OfferedModel.model_validate({"size": SIZE, "quantization": "F16", **CONTENTS[content]})


def published(name: str, content: int) -> frozenset[str]:
    """The digests that a host may list for what the registry has then."""
    raw = catalogue.build(name, offered(content)).manifest
    return frozenset(sha256(form).hexdigest() for form in (raw, ImageManifest.decoded(raw).encoded(newline=False)))


class World:
    """Running between `async with` and its end."""

    def __init__(self, folder: Path, version: str) -> None:
        self.version = version
        self.declared: dict[str, Entry] = {}
        self.contents = dict.fromkeys((*PUBLISHED, ORIGIN), 0)
        """What the registry has, by name."""
        self.borrowed: set[str] = set()
        """Names that are fleet's to drop: nobody else put them there."""
        self._folder = folder
        self._settings = Settings(
            state_dir=str(folder / "state"),
            retry_wait=0.0005,
            retry_tries=2,
            pull_tries=2,
            answer_deadline=5.0,
            silence=5.0,
            create_silence=5.0,
            unload_wait=2.0,
            poll_interval=0.01,
            grace=0.0,
        )
        self._simulation = Simulation(
            parse_scenario(f"ollama: {version}\nhosts: {{{HOST}: {{max_loaded: 20}}}}\nregistry: {{models: {{}}}}")
        )
        self._client = httpx2.AsyncClient(trust_env=False, verify=False)

    async def __aenter__(self) -> Self:
        for name in self.contents:
            self._publish(name, 0)
        await self._simulation.__aenter__()
        self._simulation.write_inventory(self._folder / "hosts.yaml")
        (self._folder / "style.gguf").write_bytes(making.adapter())
        self._rewrite(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        await self._simulation.__aexit__(None, None, None)

    @property
    def engine(self) -> SimulatedHost:
        return self._simulation.hosts[HOST].engine

    def listed(self) -> dict[str, str]:
        """What the host lists: digests by name."""
        return {str(name): stored.digest for name, stored, _ in self.engine.store.listed()}

    def changing(self) -> int:
        """Requests so far that change something on the host."""
        counters: Any = self._simulation.journal.counters([HOST])
        found: int = counters["total"]["changing"]
        return found

    async def happens(self, what: Happening) -> None:
        """One thing after the other; `Apply` is for `passes`."""
        match what:
            case Declare(name, None):
                self.declared.pop(name, None)
            case Declare(name, entry) if entry is not None and self._sound(name, entry):
                self.declared[name] = entry
            case Publish(name, content):
                self._publish(name, content)
            case Rewrite(content):
                self._rewrite(content)
            case Lose():
                # Whose a name is that a killed run left, nobody can tell any more.
                self.borrowed -= self.listed().keys()
                shutil.rmtree(self._folder / "state", ignore_errors=True)
            case Restart():
                self._simulation.hosts[HOST].restart()
            case Foreign():
                if what.name not in self._lent():
                    self.borrowed.discard(what.name)
                await self._foreign(what)

    async def passes(self, how: Apply = Apply()) -> Report | None:
        """A pass, with what goes wrong with it. Nothing comes back from one that was killed."""
        if ORIGIN not in self.listed():
            self.borrowed.add(ORIGIN)
        host = self._simulation.hosts[HOST]
        host.faults.replace([Fault.model_validate(fault) for fault in how.faults])
        try:
            work = await self._work()
            return await self._carried_out(work, await make_plan(work), how)
        finally:
            host.faults.replace([])

    async def plan(self) -> Plan:
        return await make_plan(await self._work())

    def _sound(self, name: str, entry: Entry) -> bool:
        """Nothing is made from what must be gone: such a manifest is refused as it is read."""
        declared = {**self.declared, name: entry}
        gone = {each for each, said in declared.items() if "absent" in said}
        return not any(source(said) in gone for said in declared.values())

    def _lent(self) -> set[str]:
        """Names that a pass has put there for a while, by its own record, and not taken away yet."""
        with Memory(self._settings.state_dir, "default") as memory:
            known = memory.remembered().hosts.get(HOST)
        return {str(name) for name in known.borrowed} if known is not None else set()

    async def _carried_out(self, work: Pass, plan: Plan, how: Apply) -> Report | None:
        stop = Stop()
        told = 0

        def hear(event: Event) -> None:
            nonlocal told
            del event  # how many there were is all that counts
            told += 1
            if told == how.stopped:
                stop.request()
            if told == how.killed:
                running.cancel()

        running = asyncio.ensure_future(carry_out(work, plan, stop, hear))
        with suppress(asyncio.CancelledError):
            return await running
        return None

    async def _work(self) -> Pass:
        """As the command does it."""
        models = {name: self._written(entry) for name, entry in self.declared.items()}
        manifest = self._folder / "manifest.yaml"
        manifest.write_text(json.dumps({"version": 1, "models": models}), encoding="utf-8")
        desired = resolve(load([str(manifest)], inventory=[str(self._folder / "hosts.yaml")]))
        files = local_files(desired)
        if files:
            with Digests(self._settings.state_dir) as cache:
                digests = await hash_files(files, cache)
            desired = with_digests(desired, lambda file: digests[file.path])
        everything = Allowance(max_deletes=99, emptied=frozenset({HOST}), shrunk=True)
        return Pass(desired, fingerprint(desired), self._settings, allowance=everything, sources=(str(manifest),))

    def _written(self, entry: Entry) -> Entry:
        """The entry with the digest that it pins."""
        pin = entry.get("pull", {}).get("pin")
        if pin is None:
            return entry
        raw = catalogue.build("p:1", offered(pin)).manifest
        return {**entry, "pull": {"pin": f"sha256:{sha256(raw).hexdigest()}"}}

    def _publish(self, name: str, content: int) -> None:
        self.contents[name] = content
        self._simulation.offer(name, offered(content))

    def _rewrite(self, content: int) -> None:
        self.weights = sha256(WEIGHTS[content]).hexdigest()
        (self._folder / "made.gguf").write_bytes(WEIGHTS[content])

    async def _foreign(self, what: Foreign) -> None:
        """What another client asks, in the words of the version. That it may fail is its own affair."""
        old = tuple(map(int, self.version.split("."))) < (0, 5, 5)
        ask: Mapping[str, tuple[str, str, dict[str, Any]]] = {
            "pull": ("POST", "pull", {"model": what.name}),
            "delete": ("DELETE", "delete", {"model": what.name}),
            "copy": ("POST", "copy", {"source": what.other, "destination": what.name}),
            "create": (
                "POST",
                "create",
                {"model": what.name, "modelfile": f"FROM {what.other}\nSYSTEM Foreign.\n"}
                if old
                else {"model": what.name, "from": what.other, "system": "Foreign."},
            ),
            "load": ("POST", "generate", {"model": what.name, "keep_alive": -1}),
        }
        if what.what == "break":
            self._simulation.hosts[HOST].break_model(what.name)
            return
        if what.what == "create" and not any(name.removesuffix(":latest") == what.other for name in self.listed()):
            return  # some versions destroy what is there then
        method, path, body = ask[what.what]
        url = f"{self._simulation.hosts[HOST].url}/api/{path}"
        await self._client.request(method, url, json={**body, "stream": False}, headers={"Connection": "close"})
