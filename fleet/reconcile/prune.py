"""Which models of a host go because nobody declares them (`policy.prune`), and which stay all the same. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from fleet.codes import Code
from fleet.manifest.inventory import NamePattern, Prune
from fleet.manifest.item import Alias, Create, HostDesired, Pull
from fleet.manifest.pattern import matches
from fleet.names import ModelName
from fleet.reconcile.backup import is_backup
from fleet.reconcile.difference import Blocked, Difference, Reason, State
from fleet.reconcile.observed import Observed
from fleet.state.remembered import HostRemembered

PRUNED = frozenset({Reason.NO_LONGER_DECLARED, Reason.NOT_DECLARED})
"""Why a model is deleted that no entry names."""


def undeclared(
    desired: HostDesired,
    observed: Observed,
    remembered: HostRemembered,
    found: Mapping[ModelName, Difference],
    leaving: frozenset[ModelName],
    protect: Iterable[NamePattern],
    theirs: Collection[ModelName] = (),
) -> dict[ModelName, Reason]:
    """What is to go, and why; by name. `found` are the declared items, `leaving` the names that go anyway, `theirs` those
    that other fleets put there.

    Left alone are names that are protected, kept for fleet's own use, or needed by what is declared, and cloud stubs.
    Names that stand twice or are listed as nothing known are not in `observed.models`. A pull or create that was left
    keeps none: what came of it is like any other, and where it may go on, every delete on the host waits for it.
    """
    if desired.prune is Prune.NEVER:
        return {}
    owned = _owned(observed, remembered)
    candidates = owned if desired.prune is Prune.OWNED else observed.models.keys()
    away = [name for name in candidates if name not in found and name not in leaving]
    if not away:
        return {}
    used = {*_needed(found.values()), *remembered.borrowed, desired.host.marker}
    patterns = [pattern.text for pattern in protect]
    return {
        name: Reason.NO_LONGER_DECLARED if name in owned else Reason.NOT_DECLARED
        for name in sorted(away)
        if name not in used
        and name not in theirs
        and not is_backup(name)
        and not observed.models[name].remote
        and not any(matches(pattern, name) for pattern in patterns)
    }


def _owned(observed: Observed, remembered: HostRemembered) -> frozenset[ModelName]:
    """What fleet put there under a name that was free, and that is listed exactly as fleet left it."""
    models = observed.models
    return frozenset(
        name
        for name, made in remembered.made.items()
        if made.owned and (present := models.get(name)) is not None and present.digest == made.digest
    )


def _needed(found: Iterable[Difference]) -> Iterator[ModelName]:
    """Names that are not declared themselves, and without which something declared could not be had."""
    for item in found:
        match item.item.source:
            case Create(base=base) if base is not None:
                yield base
            case Alias(source=source):
                yield source
            case Pull(origin=origin) if origin is not None:
                # It may hold the accepted content, which its tag may stand for no longer. It stays once that was copied
                # too: the next change would bring it again, and a pull from it says that somebody wants it.
                yield origin


def waits(found: Iterable[Difference]) -> Blocked | None:
    """Why nothing is pruned on the host for now: what takes the place of a model may be what cannot be had."""
    troubled = [item for item in found if item.state is State.BLOCKED or item.trouble is not None]
    if not troubled:
        return None
    first, more = troubled[0].item.name, len(troubled) - 1
    why = f"`{first}`" + (f" and {more} more" if more else "")
    return Blocked(
        Code.PRUNE_WAITS,
        f"nobody declares it, and it stays as long as {why} cannot be had or compared here",
        hint="mend what is blocked, or name this model `absent: true`",
    )
