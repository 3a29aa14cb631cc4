"""Makes items of what variants of entries say: checks what must hold together, fills in what was left out.

Pure.
"""

from __future__ import annotations

from fleet.manifest.creating import Creating
from fleet.manifest.faults import Faults
from fleet.manifest.inventory import NamePattern
from fleet.manifest.item import AbsentItem, Alias, Item, Source, Warm
from fleet.manifest.pulling import Pulling
from fleet.manifest.reach import Hosts
from fleet.manifest.unsound import Unsound, unsound
from fleet.manifest.variants import Variant, below
from fleet.manifest.written import Gives, Loaded
from fleet.names import DEFAULT_NAMESPACE, DEFAULT_REGISTRY, ModelName

SOURCES = ("pull", "create", "alias", "absent")
BACKUPS = "fleet-backup"
"""The namespace in which fleet keeps what it replaces (`design.md` 8)."""
_FOR_EVER = -1.0


class Making:
    """Makes items of what was loaded. With `only`, files that other hosts want need not be there."""

    def __init__(self, loaded: Loaded, faults: Faults, *, only: Hosts | None = None) -> None:
        self._faults = faults
        self._pulling = Pulling(loaded.registries, loaded.policy.update, faults)
        self._creating = Creating(loaded, faults, only=only)

    def make(self, variant: Variant) -> Item | AbsentItem | None:
        """The item that all hosts of the variant share, or nothing after faults."""
        try:
            return self._make(variant)
        except Unsound:
            return None

    def _make(self, variant: Variant) -> Item | AbsentItem:
        entry, gives = variant.entry, variant.gives
        sources = [name for name in SOURCES if _has(gives, name)]
        if len(sources) > 1:
            both = f"`{sources[0]}` and `{sources[1]}` exclude each other"
            raise self._fault(variant, sources[1], both, "an entry has exactly one source")
        if sources == ["absent"]:
            return self._absent(variant)
        if entry.name is None:
            raise self._fault(variant, "", "a glob is allowed with `absent: true` only")
        if (entry.name.registry.lower(), entry.name.namespace.lower()) == (DEFAULT_REGISTRY, BACKUPS):
            raise self._fault(variant, "", f"names under `{BACKUPS}/` are for former contents that fleet keeps")
        kind = sources[0] if sources else "pull"
        return Item(
            name=entry.name,
            source=self._source(variant, kind, entry.name),
            place=entry.place,
            warm=_warm(gives),
            protect=_said(gives, "protect"),
            freeze=_said(gives, "freeze"),
            check=gives["check"].value if "check" in gives else (),
            push=self._push(variant, kind, entry.name),
            in_place="replace" in gives,
            overridden=variant.overridden,
            where=variant.where,
        )

    def _absent(self, variant: Variant) -> AbsentItem:
        for key, given in variant.gives.items():
            if key != "absent" and given.value is not False:
                name = key.partition(".")[0]
                raise self._fault(variant, key, f"`{name}` makes no sense for a model that must be gone")
        entry = variant.entry
        pattern = entry.pattern or NamePattern(str(entry.name))
        return AbsentItem(pattern, entry.place, exact=entry.name, where=variant.where)

    def _source(self, variant: Variant, kind: str, name: ModelName) -> Source:
        if kind == "alias":
            source: ModelName = variant.gives["alias"].value
            if source == name:
                raise self._fault(variant, "alias", f"`{name}` is an alias of itself")
            return Alias(source)
        if kind == "create":
            return self._creating.make(variant, name)
        return self._pulling.make(variant, name)

    def _push(self, variant: Variant, kind: str, name: ModelName) -> bool:
        if not _said(variant.gives, "push"):
            return False
        if kind != "create":
            raise self._fault(
                variant, "push", "only a model that is made here is published", "`push` goes with `create`"
            )
        if (name.registry.lower(), name.namespace.lower()) == (DEFAULT_REGISTRY, DEFAULT_NAMESPACE):
            text = f"`{name}` has the namespace `{DEFAULT_NAMESPACE}`, to which nobody can publish"
            raise self._fault(variant, "push", text, f"call the model `NAMESPACE/{name}`")
        self._pulling.allowed(variant, name, "push")
        return True

    def _fault(self, variant: Variant, key: str, text: str, hint: str | None = None) -> Unsound:
        return unsound(self._faults, variant, key, text, hint)


def _has(gives: Gives, name: str) -> bool:
    return any(key == name or key.startswith(name + ".") for key in gives)


def _said(gives: Gives, name: str) -> bool:
    return name in gives and gives[name].value is True


def _warm(gives: Gives) -> Warm | None:
    if not _has(gives, "warm") or ("warm" in gives and gives["warm"].value is False):
        return None
    given = gives.get("warm.keep_alive")
    keep_alive = None if given is None or given.value == _FOR_EVER else given.value
    return Warm(keep_alive, below(gives, "warm.options."))
