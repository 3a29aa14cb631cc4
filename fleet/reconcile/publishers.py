"""From the inventory and the settings to somebody who asks registries, or nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fleet.manifest.item import Desired
from fleet.names import ModelName
from fleet.reconcile.steps.shared import Ask
from fleet.registry.served import Served
from fleet.settings import Settings

Publishers = Callable[[Desired, Settings], AbstractAsyncContextManager[Ask]]
"""How a pass comes to somebody who asks registries: `publishers`, over sockets, unless it is told another way."""


@asynccontextmanager
async def publishers(desired: Desired, settings: Settings) -> AsyncIterator[Ask]:
    """Asks each name once for as long as the block lasts; tells nothing of any where settings say so."""
    if not settings.ask_registries:
        yield _nobody
        return
    from fleet.reconcile.registries import registries_of  # noqa: PLC0415  # another HTTP client, wanted here alone

    async with registries_of(desired, settings) as asked:
        yield asked.served


async def _nobody(_: ModelName) -> Served | None:
    return None
