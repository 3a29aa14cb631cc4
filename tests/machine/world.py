"""A fleet of simulated hosts in this process and in virtual time, and the fleet that keeps them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from fleet.endpoint import Endpoint
from fleet.errors import ExitCode, FleetError
from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.inventory import Host
from fleet.manifest.item import Desired
from fleet.manifest.load import load
from fleet.manifest.local import local_files, with_digests
from fleet.names import ModelName
from fleet.ollama.client import Client
from fleet.ollama.limits import Retries
from fleet.reconcile.connection import limits
from fleet.reconcile.plan import Allowance
from fleet.reconcile.report import Report, exit_code
from fleet.reconcile.run import Company, Pass, carry_out_with, make_plan
from fleet.reconcile.saved import SavedArguments, match, read, save
from fleet.reconcile.step import Plan
from fleet.reconcile.steps.shared import Ask
from fleet.reconcile.steps.uploads import Uploads
from fleet.reconcile.stop import Stop
from fleet.registry.addresses import addresses
from fleet.registry.client import Registries
from fleet.registry.served import Served
from fleet.settings import Settings
from fleet.simulate import catalogue
from fleet.simulate.clock import Clock
from fleet.simulate.faults import Fault
from fleet.simulate.image import ImageManifest
from fleet.simulate.memory import ask
from fleet.simulate.replies import tags
from fleet.simulate.running import RunningHost
from fleet.simulate.scenario import OfferedModel, parse_scenario
from fleet.simulate.server import Simulation
from fleet.simulate.virtual import VirtualLoop
from fleet.state.digests import Digests
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from fleet.weights.hashing import hash_files
from tests.machine.declared import CONTENTS, FILES, ORIGIN, PULLED, STRANGERS, Entry
from tests.machine.line import Life, Line, MortalMemory
from tests.machine.spelled import full
from tests.machine.violations import Violation
from tests.machine.watching import Eyes, Network, Operation
from tests.weights import making

T = TypeVar("T")

LONGEST = 8 * 3600.0
"""Virtual seconds that one run may take, whatever happens: all limits of fleet's together are shorter."""
SIZE = 4096
WEIGHTS = (making.model(general__name="one"), making.model(general__name="two"))
_FAST = Path("/dev/shm")
_FIRST_PORT = 40_000


@dataclass(frozen=True)
class LoopClock(Clock):
    """The time of one loop, also asked between its runs."""

    loop: VirtualLoop | None = None

    def now(self) -> float:
        assert self.loop is not None
        return self.loop.time()


@dataclass(slots=True)
class Ran:
    """How one run of the command ended. Nothing is told by one that was killed or refused its manifests."""

    plan: Plan | None = None
    report: Report | None = None
    code: ExitCode | None = None
    refused: FleetError | None = None
    life: Life = field(default_factory=Life)


@lru_cache(maxsize=64)
def offered(content: int) -> OfferedModel:
    return OfferedModel.model_validate({"size": SIZE, "quantization": "F16", **CONTENTS[content]})


@lru_cache(maxsize=64)
def published(content: int) -> frozenset[str]:
    """The digests that a host may list for what the registry has then; the same whatever the name."""
    raw = catalogue.build("p:1", offered(content)).manifest
    return frozenset(
        hashlib.sha256(form).hexdigest() for form in (raw, ImageManifest.decoded(raw).encoded(newline=False))
    )


