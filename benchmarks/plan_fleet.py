"""Plans 1,000 hosts of 40 items: with the argument `settled` nothing is to do, with `bare` every item is.

A host is asked for 30 pulls, 5 created models, 5 aliases, two warm models and one glob of models to be gone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from replies import digest
from spent import spent

from fleet.manifest.inventory import Host, NamePattern, Place, Policy
from fleet.manifest.item import AbsentItem, Alias, Create, Desired, HostDesired, Item, Pull, Warm
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version
from fleet.reconcile.observed import Content, Observed, Present, Runner
from fleet.reconcile.plan import plan

HOSTS = 1000
PLACE = Place("manifest.yaml", 1, 1)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
FOREVER = datetime(2318, 11, 23, tzinfo=UTC)
Parameters = Mapping[str, tuple[str | float | bool | None, ...]]
SYSTEM = "You answer briefly, in the language of the question."


def items() -> tuple[Item, ...]:
    """40 items, sorted by name; made anew for each host, as a host with overrides of its own has them."""
    made = [Item(_name(f"pulled-{number:02}"), Pull(), PLACE) for number in range(30)]
    made[0] = Item(made[0].name, Pull(), PLACE, warm=Warm(options={"num_ctx": 8192}))
    for number in range(5):
        base, name = made[number].name, _name(f"acme/created-{number}")
        create = Create(base, system=SYSTEM, parameters={"stop": ("<|end|>",), "temperature": 0.2})
        made.append(Item(name, create, PLACE, warm=Warm(keep_alive=3600.0) if number == 1 else None))
        made.append(Item(_name(f"chat-{number}"), Alias(name), PLACE))
    return tuple(sorted(made, key=lambda item: item.name.key))


def settled(host: HostName, declared: tuple[Item, ...]) -> Observed:
    """A host that holds everything as declared."""
    models, contents = {}, {}
    for number, item in enumerate(declared):
        holder = item.source.source if isinstance(item.source, Alias) else item.name
        held = Digest.parse(digest(declared.index(next(i for i in declared if i.name == holder))))
        models[item.name] = Present(item.name, str(item.name), held, 5_000_000_000 + number)
    for item in declared:
        if isinstance(item.source, Create):
            weights = frozenset([Digest.parse(digest(1000 + int(item.name.model[-1])))])
            inherited: Parameters = {"num_ctx": (4096.0,)}
            own: Parameters = {**inherited, "stop": ("<|end|>",), "temperature": (0.2,)}
            contents[item.source.base] = Content(weights, "{{ .Prompt }}", "", parameters=inherited)
            contents[item.name] = Content(weights, "{{ .Prompt }}", SYSTEM, parameters=own)
    runners = tuple(
        Runner(str(item.name), models[item.name].digest, 5_000_000_000, 5_000_000_000, FOREVER, context)
        for item, context in ((item, item.warm.options.get("num_ctx", 4096)) for item in declared if item.warm)
        if isinstance(context, int)
    )
    return Observed(host, Version.parse("0.32.15"), models, runners, contents, at=NOW)


def bare(host: HostName) -> Observed:
    """A host that holds nothing but three models that must be gone."""
    old = [
        Present(_name(f"old-{number}"), f"old-{number}:latest", Digest.parse(digest(number)), 4_000_000_000)
        for number in range(3)
    ]
    return Observed(host, Version.parse("0.32.15"), {present.name: present for present in old})


def _name(text: str) -> ModelName:
    return ModelName.parse(text)


absent = (AbsentItem(NamePattern("old-*"), PLACE),)
names = [HostName(f"host-{number:04}") for number in range(HOSTS)]
hosts = {name: HostDesired(Host(name, f"http://{name}:11434", PLACE), items(), absent) for name in names}
done = sys.argv[1] == "settled"
observations = {name: settled(name, hosts[name].items) if done else bare(name) for name in names}
with spent():
    planned = plan(Desired("bench", hosts, Policy()), observations)
assert not planned.blocked
assert not planned.refused
assert len(planned.steps) == (0 if done else HOSTS * (40 + 2 + 3))
