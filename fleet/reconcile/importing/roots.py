"""Which of several names with equal content the others are copies of. Pure.

No host tells: a copy has the same digest as its source (`ollama-api.md` 4.3). What is chosen is the same for the whole
fleet, so that a name is not an alias here and a source there for no reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from fleet.names import Digest, InvalidName, ModelName
from fleet.ollama.wire import moment
from fleet.reconcile.inside import Inside

Usable = Callable[[Inside, ModelName], bool]


def parent_of(inside: Inside, name: ModelName) -> ModelName | None:
    """The model that it says to be made from, itself aside; nothing where it says none, or a path."""
    content = inside.observed.contents.get(name)
    if content is None or not content.parent:
        return None
    try:
        parent = ModelName.parse(content.parent)
    except InvalidName:
        return None
    return None if parent == name else parent


def roots(insides: Iterable[Inside], usable: Usable) -> Callable[[Iterable[ModelName]], ModelName]:
    """Chooses among names of equal content: one that others are made from, else the one that is the oldest on most
    hosts (a copy is written after its source), else one with a tag of its own, else the first by name.
    """
    every = tuple(insides)
    parents = {
        parent
        for inside in every
        for name in inside.observed.contents
        if (parent := parent_of(inside, name)) is not None
    }
    oldest: Counter[ModelName] = Counter()
    for inside in every:
        for group in groups(inside, usable):
            oldest.update(_oldest(inside, group))

    def rank(name: ModelName) -> tuple[bool, int, bool, str]:
        return name not in parents, -oldest[name], name.tag.lower() == "latest", name.key

    return lambda names: min(names, key=rank)


def groups(inside: Inside, usable: Usable) -> Iterator[tuple[ModelName, ...]]:
    """The usable names of each content that has several, sorted."""
    by_digest: dict[Digest, list[ModelName]] = {}
    for name, present in sorted(inside.observed.models.items()):
        if usable(inside, name):
            by_digest.setdefault(present.digest, []).append(name)
    yield from (tuple(names) for names in by_digest.values() if len(names) > 1)


def _oldest(inside: Inside, group: tuple[ModelName, ...]) -> Iterator[ModelName]:
    """The one that was written before all others, if there is one."""
    written = {name: moment(inside.observed.modified.get(name, "")) for name in group}
    known = {name: when for name, when in written.items() if when is not None}
    if len(known) == len(group):
        first = min(known.values())
        names = [name for name, when in known.items() if when == first]
        if len(names) == 1:
            yield names[0]