class World:
    """Made and ended in one thread; `close` it."""

    def __init__(self, versions: Mapping[str, str], *, lingering: bool = False, asks: bool = True) -> None:
        """`lingering`: hosts go on with what was left; `asks`: whether fleet asks registries."""
        self.versions = dict(versions)
        self.loop = VirtualLoop()
        base = _FAST if _FAST.is_dir() else Path(tempfile.gettempdir())
        self.folder = Path(tempfile.mkdtemp(prefix="fleet-machine-", dir=base))
        self.declared: dict[str, Entry] = {}
        """By name as it is spelled in the manifest."""
        self.policy: dict[str, Any] = {}
        self.broken = False
        """Whether the manifest is none at the moment."""
        self.contents = dict.fromkeys((*PULLED, ORIGIN), 0)
        """What the registry has, by name."""
        self.weights = 0
        self.eyes = Eyes(self.holds, self.twice, self._before, self._over, self.loop.time, lingering=lingering)
        self.watchers: list[Callable[[Operation], None]] = []
        """Called when a host is done with something that fleet asked for."""
        self.sentries: list[Callable[[Operation], None]] = []
        """Called before."""
        self.base = datetime.now(UTC)
        self.skew = timedelta()
        """By how much this machine's wall clock is wrong."""
        self._network = Network(self.eyes)
        hosts = {name: {"version": version, "max_loaded": 20} for name, version in self.versions.items()}
        self._simulation = Simulation(
            parse_scenario(json.dumps({"hosts": hosts, "registry": {"models": {}, "bandwidth": "16KiB"}})),
            network=self._network,
            clock=LoopClock(loop=self.loop),
        )
        self.run(self._open())
        self.settings = Settings(state_dir=str(self.folder / "state"), ask_registries=asks)

    async def _open(self) -> None:
        for name, host in self._simulation.hosts.items():
            self._network.called[host.listener.port] = name
        for name in self.contents:
            self._simulation.offer(name, offered(0))
        await self._simulation.__aenter__()
        self._simulation.write_inventory(self.folder / "hosts.yaml")
        self._inventory = yaml.safe_load((self.folder / "hosts.yaml").read_text(encoding="utf-8"))
        self._write_weights()
        for known in self.versions:
            for name, content in STRANGERS.items():
                self._simulation.seed(known, name, offered(content))

    def close(self) -> None:
        try:
            self.run(self._simulation.__aexit__(None, None, None))
            for _ in range(3):
                left = asyncio.all_tasks(self.loop)
                for task in left:
                    task.cancel()
                if left:
                    self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # What happens to hosts and to what is declared.

    def host(self, name: str) -> RunningHost:
        return self._simulation.hosts[name]

    def publish(self, name: str, content: int) -> None:
        self.contents[name] = content
        self._simulation.offer(name, offered(content))

    def rewrite(self, number: int) -> None:
        self.weights = number
        self._write_weights()

    def _write_weights(self) -> None:
        path = self.folder / FILES[0]
        path.unlink(missing_ok=True)
        path.write_bytes(WEIGHTS[self.weights])

    def fault(self, host: str, faults: Sequence[Mapping[str, Any]]) -> None:
        self.host(host).faults.replace([Fault.model_validate(fault) for fault in faults])

    def registry_fault(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self._simulation.registry_faults.replace([Fault.model_validate(fault) for fault in faults])

    def passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def restart(self, host: str) -> None:
        async def restarted() -> None:
            self.host(host).restart()
            self.eyes.settle(host)

        self.run(restarted())

    def down(self, host: str, *, up: bool) -> None:
        self.run(self.host(host).up() if up else self.host(host).down())

    async def foreign(self, host: str, what: str, name: str, other: str = "") -> None:
        """What another client asks. That it may fail is its own affair."""
        self.eyes.looks()
        engine = self.host(host).engine
        old = tuple(map(int, self.versions[host].split("."))) < (0, 5, 5)
        if what == "publish":
            self.publish(name, int(other))
            return
        if what == "break":
            self.host(host).break_model(name)
            return
        if what == "create" and self.holds(host, full(other)) is None:
            return  # some versions destroy what is there then
        asked: Mapping[str, tuple[str, str, dict[str, Any]]] = {
            "pull": ("POST", "pull", {"model": name}),
            "delete": ("DELETE", "delete", {"model": name}),
            "copy": ("POST", "copy", {"source": other, "destination": name}),
            "create": (
                "POST",
                "create",
                {"model": name, "modelfile": f"FROM {other}\nSYSTEM Foreign.\n"}
                if old
                else {"model": name, "from": other, "system": "Foreign."},
            ),
            "load": ("POST", "generate", {"model": name, "keep_alive": -1}),
        }
        method, path, body = asked[what]
        await ask(engine, method, f"/api/{path}", {**body, "stream": False})

    # What hosts hold, as they know it themselves.

    def listed(self, host: str) -> dict[str, str]:
        """Digests by full name."""
        return {full(str(name)): stored.digest for name, stored, _ in self.host(host).engine.store.listed()}

    def told(self, host: str) -> set[str]:
        """Full names that the host lists to others: newer versions leave out those whose config or texts are not there."""
        return {full(entry["name"]) for entry in tags(self.host(host).engine.store, UTC)}

    def holds(self, host: str, name: str) -> str | None:
        return self.listed(host).get(name)

    def twice(self, host: str, name: str) -> bool:
        """Whether another name on the host has the same content."""
        listed = self.listed(host)
        return name in listed and list(listed.values()).count(listed[name]) > 1

    def usable(self, host: str) -> dict[str, str]:
        """As `listed`, of the models whose blobs are all there."""
        store = self.host(host).engine.store
        return {
            full(str(name)): stored.digest
            for name, stored, manifest in store.listed()
            if all(store.blobs.find(layer.digest) is not None for layer in manifest.all_layers)
        }

    def damaged(self, host: str) -> list[str]:
        """Full names of models with a blob that is not what its name says: most versions list them no more, and no pull
        mends them.

        A download that got a registry's error page in place of its bytes, and whose pull ended before it was verified,
        counts as there from then on.
        """
        store = self.host(host).engine.store
        wrong = {
            digest
            for digest, blob in store.blobs
            if f"sha256:{hashlib.sha256(blob.content.read(0, blob.content.size)).hexdigest()}" != digest
        }
        return [
            full(str(name))
            for name, _, manifest in store.listed()
            if any(layer.digest in wrong for layer in manifest.all_layers)
        ]

    def in_memory(self, host: str) -> set[str]:
        """Digests of weights that a runner has and keeps, as far as anybody can tell: of one that was loaded as something
        that no name holds any more, no server says what weights those are.
        """
        known = set(self.listed(host).values())
        runners = self.host(host).engine.runners.listed()
        return {each.model.model for each in runners if each.gone_at is None and each.model.digest in known}

    def layers(self, host: str, name: str) -> dict[str, list[str]]:
        """Digests of a model's layers by kind."""
        store = self.host(host).engine.store
        stored = next(each for each in store.names() if full(str(each)) == name)
        _, manifest = store.get(stored)
        found: dict[str, list[str]] = {}
        for layer in manifest.layers or ():
            found.setdefault(layer.kind, []).append(layer.digest)
        return found

    def text(self, host: str, digest: str) -> str:
        content = self.host(host).engine.store.blobs.find(digest)
        return "" if content is None else content.read(0, content.size).decode()

    # What fleet does.

    def desired(self) -> Desired:
        """As the command reads it. Raises `FleetError` for manifests that are wrong."""
        manifest = self.folder / "manifest.yaml"
        models = {name: _written(entry) for name, entry in self.declared.items()}
        text = "models: {" if self.broken else json.dumps({"version": 1, "models": models})
        manifest.write_text(text, encoding="utf-8")
        inventory = self.folder / "hosts.yaml"
        inventory.write_text(json.dumps({**self._inventory, "policy": self.policy}), encoding="utf-8")
        desired = resolve(load([str(manifest)], inventory=[str(inventory)]))
        files = local_files(desired)
        if files:
            with Digests(self.settings.state_dir) as cache:
                digests = asyncio.run(hash_files(files, cache))
            desired = with_digests(desired, lambda file: digests[file.path])
        return desired

    def remembered(self) -> Remembered:
        with Memory(self.settings.state_dir, "default") as memory:
            return memory.remembered()

    def forget(self) -> None:
        """What fleet remembers is lost."""
        shutil.rmtree(self.settings.state_dir, ignore_errors=True)

    def plan(self, allowance: Allowance, *, path: Path | None = None) -> Ran:
        """`fleet plan`, also kept in a file."""
        return self._ran(Life(), allowance, None, path, carry=False)

    def apply(self, allowance: Allowance, life: Life | None = None, *, saved: Path | None = None) -> Ran:
        """`fleet apply`, of a saved plan if one is given."""
        return self._ran(life or Life(), allowance, saved, None, carry=True)

    def _ran(self, life: Life, allowance: Allowance, saved: Path | None, path: Path | None, *, carry: bool) -> Ran:
        ran = Ran(life=life)
        self.eyes.run += 1
        self.eyes.history.clear()
        try:
            desired = self.desired()
        except FleetError as error:
            ran.refused = error
            return ran
        work = Pass(
            desired,
            fingerprint(desired),
            self.settings,
            allowance=allowance,
            sources=(str(self.folder / "manifest.yaml"),),
            reach=lambda host, settings: self._reached(host, settings, life),
            publishers=self._publishers,
        )
        self.run(self._watched(work, ran, life, saved, path, carry=carry))
        return ran

    async def _watched(
        self, work: Pass, ran: Ran, life: Life, saved: Path | None, path: Path | None, *, carry: bool
    ) -> None:
        stop = Stop()
        life.stop = stop.request
        life.set_clock = self._set_back
        running = asyncio.ensure_future(self._passed(work, ran, life, stop, saved, path, carry=carry))
        life.work = running
        done, _ = await asyncio.wait({running}, timeout=LONGEST)
        if self.skew:
            # Put forward again by days: for all that anybody can know, what was left before is long over.
            for host in self.versions:
                self.eyes.settle(host)
        self.skew = timedelta()
        if not done:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise Violation("E10", f"a run was not over after {LONGEST / 3600:g} hours")
        if life.dead:
            with suppress(BaseException):
                await running
            ran.report, ran.code = None, None
            return
        try:
            await running
        except FleetError as error:
            ran.refused = error

    async def _passed(
        self, work: Pass, ran: Ran, life: Life, stop: Stop, saved: Path | None, path: Path | None, *, carry: bool
    ) -> None:
        ran.plan = await make_plan(work)
        if path is not None:
            save(ran.plan, SavedArguments(), str(path))
        if not carry:
            return
        if saved is not None:
            ran.plan = match(read(str(saved)), ran.plan)
        with MortalMemory(work.settings.state_dir, work.desired.name, life) as memory:
            async with work.publishers(work.desired, work.settings) as asked:
                uploads = Uploads(work.settings.uploads, Digests(work.settings.state_dir))
                company = Company(memory, uploads, asked)
                ran.report = await carry_out_with(work, ran.plan, stop, lambda _: None, company)
        ran.code = exit_code(ran.report, applied=True)

    def _reached(self, host: Host, settings: Settings, life: Life) -> Client:
        return Client(
            Endpoint.parse(host.url),
            limits=limits(settings),
            retries=Retries(tries=settings.retry_tries, first=settings.retry_wait),
            transport=Line(self._network, life),
            clock=self.loop.time,
            now=self.now,
        )

    def _set_back(self) -> None:
        self.skew -= timedelta(days=2)

    def now(self) -> datetime:
        return self.base + timedelta(seconds=self.loop.time()) + self.skew

    @asynccontextmanager
    async def _publishers(self, desired: Desired, settings: Settings) -> AsyncIterator[Ask]:
        if not settings.ask_registries:
            yield _nobody
            return
        declared = desired.registries
        async with Registries(
            addresses(declared or {}), closed=declared is not None, transport=self._network, clock=self.loop.time
        ) as registries:
            yield registries.served

    def _before(self, operation: Operation) -> None:
        for sentry in self.sentries:
            sentry(operation)

    def _over(self, operation: Operation) -> None:
        for watcher in self.watchers:
            watcher(operation)


async def _nobody(_: ModelName) -> Served | None:
    return None


def _written(entry: Entry) -> Entry:
    """The entry with the digest that it pins."""
    pin = entry.get("pull", {}).get("pin")
    if pin is None:
        return entry
    raw = catalogue.build("p:1", offered(pin)).manifest
    return {**entry, "pull": {"pin": f"sha256:{hashlib.sha256(raw).hexdigest()}"}}
