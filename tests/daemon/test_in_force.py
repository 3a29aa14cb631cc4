"""Which manifests are in force, when several ask at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from fleet.daemon.inforce import InForce
from fleet.daemon.source.source import SourceUnreachable


def test_a_reading_that_begins_while_another_one_ends_disturbs_nobody() -> None:
    readings: list[asyncio.Task[bool]] = []

    class Moving:
        """At the end of its first reading somebody asks once more."""

        what = "a folder"

        async def look(self) -> Any:
            await asyncio.sleep(0)
            if len(readings) == 1:
                readings.append(asyncio.create_task(in_force.read()))
            raise SourceUnreachable("it is being written")

    heard: list[Any] = []
    log: Any = SimpleNamespace(source_changed=heard.append)
    clocks: Any = SimpleNamespace(now=lambda: datetime.now(UTC))
    source: Any = Moving()
    in_force = InForce(source, good=None, log=log, clocks=clocks)  # type: ignore[arg-type]  # nothing good is kept here

    async def scene() -> list[bool]:
        readings.append(asyncio.create_task(in_force.read()))
        await readings[0]
        return [await reading for reading in readings]

    assert asyncio.run(scene()) == [False, False]
    assert [status.message for status in heard] == ["it is being written"]
