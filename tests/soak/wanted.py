"""What is asked of the fleet as it changes from day to day, and what has to come of it on a host.

Knows nothing of fleet's own reading of manifests: what is wanted follows from how it was drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any

PUBLISHED = tuple(f"pub-{number}:1" for number in range(8))
MADE = tuple(f"acme/made-{number}:1" for number in range(5))
ALIASES = tuple(f"chat-{number}:latest" for number in range(4))
STRANGERS = ("team/their-own:1", "pub-by-hand:1")
"""On every host from the beginning, put there by somebody else, and never spoken of in a manifest."""
TIERS = ("a", "b")


@dataclass(slots=True)
class Entry:
    """What the manifest says of one name."""

    tier: str | None = None
    """The hosts it is for; nothing: all of them."""
    source: str | None = None
    """What it is made from or follows."""
    system: str | None = None
    """Of a created model."""
    follows_registry: bool = False
    absent: bool = False
    warm: bool = False

    def written(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.absent:
            found["absent"] = True
        elif self.system is not None:
            found["create"] = {"from": self.source, "system": self.system}
        elif self.source is not None:
            found["alias"] = self.source
        elif self.follows_registry:
            found["pull"] = {"update": "always"}
        if self.tier is not None:
            found["where"] = f"tier={self.tier}"
        if self.warm:
            found["warm"] = True
        return found


@dataclass(slots=True)
class Wanted:
    """The manifest, and what the registry has."""

    random: Random
    contents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PUBLISHED, 0))
    """The number of the content that the registry has under each name."""
    entries: dict[str, Entry] = field(default_factory=dict)
    unwanted: set[tuple[str, str]] = field(default_factory=set)
    """Tiers and names that nobody wanted at some moment since `looked`: those may be deleted there."""

    def manifest(self) -> str:
        return json.dumps({"version": 1, "models": {name: entry.written() for name, entry in self.entries.items()}})

    def begin(self) -> None:
        """Enough of everything for losing a few to be everyday life."""
        for name in PUBLISHED[:6]:
            self.entries[name] = Entry(follows_registry=name in PUBLISHED[:3])
        for number, name in enumerate(MADE[:3]):
            self.entries[name] = Entry(source=PUBLISHED[number], system=f"Version 0 of {name}.")
        self.entries[ALIASES[0]] = Entry(source=MADE[0], warm=True)

    def looked(self) -> None:
        """From here on it counts what is wanted."""
        self.unwanted.clear()
        self._note()

    def _note(self) -> None:
        for tier in TIERS:
            wanted = {name for name, entry in self.for_tier(tier).items() if not entry.absent}
            self.unwanted |= {(tier, name) for name in (*PUBLISHED, *MADE, *ALIASES) if name not in wanted}

    def changes(self) -> None:
        """One edit as people make them."""
        self._edit()
        self._note()

    def _edit(self) -> None:
        draw = self.random.choice
        match draw(("add", "add", "drop", "absent", "text", "retarget", "narrow", "warm")):
            case "add":
                self._add(draw((*PUBLISHED, *MADE, *ALIASES)))
            case "drop":
                self._take_away(draw(list(self.entries)), absent=False)
            case "absent":
                self._take_away(draw(list(self.entries)), absent=True)
            case "text":
                made = [entry for entry in self.entries.values() if entry.system is not None]
                if made:
                    draw(made).system = f"Version {self.random.randrange(10**6)}."
            case "retarget":
                following = [name for name in ALIASES if name in self.entries and not self.entries[name].absent]
                targets = list(self._targets())
                if following and targets:
                    self.entries[draw(following)].source = draw(targets)
            case "narrow":
                free = [name for name, entry in self.entries.items() if not self._needed(name) and not entry.source]
                if free:
                    self.entries[draw(free)].tier = draw((None, *TIERS))
            case _:
                for entry in self.entries.values():
                    entry.warm = False
                warmed = [entry for entry in self.entries.values() if not entry.absent and entry.tier is None]
                if warmed:
                    draw(warmed).warm = True

    def publishes(self) -> str:
        """The registry has another content under a name from now on; which."""
        name = self.random.choice(PUBLISHED[:3])
        self.contents[name] += 1
        return name

    def for_tier(self, tier: str) -> dict[str, Entry]:
        """What is said of the hosts of that tier."""
        return {name: entry for name, entry in self.entries.items() if entry.tier in {None, tier}}

    def _targets(self) -> Iterator[str]:
        """What others may be made from: there on every host."""
        for name, entry in self.entries.items():
            if name not in ALIASES and entry.tier is None and not entry.absent:
                yield name

    def _add(self, name: str) -> None:
        if name in self.entries and not self.entries[name].absent:
            return
        if name in PUBLISHED:
            self.entries[name] = Entry(follows_registry=name in PUBLISHED[:3])
            return
        targets = [target for target in self._targets() if target in PUBLISHED]
        if targets:
            source = self.random.choice(targets)
            system = f"Version 0 of {name}." if name in MADE else None
            self.entries[name] = Entry(source=source, system=system)

    def _take_away(self, name: str, *, absent: bool) -> None:
        if self._needed(name) or len(self.entries) <= 8:
            return
        if absent:
            self.entries[name] = Entry(absent=True)
        else:
            del self.entries[name]

    def _needed(self, name: str) -> bool:
        return any(entry.source == name for entry in self.entries.values())


def offered(name: str, content: int) -> dict[str, Any]:
    """What the registry has under the name then, as the simulator takes it."""
    return {"size": 60_000 + 1_000 * len(name), "seed": f"{name} {content}"}


def system_digest(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def untrue(
    wanted: Mapping[str, Entry], state: Mapping[str, Any], registry: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """What the host's own truth shows otherwise than it is wanted, a sentence each.

    `state` is the simulator's; `registry` has the digests that a host may list of what is published, by name.
    """
    models = state["models"]
    for name, entry in wanted.items():
        there = models.get(name)
        if entry.absent:
            if there is not None:
                yield f"`{name}` must be gone and is there"
        elif there is None:
            yield f"`{name}` is not there"
        elif entry.system is not None:
            texts = [layer["digest"] for layer in there["layers"] if layer["kind"] == "system"]
            if texts != [system_digest(entry.system)]:
                yield f"`{name}` has another system prompt"
            elif entry.source is not None and _weights(there) != _weights(models.get(entry.source)):
                yield f"`{name}` is made from other weights than those of `{entry.source}`"
        elif entry.source is not None:
            if there["digest"] != models.get(entry.source, {}).get("digest"):
                yield f"`{name}` is another content than `{entry.source}`"
        elif entry.follows_registry and there["digest"].removeprefix("sha256:") not in registry[name]:
            yield f"`{name}` is not what the registry has"
        if entry.warm and there is not None and not entry.absent:
            held = {runner["weights"] for runner in state["running"]}
            if not held & set(_weights(there)):
                yield f"`{name}` is not in memory"
        if there is not None and not entry.absent:
            gone = [layer["digest"] for layer in there["layers"] if layer["digest"] not in state["blobs"]]
            if gone:
                yield f"`{name}` is listed and not whole"
    for name in models:
        # Of what is declared no more, nobody knows whether it is still needed; `fleet doctor` tells of it.
        if name.startswith(tuple(f"fleet-backup/{each.split('/')[-1].split(':')[0]}-" for each in wanted)):
            yield f"`{name}` was left"


def _weights(model: Mapping[str, Any] | None) -> list[str]:
    return [] if model is None else [layer["digest"] for layer in model["layers"] if layer["kind"] == "model"]
