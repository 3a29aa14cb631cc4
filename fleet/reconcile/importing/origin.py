"""How each model of one host came about, as far as the host shows it. Pure.

What is given plans to nothing: every entry is laid beside the host by the very comparison that plans are made by, and
what that does not find as desired is asked for in a lesser way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from fleet.manifest.inventory import Place, Registry
from fleet.manifest.item import Alias, Create, HostDesired, Item, Pull, Source
from fleet.names import InvalidName, ModelName
from fleet.reconcile.backup import is_backup
from fleet.reconcile.diff import difference, needs
from fleet.reconcile.difference import Difference, State
from fleet.reconcile.importing.derive import NotToldError, Shown, derive
from fleet.reconcile.importing.roots import groups, parent_of
from fleet.reconcile.inside import Inside

_NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be written."""

    registries: Mapping[str, Registry] | None = None
    """Those that the inventory has models pulled from, by lower-case name; nothing where any may be used."""
    files: bool = True
    """Whether a text may stand in a file of its own."""


ANYTHING = Allowed()


@dataclass(frozen=True, slots=True)
class Origin:
    """What to declare of one model on one host."""

    source: Source
    doubt: str = ""
    """Why it is declared as pulled although it may not be, cleaned by who shows it."""


@dataclass(frozen=True, slots=True)
class Origins:
    """One host, told as entries."""

    inside: Inside
    models: Mapping[ModelName, Origin]
    left_out: tuple[str, ...] = ()
    """What is listed there and cannot be declared, and why; sorted."""


def usable(inside: Inside, name: ModelName, allowed: Allowed = ANYTHING) -> bool:
    """Whether a manifest can ask for the name and the host has all of it."""
    return _unusable(inside, name, allowed) is None


def origins(inside: Inside, root: Callable[[Iterable[ModelName]], ModelName], allowed: Allowed = ANYTHING) -> Origins:
    """All that the host holds; `root` chooses among names of equal content."""
    observed = inside.observed
    left_out = _odd_names(inside)
    names = []
    for name in sorted(observed.models):
        why = _unusable(inside, name, allowed)
        if why is None:
            names.append(name)
        else:
            left_out.append(f"`{observed.models[name].listed}` {why}")
    sources = _Sources(inside, frozenset(names), allowed)
    for group in groups(inside, lambda _, name: name in sources.usable):
        source = root(group)
        for name in group:
            if name != source:
                sources.copied(name, source)
    for name in names:
        if name not in sources.found:
            sources.made_or_pulled(name)
    sources.settle()
    left_out += sources.left_out
    return Origins(inside, dict(sorted(sources.found.items())), tuple(sorted(left_out)))


class _Sources:
    """The models of one host while their sources are found out."""

    def __init__(self, inside: Inside, names: frozenset[ModelName], allowed: Allowed) -> None:
        self.inside = inside
        self.usable = names
        self.allowed = allowed
        self.found: dict[ModelName, Origin] = {}
        self.left_out: list[str] = []

    def copied(self, name: ModelName, source: ModelName) -> None:
        self.found[name] = Origin(Alias(source))

    def made_or_pulled(self, name: ModelName) -> None:
        try:
            create = self._create(name)
        except NotToldError as doubt:
            self.found[name] = Origin(Pull(), str(doubt))
        else:
            self.found[name] = Origin(Pull() if create is None else create)

    def settle(self) -> None:
        """Asks for what is not as desired in a lesser way, until everything is."""
        while True:
            wrong = [item for item in self._compared() if item.state is not State.AS_DESIRED]
            if not wrong:
                return
            for item in wrong:
                name = item.item.name
                if isinstance(item.item.source, Pull):
                    # It is there and whole, so this is for what a comparison may learn to ask one day.
                    del self.found[name]
                    self.left_out.append(f"`{name}` {_why(item)}")
                else:
                    self.found[name] = Origin(Pull(), _why(item))

    def _compared(self) -> tuple[Difference, ...]:
        items = tuple(Item(name, origin.source, _NOWHERE) for name, origin in sorted(self.found.items()))
        host = replace(self.inside.host, suspended=None)
        return difference(HostDesired(host, items), self.inside.observed).items

    def _create(self, name: ModelName) -> Create | None:
        """How it was made, or nothing where it does not say that it was. Raises `NotToldError`."""
        content = self.inside.observed.contents[name]
        if content is None or not content.parent:
            return None
        if not _displayed(content.parent):
            raise NotToldError("it was made from a file, here or by its publisher")
        base = parent_of(self.inside, name)
        if base is None:
            raise NotToldError("it was made from a model of its own name")
        if base not in self.usable:
            raise NotToldError(f"it was made from `{base}`, here or by its publisher, which is not here")
        of = self.inside.observed.contents[base]
        if of is None or self._leads_to(base, name):
            raise NotToldError(f"it was made from `{base}`, which may itself be made from it by now")
        licences = self.inside.licences
        made = Shown(content, licences.get(name, ()))
        return derive(made, base, Shown(of, licences.get(base, ())), files=self.allowed.files)

    def _leads_to(self, name: ModelName, end: ModelName) -> bool:
        """Whether following sources from the one comes to the other."""
        at: ModelName | None = name
        while at is not None and at != end:
            origin = self.found.get(at)
            at = None if origin is None else needs(Item(at, origin.source, _NOWHERE))
        return at == end


def _why(item: Difference) -> str:
    """What the comparison says against it."""
    base = item.needs
    made = f"it says to be made from `{base}`, and " if base is not None else ""
    if item.blocked is not None:
        return made + item.blocked.message
    if item.changes:
        fields = ", ".join(f"`{change.field}`" for change in item.changes)
        return f"{made}what differs in {fields} cannot be written as a `create`"
    return f"{made}the host does not show enough to prove that"


def _displayed(parent: str) -> bool:
    """Whether it is a model's name as servers show it, always with a tag; else a file's name or path (5.5)."""
    try:
        ModelName.parse(parent)
    except InvalidName:
        return False
    return ":" in parent.rpartition("/")[2]


def _unusable(inside: Inside, name: ModelName, allowed: Allowed) -> str | None:
    """Why the name cannot be declared, if so."""
    present = inside.observed.models[name]
    if present.remote:
        return "is a cloud stub: there are no weights here"
    if is_backup(name):
        return "is a former content that fleet kept while it replaced it"
    if name.reserved:
        return f"has the reserved tag `{name.tag}`, which servers from 0.18 on take for a mark"
    if inside.observed.contents.get(name) is None:
        return "is listed and not whole: pull or create it again, then declare it"
    if allowed.registries is not None and name.registry.lower() not in allowed.registries:
        return f"is of `{name.registry}`, which is not among the inventory's `registries`"
    return None


def _odd_names(inside: Inside) -> list[str]:
    observed = inside.observed
    odd = [
        f"`{one.listed}` and `{other.listed}` are one name in two spellings: delete one of them by hand"
        for one, other in observed.collisions
    ]
    odd += [f"`{name}` is listed with something that is no digest" for name in observed.unreadable]
    return odd + [f"`{name}` is no model name" for name in observed.invalid]
