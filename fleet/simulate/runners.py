"""Models in memory: one runner per weights, how long each stays, and which go when there is no room (`ollama-api.md` 11, 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.simulate.gotext import FOREVER
from fleet.simulate.hosttime import Time
from fleet.simulate.installed import Installed
from fleet.simulate.options import RunnerOptions
from fleet.simulate.versions import Behaviour, Capability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_GIBI = 1 << 30
_SECOND = 10**9


class BusyError(Exception):
    """The queue is full."""

    def __init__(self) -> None:
        super().__init__("server busy, please try again.  maximum pending requests exceeded")


class MemoryShortError(Exception):
    """The model fits into no memory there is. The text is the server's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a host can hold, and how fast. Sizes in bytes, times in seconds."""

    memory: int | None = None
    max_loaded: int = 3
    max_queue: int = 512
    keep_alive: float = 300.0
    load_seconds: float = 0.0
    load_rate: float | None = None
    unload_seconds: float = 0.05


@dataclass(slots=True, eq=False)
class Runner:
    """One loaded model, under the name that loaded it first."""

    model: Installed
    options: RunnerOptions
    shift: bool
    context: int
    size: int
    session: int
    """How long it stays when idle, in nanoseconds."""
    loading: bool = True
    active: int = 1
    expires: int | None = None
    deadline: float | None = None
    gone_at: float | None = None
    """When it will have left; until then it is listed, but of no use."""
    vram: int | None = None
    """Bytes on a GPU, where another machine told them; else as the host's memory says."""
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Runners:
    """The runners of a host. Requests are placed one after the other."""

    def __init__(self, behaviour: Behaviour, limits: Limits, time: Time) -> None:
        self._behaviour = behaviour
        self.limits = limits
        self._time = time
        self._loaded: dict[str, Runner] = {}
        self._placing = asyncio.Lock()
        self._waiting = 0
        self.loads = 0
        self.unloads = 0

    @asynccontextmanager
    async def use(
        self, model: Installed, options: RunnerOptions, *, size: int, session: int | None, shift: bool = True
    ) -> AsyncIterator[Runner]:
        """A runner for the model, loaded if need be, busy until the block is left.

        `size` is that of the weights; `session` in nanoseconds, none for what is set already.
        Raises `BusyError`, `MemoryShortError`.
        """
        if self._waiting >= self.limits.max_queue:
            raise BusyError
        self._waiting += 1
        try:
            async with self._placing:
                runner = await self._placed(model, options, size, session, shift=shift)
        finally:
            self._waiting -= 1
        try:
            yield runner
        finally:
            self._release(runner)

    async def _placed(
        self, model: Installed, options: RunnerOptions, size: int, session: int | None, *, shift: bool
    ) -> Runner:
        context = self._context(model, options)
        needed = size + _cache_size(model, context)
        while True:
            self._sweep()
            runner = self._loaded.get(model.runner_key)
            if (
                runner
                and runner.gone_at is None
                and not self._reload_needed(runner, model, options, context, shift=shift)
            ):
                runner.active += 1
                runner.deadline = None
                runner.session = runner.session if session is None else session
                return runner
            in_the_way = runner or self._in_the_way(needed)
            if in_the_way is None:
                break
            await self._make_leave(in_the_way)
        default = FOREVER if self.limits.keep_alive < 0 else int(self.limits.keep_alive * _SECOND)
        runner = Runner(model, options, shift, context, needed, default if session is None else session)
        await self._load(runner, size)
        return runner

    async def _load(self, runner: Runner, size: int) -> None:
        key = runner.model.runner_key
        self._loaded[key] = runner
        seconds = self.limits.load_seconds + (size / self.limits.load_rate if self.limits.load_rate else 0.0)
        try:
            if seconds:
                await self._time.sleep(seconds)
        except BaseException:
            self._loaded.pop(key, None)
            raise
        runner.loading = False
        self.loads += 1

    def _release(self, runner: Runner) -> None:
        runner.active -= 1
        runner.released.set()
        if runner.active or self._loaded.get(runner.model.runner_key) is not runner:
            return
        if runner.session <= 0:
            self._leave(runner)
            return
        runner.expires = self._time.wall() + runner.session
        runner.deadline = None if runner.session >= FOREVER else self._time.steady() + runner.session / _SECOND

    def hold(self, model: Installed, options: RunnerOptions, *, size: int, vram: int, seconds: float | None) -> None:
        """Puts a model into memory that was loaded on another machine. It stays for so many seconds, or for ever."""
        session = FOREVER if seconds is None else max(1, int(seconds * _SECOND))
        runner = Runner(model, options, True, options.context, size, session, loading=False, active=0, vram=vram)
        runner.expires = self._time.wall() + session if session < FOREVER else None
        runner.deadline = None if seconds is None else self._time.steady() + seconds
        self._loaded[model.runner_key] = runner

    def expire(self, model: Installed) -> None:
        """Lets the runner of these weights go as soon as it is idle."""
        self._sweep()
        runner = self._loaded.get(model.runner_key)
        if runner and runner.gone_at is None:
            runner.session = 0
            runner.expires = self._time.wall()
            if not runner.active:
                self._leave(runner)

    def evict(self, runner_key: str) -> bool:
        """Takes a runner away at once, as if it had crashed."""
        return self._loaded.pop(runner_key, None) is not None

    def clear(self) -> None:
        self._loaded.clear()

    def _leave(self, runner: Runner) -> None:
        self.unloads += 1
        runner.gone_at = self._time.steady() + self.limits.unload_seconds

    async def _make_leave(self, runner: Runner) -> None:
        """Waits until the runner is idle and gone."""
        runner.session = 0
        while runner.active:
            runner.released.clear()
            await runner.released.wait()
        if runner.gone_at is None:
            self._leave(runner)
        if runner.gone_at is not None and (rest := runner.gone_at - self._time.steady()) > 0:
            await self._time.sleep(rest)
        if self._loaded.get(runner.model.runner_key) is runner:
            del self._loaded[runner.model.runner_key]

    def _in_the_way(self, needed: int) -> Runner | None:
        """The runner that must go before one of this size fits. Raises `MemoryShortError`."""
        memory = self.limits.memory
        if memory is not None and needed > memory:
            raise MemoryShortError(
                f"model requires more system memory ({_bytes(needed)}) than is available ({_bytes(memory)})"
            )
        held = sum(runner.size for runner in self._loaded.values())
        crowded = bool(self.limits.max_loaded) and len(self._loaded) >= self.limits.max_loaded
        if not crowded and (memory is None or held + needed <= memory):
            return None
        return min(self._loaded.values(), key=lambda runner: (runner.active > 0, runner.session))

    def _reload_needed(
        self, runner: Runner, model: Installed, options: RunnerOptions, context: int, *, shift: bool
    ) -> bool:
        if runner.model.adapters != model.adapters or runner.model.projectors != model.projectors:
            return True
        if self._behaviour.has(Capability.CONTEXT_SHIFT) and runner.shift != shift:
            return True
        ours, theirs = dict(runner.options.values), dict(options.values)
        if self._behaviour.has(Capability.AUTOMATIC_OPTIONS_FLOAT):
            ours["num_ctx"], theirs["num_ctx"] = runner.context, context
            for key in runner.options.automatic & options.automatic:
                theirs[key] = ours[key]
        if theirs["num_gpu"] < 0:
            theirs["num_gpu"] = ours["num_gpu"]
        return ours != theirs

    def _context(self, model: Installed, options: RunnerOptions) -> int:
        context = options.context
        trained = model.header.context_length if model.header else 0
        if self._behaviour.has(Capability.VISION_CONTEXT) and model.projectors:
            context = max(context, 2048)
        return min(context, trained) if trained and self._behaviour.has(Capability.CONTEXT_IS_EFFECTIVE) else context

    def _sweep(self) -> None:
        """Lets go what has run out of time, and forgets what has left."""
        now = self._time.steady()
        for key, runner in list(self._loaded.items()):
            if runner.gone_at is None and not runner.active and runner.deadline is not None and runner.deadline <= now:
                self.unloads += 1
                runner.gone_at = runner.deadline + self.limits.unload_seconds
            if runner.gone_at is not None and runner.gone_at <= now:
                del self._loaded[key]

    def listed(self) -> Iterator[Runner]:
        """What ps shows, the longest staying first."""
        self._sweep()
        runners = [runner for runner in self._loaded.values() if self._visible(runner)]
        yield from sorted(runners, key=lambda runner: -(self.expiry(runner) // _SECOND))

    def _visible(self, runner: Runner) -> bool:
        if runner.loading and self._behaviour.has(Capability.PS_HIDES_LOADING):
            return False
        return runner.gone_at is None or not self._behaviour.has(Capability.PS_WAITS)

    def expiry(self, runner: Runner) -> int:
        """Nanoseconds since 1970; of a runner that has not been idle yet, reckoned from now."""
        return self._time.wall() + runner.session if runner.expires is None else runner.expires


def _cache_size(model: Installed, context: int) -> int:
    """Bytes of the key-value cache at 16 bits, as far as the header tells the model's dimensions."""
    header = model.header
    if header is None:
        return 0

    def number(key: str, default: int) -> int:
        found = header.get(key)
        return found if isinstance(found, int) and found > 0 else default

    width = number("embedding_length", 0)
    heads = number("attention.head_count", 1)
    shared = number("attention.head_count_kv", heads)
    return 2 * 2 * number("block_count", 0) * width * shared // heads * context


def _bytes(size: int) -> str:
    return f"{size / _GIBI:.1f} GiB" if size >= _GIBI else f"{size / (1 << 20):.1f} MiB"
