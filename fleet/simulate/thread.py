"""A simulation beside the program that uses it: served by a thread with a loop of its own, for as long as a block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.simulate.scenario import Scenario
from fleet.simulate.server import Simulation


@contextmanager
def simulated(scenario: Scenario) -> Iterator[Simulation]:
    """Serves on ports that the system chooses. Raises what the simulation's start raises."""
    simulation = Simulation(scenario)
    loop = asyncio.new_event_loop()
    begun, end = threading.Event(), asyncio.Event()
    failed: list[BaseException] = []

    async def serve() -> None:
        try:
            async with simulation:
                begun.set()
                await end.wait()
        except BaseException as error:  # whatever it is, the block that waits has to learn of it
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="simulation", daemon=True)
    thread.start()
    begun.wait()
    try:
        if failed:
            raise failed[0]
        yield simulation
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
