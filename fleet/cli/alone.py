"""One run at a time: the lock of a fleet, held while something is changed or recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fleet.errors import LockError
from fleet.reconcile.run import DEFAULT_NAME
from fleet.settings import Settings
from fleet.state.leases import Leases
from fleet.state.lock import RunLock


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[None]:
    """Holds the lock of the fleet. Raises `LockError`, which says whose lock it is, and `StateError`."""
    with ExitStack() as held:
        try:
            held.enter_context(RunLock(settings.state_dir, name, settings.lock_timeout))
        except LockError as error:
            hint = error.hint or ""
            if name == DEFAULT_NAME:
                hint += "; fleets that share no host are told apart by `name:` in their inventories"
            raise LockError(f"{error}, the lock of the fleet `{name}`", code=error.code, hint=hint) from error
        with Leases(settings.state_dir, name) as leases:
            # Of a run that was killed: with the lock in our hands there is no other.
            leases.give_back_all()
        yield
