"""Which models have to be shown before anything can be decided about a host.

`/api/show` replies are large (100 kB and more), so only those are asked for on which a decision hangs (`design.md` 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.manifest.inventory import Prune
from fleet.manifest.item import Alias, Create, HostDesired, Item
from fleet.manifest.pattern import matches
from fleet.names import ModelName
from fleet.reconcile.backup import backup_of, is_backup
from fleet.reconcile.created import recorded
from fleet.reconcile.observed import Content, Present, Runner
from fleet.state.evidence import Evidence


def removals(desired: HostDesired, models: Mapping[ModelName, Present]) -> frozenset[ModelName]:
    """The listed names that must be gone: an exact entry of any kind beats a glob, and cloud stubs match none."""
    declared = {item.name for item in desired.items}
    gone: set[ModelName] = set()
    for absent in desired.absent:
        if absent.exact is not None:
            if absent.exact in models:
                gone.add(absent.exact)
        else:
            gone.update(
                name
                for name, present in models.items()
                if name not in declared
                and not present.remote
                and matches(absent.pattern.text, name)
                and not (is_backup(name) and any(backup_of(each) == name for each in declared))
            )
    return frozenset(gone)


def to_show(
    desired: HostDesired,
    models: Mapping[ModelName, Present],
    runners: Iterable[Runner],
    evidence: Mapping[ModelName, Evidence] | None = None,
) -> tuple[ModelName, ...]:
    """The listed models to ask about, sorted by name. Of a created model of which `evidence` tells all, none is asked."""
    items = {item.name: item for item in desired.items}
    wanted: set[ModelName] = set()
    warm = False
    for item in desired.items:
        if isinstance(item.source, Create) and not _known(item, item.source, models, evidence or {}):
            wanted.add(item.name)
            if item.source.base is not None:
                wanted.add(item.source.base)
        if item.warm is not None:
            warm = True
            wanted.add(item.name)
        if isinstance(item.source, Alias) and _to_copy(item.name, item.source, models):
            wanted.add(item.source.source)
    gone = removals(desired, models)
    # Of what nobody declares, only a plan knows what goes, and only what is in memory is worth asking about.
    going = gone if desired.prune is Prune.NEVER else gone | (models.keys() - items.keys())
    for runner in runners:
        holders = [name for name, present in models.items() if present.digest == runner.digest]
        if not holders:
            continue
        if warm:
            wanted.add(min(holders))
        leaving = [models[name] for name in going if models[name].digest == runner.digest]
        if leaving:
            # Before it is unloaded, one has to know whether a name that stays has the same weights.
            wanted.update(present.name for present in leaving)
            wanted.update(
                name for name, present in models.items() if name not in gone and present.kind == leaving[0].kind
            )
    for name in tuple(wanted):
        # An alias is as whole as its source, and mended there.
        source = items[name].source if name in items else None
        while isinstance(source, Alias) and source.source not in wanted:
            wanted.add(source.source)
            source = items[source.source].source if source.source in items else None
    return tuple(sorted(name for name in wanted if name in models and not models[name].remote))


def to_show_besides(
    desired: HostDesired, models: Mapping[ModelName, Present], contents: Mapping[ModelName, Content | None]
) -> tuple[ModelName, ...]:
    """What models that turned out not to be whole are made from, as far as nobody asked about it: it is mended first."""
    sources = {item.name: item.source for item in desired.items}
    wanted: set[ModelName] = set()
    for name, content in contents.items():
        source = sources.get(name) if content is None else None
        needed = source.base if isinstance(source, Create) else source.source if isinstance(source, Alias) else None
        if needed is not None:
            wanted.add(needed)
    return tuple(sorted(name for name in wanted - contents.keys() if name in models and not models[name].remote))


def _known(
    item: Item, create: Create, models: Mapping[ModelName, Present], evidence: Mapping[ModelName, Evidence]
) -> bool:
    present = models.get(item.name)
    base = models.get(create.base) if create.base is not None else None
    return present is not None and recorded(
        create, present, base.digest if base is not None else None, evidence.get(item.name)
    )


def _to_copy(name: ModelName, alias: Alias, models: Mapping[ModelName, Present]) -> bool:
    """What is copied has to be whole."""
    present, source = models.get(name), models.get(alias.source)
    return source is not None and (present is None or present.digest != source.digest)
