"""Desired beside observed, for one host: every item's state with a reason from a closed set (`design.md` 6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fleet.codes import Code
from fleet.manifest.item import AbsentItem, Alias, Create, HostDesired, Item, ParameterValue, Pull
from fleet.manifest.pattern import matches
from fleet.names import ModelName
from fleet.ollama.modelfile import NotExpressibleError
from fleet.ollama.versions import Capability, Version, has
from fleet.reconcile.compare import cannot_clear, changes, provable, uncleared
from fleet.reconcile.difference import Blocked, Change, Difference, HostDifference, Reason, Removal, State
from fleet.reconcile.making import request, unknown_parameters
from fleet.reconcile.observed import Observed, Present
from fleet.reconcile.questions import removals
from fleet.reconcile.warm import former_runner, runner_of, warmths


def difference(
    desired: HostDesired,
    observed: Observed,
    remembered: Mapping[ModelName, Mapping[str, ParameterValue]] | None = None,
) -> HostDifference:
    """All differences of one host. `remembered` are the options with which fleet loaded its models last."""
    gone = removals(desired, observed.models)
    items = {item.name: item for item in desired.items}
    found: dict[ModelName, Difference] = {}
    for item in in_order(items):
        found[item.name] = _Host(observed, items, gone, found).stands(item)
    warm = warmths(found, observed, desired.host.capacity, remembered or {}, gone)
    return HostDifference(
        desired.host.name,
        tuple(replace(found[name], warmth=warm[name]) if name in warm else found[name] for name in sorted(found)),
        tuple(_removal(desired, observed, gone, name) for name in sorted(gone)) + _colliding(desired, observed),
    )


def in_order(items: Mapping[ModelName, Item]) -> tuple[Item, ...]:
    """Items with what they need before them, else by name. Cycles were refused when the manifests were read."""
    ordered: dict[ModelName, Item] = {}
    for name in sorted(items):
        chain: list[Item] = []
        item: Item | None = items[name]
        while item is not None and item.name not in ordered:
            chain.append(item)
            needed = needs(item)
            item = items.get(needed) if needed is not None else None
        ordered.update((each.name, each) for each in reversed(chain))
    return tuple(ordered.values())


def needs(item: Item) -> ModelName | None:
    """The base of a create, the source of an alias."""
    if isinstance(item.source, Create):
        return item.source.base
    if isinstance(item.source, Alias):
        return item.source.source
    return None


class _Host:
    """One host while its items are gone through, what they need first."""

    def __init__(
        self,
        observed: Observed,
        items: Mapping[ModelName, Item],
        gone: frozenset[ModelName],
        found: Mapping[ModelName, Difference],
    ) -> None:
        self.observed = observed
        self.items = items
        self.gone = gone
        self.found = found

    def stands(self, item: Item) -> Difference:
        present = self.observed.models.get(item.name)
        blocked = self._named_apart(item, present) or self._needed(item)
        if blocked is not None:
            return Difference(item, present, State.BLOCKED, blocked=blocked, needs=needs(item))
        source = item.source
        if isinstance(source, Pull):
            return self._pulled(item, present)
        if isinstance(source, Alias):
            return self._copied(item, source, present)
        return self._created(item, source, present)

    def _named_apart(self, item: Item, present: Present | None) -> Blocked | None:
        for one, other in self.observed.collisions:
            if one.name == item.name:
                return Blocked(Code.NAMES_COLLIDE, f"the host lists both `{one.listed}` and `{other.listed}`")
        if item.name in self.observed.unreadable:
            return Blocked(Code.NOT_OLLAMA, f"the host lists `{item.name}` with something that is no digest")
        if present is not None and present.remote:
            return Blocked(Code.REMOTE_MODEL, f"`{present.listed}` is a cloud stub on this host")
        return None

    def _needed(self, item: Item) -> Blocked | None:
        """Why what the item is made from cannot be had, if it cannot."""
        needed = needs(item)
        if needed is None:
            return None
        if needed in self.found:
            if self.found[needed].state is State.BLOCKED:
                return Blocked(Code.SOURCE_BLOCKED, f"it needs `{needed}`, which is blocked itself")
            return None
        present = self.observed.models.get(needed)
        if needed in self.observed.unreadable:
            why = "listed with something that is no digest"
        elif present is None or present.remote:
            why = "neither declared for this host nor present on it"
        elif needed in self.gone:
            why = "declared absent"
        elif self._broken(needed):
            why = "listed but not whole, and not declared, so fleet does not mend it"
        else:
            return None
        return Blocked(
            Code.SOURCE_NOT_THERE, f"it needs `{needed}`, which is {why}", hint=f"declare `{needed}` for the same hosts"
        )

    def _broken(self, name: ModelName) -> bool:
        """Asked about, and not whole."""
        return name in self.observed.contents and self.observed.contents[name] is None

    def _changes(self, name: ModelName) -> bool:
        return name in self.found and self.found[name].state is State.DIFFERS

    def _pulled(self, item: Item, present: Present | None) -> Difference:
        if present is None:
            return Difference(item, None, State.DIFFERS, Reason.MISSING)
        if self._broken(item.name):
            return Difference(item, present, State.DIFFERS, Reason.BROKEN)
        return Difference(item, present, State.AS_DESIRED)

    def _copied(self, item: Item, alias: Alias, present: Present | None) -> Difference:
        source = self.observed.models.get(alias.source)
        moving = self._changes(alias.source)
        wants = source.digest if source is not None and not moving else None
        if present is None:
            reason: Reason | None = Reason.MISSING
        elif moving:
            reason = Reason.SOURCE_CHANGES
        elif wants is not None and present.digest != wants:
            reason = Reason.SOURCE_DIFFERS
        else:
            reason = None
        state = State.AS_DESIRED if reason is None else State.DIFFERS
        differing: tuple[Change, ...] = ()
        if reason is Reason.SOURCE_DIFFERS and present is not None and wants is not None:
            differing = (Change("digest", f"sha256:{present.digest.short}", f"sha256:{wants.short}"),)
        return Difference(item, present, state, reason, differing, wants=wants, needs=alias.source)

    def _created(self, item: Item, create: Create, present: Present | None) -> Difference:
        blocked = self._expressible(item, create)
        if blocked is not None:
            return Difference(item, present, State.BLOCKED, blocked=blocked, needs=create.base)
        if present is None:
            return Difference(item, None, State.DIFFERS, Reason.MISSING, needs=create.base)
        if self._broken(item.name):
            return Difference(item, present, State.DIFFERS, Reason.BROKEN, needs=create.base)
        if self._changes(create.base):
            return Difference(item, present, State.DIFFERS, Reason.BASE_CHANGES, needs=create.base)
        made, base = self.observed.contents.get(item.name), self.observed.contents.get(create.base)
        if made is None or base is None:
            return Difference(item, present, State.UNVERIFIED, needs=create.base)
        differing = changes(create, made, base, self.observed.version)
        if differing:
            return Difference(item, present, State.DIFFERS, Reason.FIELDS_DIFFER, differing, needs=create.base)
        state = State.AS_DESIRED if provable(made, base) else State.UNVERIFIED
        return Difference(item, present, state, needs=create.base)

    def _expressible(self, item: Item, create: Create) -> Blocked | None:
        """Why this server cannot be told to make the model, if it cannot (`ollama-api.md` 7, 14)."""
        version = self.observed.version
        for field, value, capability in (
            ("renderer", create.renderer, Capability.RENDERER),
            ("parser", create.parser, Capability.RENDERER),
            ("requires", create.requires, Capability.REQUIRES),
        ):
            if value is not None and version.known and not has(version, capability):
                since = ".".join(map(str, capability.value.since or ()))
                return Blocked(
                    Code.FIELD_NEEDS_NEWER_SERVER,
                    f"`{field}` needs Ollama {since}, the host has {version}",
                    hint=f"upgrade the host, or set `{field}` by `overrides` only where it can be",
                )
        unknown = unknown_parameters(create.parameters, version)
        if unknown:
            names = ", ".join(f"`{name}`" for name in unknown)
            return Blocked(Code.PARAMETER_UNKNOWN_HERE, f"Ollama {version} does not know {names}")
        try:
            request(create, str(item.name), str(create.base), version)
        except NotExpressibleError as fault:
            return Blocked(
                Code.TEXT_NOT_EXPRESSIBLE, f"`{fault.field}` cannot be written for Ollama {version}: {fault.why}"
            )
        return self._clearable(create, version)

    def _clearable(self, create: Create, version: Version) -> Blocked | None:
        base = self.observed.contents.get(create.base)
        if base is None or self._changes(create.base):
            return None
        field = uncleared(create, base, version)
        return None if field is None else Blocked(Code.CANNOT_CLEAR, cannot_clear(field, create))


def _removal(desired: HostDesired, observed: Observed, gone: frozenset[ModelName], name: ModelName) -> Removal:
    present = observed.models[name]
    asking = [absent for absent in desired.absent if _asks(absent, name)]
    exact = next((absent for absent in asking if absent.exact is not None), asking[0])
    return Removal(exact, present, unload=_must_unload(observed, gone, present))


def _asks(absent: AbsentItem, name: ModelName) -> bool:
    return absent.exact == name if absent.exact is not None else matches(absent.pattern.text, name)


def _must_unload(observed: Observed, gone: frozenset[ModelName], present: Present) -> bool:
    """In memory, and no name that stays runs on the same weights (`design.md` 8)."""
    if not has(observed.version, Capability.UNLOAD_DIRECT):
        return False  # it would load the model first (12.2)
    if runner_of(present.name, observed) is None and former_runner(present.name, observed) is None:
        return False
    content = observed.contents.get(present.name)
    for name, other in observed.models.items():
        if name in gone:
            continue
        held = observed.contents.get(name)
        same = content is not None and held is not None and bool(content.weights) and held.weights == content.weights
        if same or other.digest == present.digest:
            return False
    return True


def _colliding(desired: HostDesired, observed: Observed) -> tuple[Removal, ...]:
    """Names that must be gone but stand twice: neither is touched."""
    declared = {item.name for item in desired.items}
    found = []
    for one, other in observed.collisions:
        asking = next((absent for absent in desired.absent if _asks(absent, one.name)), None)
        if asking is not None and one.name not in declared:
            why = f"the host lists both `{one.listed}` and `{other.listed}`"
            found.append(Removal(asking, one, Blocked(Code.NAMES_COLLIDE, why)))
    return tuple(found)
