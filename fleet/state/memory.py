"""What one fleet remembers from pass to pass: read once, kept in step with what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fleet.names import HostName, ModelName
from fleet.state.damage import Damaged
from fleet.state.evidence import Begun, Checked, Evidence, Made, Pushed
from fleet.state.folder import StateError, unusable
from fleet.state.former import former_path, read_former, set_former_aside
from fleet.state.opened import Opened
from fleet.state.remembered import HostRemembered, OptionValues, Remembered
from fleet.state.rows import FLEET, Rows, remembered_of, rows_of_fleet, rows_of_host
from fleet.state.tables import Mark, mark, read, write

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

__all__ = ["Memory", "StateError"]  # whoever uses a memory catches its error

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    """The rows as they are in the file, and what they mean. Neither is ever changed in place."""

    mark: Mark | None = None
    """Nothing as long as the file has no row of this fleet."""
    rows: dict[str, Rows] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=Remembered)


class Memory(Opened):
    """Of the fleet called `name`. Reading makes nothing on disk; the first write makes the folder private and the file.

    Every writer has its row on disk when it returns, whatever happens to the process or the machine afterwards, but for
    those that say otherwise.
    All of them raise `StateError`; what was recorded before is still there then. To be used by one thread at a time.
    """

    def __init__(self, folder: str, name: str) -> None:
        from fleet.state.database import Database  # noqa: PLC0415  # the library is loaded by what remembers alone

        self._database = Database(Path(folder))
        self._former = former_path(Path(folder), name)
        self._name = name
        self._kept: _Kept | None = None
        self._notes: tuple[str, ...] = ()
        self._former_seen = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Whole sentences for the person in front: a file that could not be read, or was set aside."""
        return self._notes + self._database.notes

    def remembered(self) -> Remembered:
        """What passes left; nothing at all where there was none, or, with a note, where the file is damaged.

        Raises `StateError` for a file of a newer fleet, one that may be whole and cannot be read, and a folder that is
        not private.
        """
        if self._kept is None:
            try:
                with self._database.reading() as connection:
                    self._kept = self._read(connection)
            except Damaged as damage:
                told = f"what fleet remembered is damaged ({damage}): {self._database.path}"
                self._notes += (f"{told} is not used; the next run that changes something sets it aside",)
                self._kept = _Kept(remembered=read_former(self._former))
        return self._kept.remembered

    def refresh(self) -> bool:
        """Reads anew where another process wrote since; whether one did. Raises `StateError`."""
        if self._kept is None:
            return False
        try:
            with self._database.reading() as connection:
                if connection is None or mark(connection, self._name) == self._kept.mark:
                    return False
        except Damaged:
            return False
        self._kept = None
        self.remembered()
        return True

    def record(self, remembered: Remembered) -> None:
        """Keeps all of it in place of what was there; writes what differs alone."""
        self._keep(lambda _: remembered)

    def keep_evidence(self, host: HostName, url: str, model: ModelName, evidence: Evidence) -> None:
        """How a created model came about. Like all that follows: a host at another address starts anew with it."""
        self._on_host(host, url, lambda h: replace(h, evidence={**h.evidence, model: evidence}))

    def forget_evidence(self, host: HostName, model: ModelName) -> None:
        self._on_known(host, lambda h: replace(h, evidence=_without(h.evidence, model)))

    def keep_checked(self, host: HostName, url: str, model: ModelName, checked: Checked) -> None:
        self._on_host(host, url, lambda h: replace(h, checked={**h.checked, model: checked}))

    def keep_pushed(self, model: ModelName, pushed: Pushed) -> None:
        self._keep(lambda known: replace(known, pushed={**known.pushed, model: pushed}))

    def borrow(self, host: HostName, url: str, model: ModelName) -> None:
        """Before fleet puts the name there for a while: a killed run must not forget it."""
        self._on_host(host, url, lambda h: replace(h, borrowed=h.borrowed | {model}))

    def give_back(self, host: HostName, model: ModelName) -> None:
        """Once a look has shown that the name is gone."""
        self._on_known(host, lambda h: replace(h, borrowed=h.borrowed - {model}))

    def keep_loaded(self, host: HostName, url: str, model: ModelName, options: OptionValues) -> None:
        self._on_host(host, url, lambda h: replace(h, loaded={**h.loaded, model: dict(options)}))

    def forget_loaded(self, host: HostName, model: ModelName) -> None:
        self._on_known(host, lambda h: replace(h, loaded=_without(h.loaded, model)))

    def begin(self, host: HostName, url: str, model: ModelName, begun: Begun) -> None:
        """Before the request that may change what the name holds: a killed run must not forget what the host may be at."""
        self._on_host(host, url, lambda h: replace(h, begun={**h.begun, model: begun}))

    def renew(self, host: HostName, model: ModelName, at: datetime) -> None:
        """While fleet is at it. This, `end` and `keep_made` may be lost with the machine until the next write: what was
        begun is there then, and the next look tells the same.
        """

        def changed(known: HostRemembered) -> HostRemembered:
            begun = known.begun.get(model)
            if begun is None:
                return known
            return replace(known, begun={**known.begun, model: replace(begun, since=at)})

        self._on_known(host, changed, durable=False)

    def end(self, host: HostName, model: ModelName) -> None:
        """Once a look has shown what came of it, or that nothing will."""
        self._on_known(host, lambda h: replace(h, begun=_without(h.begun, model)), durable=False)

    def keep_made(self, host: HostName, url: str, model: ModelName, made: Made) -> None:
        """What a look has proven that fleet put there; what was begun is ended with it."""

        def changed(known: HostRemembered) -> HostRemembered:
            return replace(known, made={**known.made, model: made}, begun=_without(known.begun, model))

        self._on_host(host, url, changed, durable=False)

    def forget_made(self, host: HostName, model: ModelName) -> None:
        """Once a look has shown that fleet took it away."""
        self._on_known(host, lambda h: replace(h, made=_without(h.made, model), begun=_without(h.begun, model)))

    def expect_gone(self, host: HostName, model_key: str) -> None:
        """Before a delete, not after: a run killed in between must not look like a host that lost its models."""
        self._on_known(host, lambda h: replace(h, models=h.models - {model_key}))

    def _on_host(
        self, name: HostName, url: str, change: Callable[[HostRemembered], HostRemembered], *, durable: bool = True
    ) -> None:
        def changed(known: Remembered) -> Remembered:
            host = known.hosts.get(name)
            if host is None or host.url != url:
                host = HostRemembered(url)
            return replace(known, hosts={**known.hosts, name: change(host)})

        self._keep(changed, durable=durable)

    def _on_known(
        self, name: HostName, change: Callable[[HostRemembered], HostRemembered], *, durable: bool = True
    ) -> None:
        host = self.remembered().hosts.get(name)
        if host is not None and change(host) != host:
            self._on_host(name, host.url, change, durable=durable)

    def _keep(self, change: Callable[[Remembered], Remembered], *, durable: bool = True) -> None:
        before = self.remembered()
        try:
            self._write(change, durable=durable)
        except Damaged as damage:
            self._database.begin_anew(damage)
            # What this process read was whole, so it goes into the new file.
            self._kept = _Kept(remembered=before)
            try:
                self._write(change)
            except Damaged as again:
                raise unusable(self._database.path, f"a new one is damaged as well ({again})") from again

    def _write(self, change: Callable[[Remembered], Remembered], *, durable: bool = True) -> None:
        with self._database.writing(durable=durable) as connection:
            kept = self._fresh(connection)
            after = change(kept.remembered)
            changed = _changed(kept, after)
            put: Rows = {}
            drop: Rows = {}
            for host, rows in changed.items():
                former = kept.rows.get(host, {})
                put.update((key, cells) for key, cells in rows.items() if former.get(key) != cells)
                drop.update((key, cells) for key, cells in former.items() if rows.get(key) != cells)
            now = kept.mark
            if put or drop or now is None:
                now = write(connection, self._name, put, drop, now)
        left = {host: rows for host, rows in {**kept.rows, **changed}.items() if rows}
        self._kept = _Kept(now, left, after)
        if not self._former_seen:
            set_former_aside(self._former)
            self._former_seen = True

    def _fresh(self, connection: sqlite3.Connection) -> _Kept:
        """What is kept, as the file has it now: another run may have been at work since it was read."""
        kept = self._kept or _Kept()
        there = mark(connection, self._name)
        if there is None:
            return _Kept(remembered=kept.remembered)
        return kept if there == kept.mark else self._read(connection)

    def _read(self, connection: sqlite3.Connection | None) -> _Kept:
        there = mark(connection, self._name) if connection is not None else None
        if connection is None or there is None:
            return _Kept(remembered=read_former(self._former))
        rows = read(connection, self._name, there)
        try:
            return _Kept(there, rows, remembered_of(rows))
        except (ValueError, TypeError, RecursionError) as error:
            raise Damaged(f"rows hold what no fleet wrote: {error}") from error


def _changed(kept: _Kept, after: Remembered) -> dict[str, Rows]:
    """All rows of the hosts that differ, and of what belongs to none."""
    before = kept.remembered.hosts if kept.mark is not None else {}
    changed: dict[str, Rows] = {name: {} for name in before.keys() - after.hosts.keys()}
    for name, host in after.hosts.items():
        was = before.get(name)
        # Mostly one host of a thousand is another value.
        if host is not was and host != was:
            changed[name] = rows_of_host(name, host)
    changed[FLEET] = rows_of_fleet(after)
    return changed


def _without(known: Mapping[ModelName, T], model: ModelName) -> dict[ModelName, T]:
    return {name: value for name, value in known.items() if name != model}
