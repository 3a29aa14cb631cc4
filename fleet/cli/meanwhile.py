"""What the manifests say by now, asked again just before something is deleted: a run goes by those that it began with, but
what the newest ones keep is not deleted (`reliability.md` D8).
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.cli.loading import desired_of
from fleet.errors import FleetError
from fleet.manifest.faults import Faults
from fleet.manifest.files import STDIN, find_sources
from fleet.manifest.inventory import Prune
from fleet.manifest.pattern import matches
from fleet.reconcile.guard import prunes, takes_away
from fleet.reconcile.step import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.manifest.item import Desired
    from fleet.reconcile.saved import SavedArguments
    from fleet.reconcile.step import Step
    from fleet.settings import Settings

_RARELY = 1.0
"""Seconds between two looks at the files."""

_Stamps = tuple[tuple[str, int, int, int], ...]


class Meanwhile:
    """Manifests that are read anew whenever one of their files moved; broken ones count for nothing. Hundreds of files take
    a while to look at, for which nothing else is done: that happens once a second at most, by the clock `monotonic`.
    """

    def __init__(
        self, arguments: SavedArguments, settings: Settings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._arguments = arguments
        self._settings = settings
        self._monotonic = monotonic
        self._looked: float | None = None
        self._read: _Stamps | None = None
        self._newest: Desired | None = None

    def __call__(self, step: Step) -> str | None:
        """Why a delete is not to be begun any more, if so; never anything for other steps."""
        if step.action is not Action.DELETE or STDIN in (*self._arguments.manifests, *self._arguments.inventory):
            return None
        now = self._monotonic()
        if self._looked is None or now - self._looked >= _RARELY:
            self._looked = now
            self._look()
        return None if self._newest is None else kept_by(self._newest, step)

    def _look(self) -> None:
        stamps = self._stamps()
        if stamps != self._read:
            self._read = stamps
            with suppress(FleetError, OSError):
                self._newest = self._load()

    def _load(self) -> Desired:
        arguments = self._arguments
        return desired_of(
            arguments.manifests,
            arguments.inventory,
            arguments.self_name,
            dict(label.split("=", 1) for label in arguments.labels),
            self._settings,
        )

    def _stamps(self) -> _Stamps:
        found = []
        for source in find_sources((*self._arguments.inventory, *self._arguments.manifests), Path(), Faults()):
            with suppress(OSError):
                status = source.path.stat()
                found.append((str(source.path), status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)


def kept_by(newest: Desired, step: Step) -> str | None:
    """Why the newest manifests keep what a delete is for, if they do. What fleet itself left is no business of theirs."""
    if not takes_away(step):
        return None
    wanted = newest.hosts.get(step.host)
    again = "the manifests changed meanwhile, and "
    if wanted is None:
        return again + f"`{step.host}` is in the inventory no more"
    if any(item.name == step.model for item in wanted.items):
        return again + f"declare `{step.model}` now"
    if any(matches(pattern.text, step.model) for pattern in newest.policy.protect):
        return again + f"protect `{step.model}` now"
    absent = any(
        each.exact == step.model if each.exact is not None else matches(each.pattern.text, step.model)
        for each in wanted.absent
    )
    asked = absent or (prunes(step) and wanted.prune is not Prune.NEVER)
    return None if asked else again + f"ask for this delete of `{step.model}` no more"
