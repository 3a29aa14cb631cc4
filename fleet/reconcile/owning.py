"""What a look shows of what fleet put on a host: still as it left it, somebody else's by now, or come of what was begun
by a run that was killed. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from fleet.names import ModelName
from fleet.reconcile.observed import Observed
from fleet.reconcile.unsettled import came_of
from fleet.state.evidence import Begun, Made
from fleet.state.remembered import HostRemembered


def owning(
    former: HostRemembered, observed: Observed, declared: Collection[ModelName], wait: float
) -> tuple[Mapping[ModelName, Made], Mapping[ModelName, Begun]]:
    """What is fleet's now, and what may still be under way. `wait` is for how many seconds a host may go on with that.

    What somebody else changed or took away is owned no longer, also where they put the same content there again; of a
    declared name it is still known how often that happened.
    """
    if not former.made and not former.begun:
        return former.made, former.begun
    unclear = {*observed.unreadable, *(one.name for one, _ in observed.collisions)}
    made = {
        name: now
        for name, each in former.made.items()
        if (now := each if name in unclear else _left(name, each, observed, declared)) is not None
    }
    begun: dict[ModelName, Begun] = {}
    for name, each in former.begun.items():
        present = observed.models.get(name)
        whole = present is not None and observed.contents.get(name, present) is not None
        came: Begun | Made | None = each
        if name not in unclear and observed.at is not None:
            digest = present.digest if present is not None else None
            came = came_of(
                each, former.made.get(name), digest, observed.at, wait, whole=whole, declared=name in declared
            )
        if isinstance(came, Begun):
            begun[name] = came
        elif came is not None:
            made[name] = came
    return made, begun


def _left(name: ModelName, made: Made, observed: Observed, declared: Collection[ModelName]) -> Made | None:
    present = observed.models.get(name)
    if present is not None and present.digest == made.digest:
        return made
    return replace(made, owned=False) if name in declared else None
