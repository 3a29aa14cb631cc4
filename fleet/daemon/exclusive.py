"""The fleet's lock, held while hosts are worked on: a one-shot of the same fleet gets its turn between two passes."""

from __future__ import annotations

import asyncio

from fleet.state.lock import RunLock


class Exclusive:
    """Lives in one event loop; taking it again while it is held is nothing."""

    def __init__(self, folder: str, name: str, patience: float = 1.0) -> None:
        """`patience` is for how many seconds another run is waited for."""
        self._folder = folder
        self._name = name
        self._patience = patience
        self._held: RunLock | None = None

    async def take(self) -> None:
        """Raises `LockError`, which names who has it, and `StateError`."""
        if self._held is None:
            lock = RunLock(self._folder, self._name, self._patience)
            await asyncio.to_thread(lock.__enter__)
            self._held = lock

    async def release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(None, None, None)
