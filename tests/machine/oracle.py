"""What is not as declared on a host, by a reading of its own: neither the product's names nor its differences are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.machine.declared import Entry
from tests.machine.spelled import full, is_backup, meant
from tests.machine.world import WEIGHTS, World, published


def wrong(world: World, host: str, aside: frozenset[str] = frozenset()) -> Iterator[str]:
    """Every difference; names in `aside` are left out."""
    listed, usable = world.listed(host), world.usable(host)
    for spelled, entry in world.declared.items():
        if entry.get("absent"):
            exact = {full(each) for each, said in world.declared.items() if not said.get("absent")}
            for name in sorted(world.told(host)):
                if meant(spelled, name) and name not in aside | exact and not is_backup(name):
                    yield f"{name} is on {host}, and `{spelled}` is to be absent"
            continue
        name = full(spelled)
        if name in aside:
            continue
        if name not in listed:
            yield f"{name} on {host} is missing"
            continue
        if name not in usable:
            # What somebody broke is only looked into where something hangs on it (`design.md` 6).
            continue
        yield from _content(world, host, name, entry)
        if entry.get("warm") and not _weights(world, host, name) & world.in_memory(host):
            yield f"{name} is not in memory on {host}"


def _content(world: World, host: str, name: str, entry: Entry) -> Iterator[str]:
    listed = world.listed(host)
    if "alias" in entry:
        if listed[name] != listed.get(full(entry["alias"])):
            yield f"{name} on {host} is not what `{entry['alias']}` is"
    elif "create" in entry:
        yield from _made(world, host, name, entry["create"])
    else:
        pull: Mapping[str, Any] = entry.get("pull") or {}
        if "pin" in pull and listed[name] not in published(pull["pin"]):
            yield f"{name} on {host} is not what is pinned"
        served = published(world.contents[pull.get("from", plain(name))])
        if pull.get("update") == "always" and listed[name] not in served:
            yield f"{name} on {host} is not what its registry has"


def _made(world: World, host: str, name: str, create: Mapping[str, Any]) -> Iterator[str]:
    layers = world.layers(host, name)
    systems = [world.text(host, digest) for digest in layers.get("system", ())]
    if systems != [create["system"]]:
        yield f"{name} on {host} has the system {systems}, not `{create['system']}`"
    if "from" in create:
        base = full(create["from"])
        if base in world.listed(host) and _weights(world, host, base) != _weights(world, host, name):
            yield f"{name} on {host} has other weights than `{create['from']}`"
    elif rewritten(world, host):
        return
    elif layers.get("model") != [f"sha256:{hashlib.sha256(WEIGHTS[world.weights]).hexdigest()}"]:
        yield f"{name} on {host} is not made from the file"


def rewritten(world: World, host: str) -> bool:
    """Whether the server writes files anew, so that their digests tell nothing."""
    return tuple(map(int, world.versions[host].split("."))) >= (0, 30, 0)


def _weights(world: World, host: str, name: str) -> set[str]:
    return set(world.layers(host, name).get("model", ()))


def plain(name: str) -> str:
    """The short form of a full name, as the registry of this world has it."""
    for hidden in ("registry.ollama.ai/library/", "registry.ollama.ai/"):
        if name.startswith(hidden):
            return name.removeprefix(hidden)
    return name


def items(world: World) -> int:
    """How much is asked of all hosts together."""
    return len(world.declared) * len(world.versions)


def fingerprint(world: World) -> str:
    """Of all that is declared; equal for equal manifests."""
    return json.dumps([world.declared, world.policy, world.weights], sort_keys=True)
