"""Names of fleet's own that a killed run may have left on a host, and that nothing needs any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fleet.codes import Code
from fleet.manifest.item import Pull
from fleet.names import ModelName
from fleet.reconcile.backup import backup_of, is_backup, pending_of
from fleet.reconcile.difference import Difference, Leftover, State
from fleet.reconcile.observed import Observed

_SETTLED = frozenset({State.AS_DESIRED, State.UNVERIFIED})


def leftovers(
    items: Mapping[ModelName, Difference],
    observed: Observed,
    borrowed: frozenset[ModelName],
    absent: Iterable[ModelName] = (),
) -> tuple[Leftover, ...]:
    """Backups of models that are as desired or must be `absent`, and names that fleet pulled under for the time of one
    step; by name.
    """
    found = {left.present.name: left for left in _leftovers(items, observed, borrowed, absent)}
    return tuple(found[name] for name in sorted(found))


def _leftovers(
    items: Mapping[ModelName, Difference],
    observed: Observed,
    borrowed: frozenset[ModelName],
    absent: Iterable[ModelName],
) -> Iterator[Leftover]:
    for name in absent:
        backup = observed.models.get(backup_of(name))
        if backup is not None and name not in observed.models:
            yield Leftover(backup, f"the former `{name}`, which must be gone")
    if any(is_backup(name) for name in observed.models):
        for name, item in items.items():
            backup = observed.models.get(backup_of(name))
            if backup is not None and item.state in _SETTLED and item.trouble is None:
                yield Leftover(backup, f"the former `{name}`, kept while it was replaced")
    if not borrowed:
        return
    # A step that still pulls under such a name uses it, and gives it back.
    used = {
        item.item.source.origin
        for item in items.values()
        if isinstance(item.item.source, Pull) and item.state is State.DIFFERS
    }
    for name, item in items.items():
        if item.blocked is None or item.blocked.code is not Code.PIN_NOT_SERVED:
            continue
        present, accepts = item.present, item.accepts
        if present is None or accepts is None or present.digest in accepts:
            continue
        if pending_of(name, accepts) in borrowed:
            yield Leftover(present, "pulled by a run that was killed before it could take it back")
    # Names of somebody's, which gave way while something else was pulled under them.
    aside = {backup_of(name): name for name in observed.models if name not in items and not is_backup(name)}
    for name in borrowed - items.keys() - used:
        present, owner = observed.models.get(name), aside.get(name)
        if present is None or owner in used:
            continue
        stands = observed.models[owner] if owner is not None else None
        if stands is not None and stands.digest == present.digest:
            stands = None
        yield Leftover(present, "fleet put it there for the time of one step", stands)
