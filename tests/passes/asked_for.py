"""Is a host as its manifest says? Read from the simulator's own store, by rules of its own and none of fleet's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from fleet.simulate.image import Layer
from fleet.simulate.modelname import Name
from tests.passes.happenings import Entry
from tests.passes.world import World, published

BACKUPS = "fleet-backup/"


def full(name: str) -> str:
    """As hosts list it."""
    return name if ":" in name or "*" in name else f"{name}:latest"


def backup(name: str) -> str:
    """Where the former content is kept while a name is replaced (`design.md` 8)."""
    path, _, tag = full(name).partition(":")
    written_out = f"registry.ollama.ai/{path if '/' in path else f'library/{path}'}:{tag}"
    return f"{BACKUPS}{path.rpartition('/')[2]}-{sha256(written_out.encode()).hexdigest()[:12]}:latest"


def undeclared(world: World) -> dict[str, str]:
    """What stands on the host of which the manifest does not speak."""
    declared = {full(name) for name in world.declared}
    absent = [full(name) for name, entry in world.declared.items() if "absent" in entry]
    return {
        name: digest
        for name, digest in world.listed().items()
        if name not in declared
        and not any(fnmatchcase(name.partition(":")[0], glob) for glob in absent)
        and not name.startswith(BACKUPS)
        and name not in world.borrowed
    }


def faults(world: World, aside: Iterable[str]) -> Iterator[str]:
    """What is not as declared, but for names that are blocked or that nobody can prove."""
    listed = world.listed()
    left_out = set(aside)
    # A backup of what is not declared any more may be the only good copy, and stays.
    own = {backup(name) for name in world.declared if full(name) not in left_out} | world.borrowed
    for name in own & listed.keys():
        yield f"`{name}` is left"
    for name, entry in world.declared.items():
        if full(name) in left_out:
            continue
        if "absent" in entry:
            yield from (
                f"`{each}` is there"
                for each in listed
                if fnmatchcase(each.partition(":")[0], name) or each == full(name)
            )
        elif full(name) not in listed:
            yield f"`{name}` is missing"
        elif "alias" in entry:
            if listed[full(name)] != listed.get(full(entry["alias"])):
                yield f"`{name}` is not what `{entry['alias']}` is"
        elif "create" in entry:
            yield from _made(world, name, entry["create"])
        else:
            yield from _pulled(world, name, entry.get("pull") or {})
        if "warm" in entry and not _in_memory(world, name):
            yield f"`{name}` is not in memory"


def _pulled(world: World, name: str, pull: Mapping[str, Any]) -> Iterator[str]:
    digest = world.listed()[full(name)]
    if "pin" in pull and digest not in published(name, pull["pin"]):
        yield f"`{name}` is not what is pinned"
    if pull.get("update") == "always" and digest not in published(name, world.contents[pull.get("from", name)]):
        yield f"`{name}` is not what its registry has"
    if not _layers(world, name)["model"]:
        yield f"`{name}` has no weights"


def _made(world: World, name: str, create: Entry) -> Iterator[str]:
    layers = _layers(world, name)
    base: Mapping[str, list[Layer]] = _layers(world, create["from"]) if "from" in create else {}

    def texts(kind: str, of: Mapping[str, list[Layer]]) -> list[str]:
        return [_content(world, layer) for layer in of.get(kind, ())]

    for kind in ("system", "template"):
        if kind in create or base:
            wanted = [create[kind]] if kind in create else texts(kind, base)
            if texts(kind, layers) != wanted:
                yield f"`{name}`: {kind} is {texts(kind, layers)}, not {wanted}"
    if texts("license", layers) != [*texts("license", base), *create.get("license", ())]:
        yield f"`{name}`: license is {texts('license', layers)}"
    asked = {**_json(texts("params", base), {}), **create.get("parameters", {})}
    shown = _json(texts("params", layers), {})
    if any(shown.get(key, []) != value for key, value in asked.items()) or (base and shown.keys() - asked.keys()):
        yield f"`{name}`: parameters are {shown}, not {asked}"
    # Old servers keep a base's conversation beside the new one, which counts.
    talk = create.get("messages") or _json(texts("messages", base), [])
    if _json(texts("messages", layers), []) != talk:
        yield f"`{name}`: messages are {texts('messages', layers)}"
    weights = [layer.digest for layer in layers["model"]]
    if base and weights != [layer.digest for layer in base["model"]]:
        yield f"`{name}`: has other weights than `{create['from']}`"
    rewritten = tuple(map(int, world.version.split("."))) >= (0, 30, 0)
    if "files" in create and "quantize" not in create and not rewritten and weights != [f"sha256:{world.weights}"]:
        yield f"`{name}`: is not made from the file"
    if len(layers.get("adapter", ())) != len(create.get("adapters", ())) + len(base.get("adapter", ())):
        yield f"`{name}`: has {len(layers.get('adapter', ()))} adapters"


def _layers(world: World, name: str) -> dict[str, list[Layer]]:
    found: dict[str, list[Layer]] = {"model": []}
    _, manifest = world.engine.store.get(Name.parse(name))
    for layer in manifest.layers or ():
        found.setdefault(layer.kind, []).append(layer)
    return found


def _content(world: World, layer: Layer) -> str:
    content = world.engine.store.blobs.find(layer.digest)
    assert content is not None, f"{layer.kind} is gone"
    return content.read(0, content.size).decode()


def _json(texts: list[str], otherwise: Any) -> Any:
    return json.loads(texts[-1]) if texts else otherwise


def _in_memory(world: World, name: str) -> bool:
    weights = {layer.digest for layer in _layers(world, name)["model"]}
    return any(runner["weights"] in weights for runner in world.engine.state()["running"])
