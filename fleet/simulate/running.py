"""One simulated host while it runs: its engine, what goes wrong with it, and its port."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet.simulate.faults import FaultSet, matches
from fleet.simulate.host import SimulatedHost


class Port(Protocol):
    """Where an application is reached: on sockets or in memory."""

    port: int

    @property
    def is_open(self) -> bool: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def pause(self) -> None: ...

    def drop_connections(self) -> None: ...


@dataclass(slots=True)
class RunningHost:
    """A host of a running simulation. `listener` is given to it once the layers before it are made."""

    name: str
    engine: SimulatedHost
    faults: FaultSet
    labels: dict[str, str]
    listener: Port = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}"

    @property
    def is_up(self) -> bool:
        return self.listener.is_open

    async def down(self) -> None:
        """Closes the port: connections are refused until `up`."""
        await self.listener.pause()

    async def up(self) -> None:
        await self.listener.open()

    def restart(self, *, idle: float = 0.0, dropping: bool = True) -> None:
        """What a restart of the server does: connections break, runners go, the store is pruned by version.

        `idle` is for how many seconds it was down. Connections that come after it are not broken (`dropping` false).
        """
        if dropping:
            self.listener.drop_connections()
        self.engine.restart(idle)

    def lose(self, digest: str) -> None:
        """Takes a blob away, if it is there."""
        self.engine.lose(digest.replace("-", ":", 1))

    def break_model(self, name: str) -> None:
        """Takes a model's weights away. Nothing happens where there is no such model."""
        with suppress(FileNotFoundError):
            self.engine.break_model(name)

    def evict(self, pattern: str) -> None:
        """Ends the runners of models whose names fit a glob."""
        for name in self.state()["models"]:
            if matches(pattern, name):
                self.engine.evict(name)

    def state(self) -> dict[str, Any]:
        """What the engine holds and what stands against it, as JSON values."""
        return {"url": self.url, "up": self.is_up, "faults": self.faults.state(), **self.engine.state()}
