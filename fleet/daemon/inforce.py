"""Which manifests are in force: the newest that were good, whatever became of the source since (`reliability.md` D1, D13)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from fleet.codes import Code
from fleet.daemon.backoff import Clocks
from fleet.daemon.kept import kept_text, restored
from fleet.daemon.logs import PassLog
from fleet.daemon.source.reading import Snapshot
from fleet.daemon.source.source import Source, SourceUnreachable
from fleet.daemon.status import SourceState, SourceStatus
from fleet.errors import FleetError, InputError
from fleet.foreign import clean
from fleet.state.folder import StateError
from fleet.state.good import LastGood

_LONGEST = 4000


class InForce:
    """Lives in one event loop; one reading at a time."""

    def __init__(self, source: Source, good: LastGood, log: PassLog, clocks: Clocks, patience: float = 30.0) -> None:
        """`patience` is for how many seconds a pass waits for the source; what comes later counts for the next one."""
        self._source = source
        self.good = good
        self._log = log
        self._clocks = clocks
        self._patience = patience
        self._reading: asyncio.Task[None] | None = None
        self._mark = b""
        """Of all that is in force, secrets' places, labels and lock file too."""
        self._news = False
        """Whether what is in force changed since somebody asked."""
        self.late: Callable[[], None] = lambda: None
        """Is told where a reading that nobody waited for any more brought something new."""
        self.snapshot: Snapshot | None = None
        self.fault: FleetError | None = None
        """Why the last reading failed, if it did."""
        self.status = SourceStatus(SourceState.NONE, source.what)
        self.notes: tuple[str, ...] = ()

    def moved(self) -> None:
        """Somebody announced that the source moved."""
        self._source.moved()

    async def changes(self) -> AsyncGenerator[str, None]:
        """Words for triggers, whenever the source may have moved."""
        async with aclosing(self._source.changes()) as words:
            async for word in words:
                yield word

    def concerns(self, ref: str) -> bool:
        """Whether a push to this ref can change anything here."""
        return self._source.concerns(ref)

    def restore(self) -> None:
        """What was good when the daemon ran last. Raises nothing: what is damaged is none."""
        try:
            kept = self.good.read()
            if kept is None:
                return
            text, revision, at = kept
            self.snapshot, self._mark = restored(text, revision), _mark(text)
        except (FleetError, ValueError) as error:
            self.notes = (f"the last good manifests could not be taken up again: {clean(str(error))}",)
            return
        self.status = replace(self.status, revision=revision, since=at)

    async def read(self) -> bool:
        """Reads the source anew; whether something else is in force than before. Never raises for what is wrong there,
        but `StateError`.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        # Who asks while it ends begins another one.
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=self._patience)
        if not done:
            self._put(SourceState.UNREACHABLE, "it is still being read", self.status.revision)
            reading.add_done_callback(self._came_late)
            return False
        reading.result()
        news, self._news = self._news, False
        return news

    def _came_late(self, reading: asyncio.Task[None]) -> None:
        if not reading.cancelled() and reading.exception() is None and self._news:
            self.late()

    async def _read(self) -> None:
        before = self.snapshot
        try:
            found = await self._source.look()
        except SourceUnreachable as error:
            self.fault = error
            self._put(SourceState.UNREACHABLE, str(error), self.status.revision)
            return
        except FleetError as error:
            self.fault = error
            self._put(SourceState.BROKEN, str(error), self.status.revision)
            return
        if before is not None and before.desired.name != found.desired.name:
            # Lock, record and socket go by the name: another one is another fleet.
            self.fault = InputError(
                f"the fleet is called `{found.desired.name}` now, and was `{before.desired.name}`",
                code=Code.MANIFEST_WRONG,
                hint="restart the daemon, if that is meant: it is another fleet, with a record of its own",
            )
            self._put(SourceState.BROKEN, str(self.fault), self.status.revision)
            return
        self.fault = None
        self.notes = found.notes
        if before is not None and before.desired is found.desired and before.revision == found.revision:
            self._put(SourceState.GOOD, "", found.revision)
            return
        text, mark = await asyncio.to_thread(_kept, found)
        self._put(SourceState.GOOD, "", found.revision)
        if before is not None and mark == self._mark and before.revision == found.revision:
            return
        self._news = self._news or before is None or mark != self._mark
        self.snapshot, self._mark = found, mark
        try:
            await asyncio.to_thread(self.good.keep, text, found.revision, self._clocks.now())
        except StateError as error:
            self.notes = (*self.notes, str(error))

    def _put(self, state: SourceState, message: str, revision: str) -> None:
        same = self.status.state is state and self.status.message == message and self.status.revision == revision
        since: datetime | None = self.status.since if same else self._clocks.now()
        message = "\n".join(clean(line, limit=500) for line in message[:_LONGEST].splitlines())
        status = SourceStatus(state, self._source.what, revision, since, message)
        if status != self.status:
            self.status = status
            self._log.source_changed(status)


def _kept(found: Snapshot) -> tuple[str, bytes]:
    text = kept_text(found)
    return text, _mark(text)


def _mark(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
