"""One digest for a desired state, so that a saved plan can tell whether it still belongs to the manifests.

Pure. Places, spelling and order do not count; what is asked of which server does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fleet.manifest.address import comparable
from fleet.manifest.inventory import Host, Policy, Registry
from fleet.manifest.item import AbsentItem, Alias, Create, Desired, Item, Pull, Source

_FORMAT = 2
"""Raised when the same state would give another digest than before."""


def fingerprint(desired: Desired) -> str:
    """SHA-256 in hex."""
    known: dict[int, Any] = {}
    hosts = {
        str(name): [
            _host(wanted.host),
            [_once(known, item) for item in wanted.items],
            [_once(known, item) for item in wanted.absent],
        ]
        for name, wanted in desired.hosts.items()
    }
    value = [_FORMAT, desired.name, hosts, _policy(desired.policy), _registries(desired.registries)]
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _once(known: dict[int, Any], item: Item | AbsentItem) -> str:
    """The digest of an item; hosts share items, so each is written out once."""
    found = known.get(id(item))
    if found is None:
        value = _item(item) if isinstance(item, Item) else [item.pattern.text.lower(), item.exact is not None]
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        found = known[id(item)] = hashlib.sha256(text.encode()).hexdigest()
    return str(found)


def _host(host: Host) -> list[Any]:
    return [comparable(host.url), host.suspended is not None, host.capacity.vram, host.capacity.loaded, host.ephemeral]


def _item(item: Item) -> list[Any]:
    warm = None if item.warm is None else [item.warm.keep_alive, dict(item.warm.options)]
    return [item.name.key, _source(item.source), warm, item.protect, item.freeze]


def _source(source: Source) -> list[Any]:
    match source:
        case Pull():
            return ["pull", source.update.value, source.insecure]
        case Alias():
            return ["alias", source.source.key]
        case Create():
            return [
                "create",
                source.base.key,
                source.system,
                source.template,
                dict(source.parameters),
                [[message.role, message.content] for message in source.messages],
                source.license,
                source.renderer,
                source.parser,
                source.requires,
            ]


def _policy(policy: Policy) -> list[Any]:
    return [sorted(pattern.text.lower() for pattern in policy.protect), policy.max_deletes]


def _registries(registries: Mapping[str, Registry] | None) -> Any:
    return None if registries is None else {name: registry.insecure for name, registry in registries.items()}
