"""One digest for a desired state, so that a saved plan can tell whether it still belongs to the manifests.

Pure. Places, spelling and order do not count; what is asked of which server does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from fleet.manifest.address import comparable
from fleet.manifest.inventory import Host, Policy, Registry
from fleet.manifest.item import AbsentItem, Alias, Check, Create, Desired, Item, Pull, Source
from fleet.weights.local import LocalFile

_FORMAT = 4
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
    capacity = host.capacity
    holds = [capacity.disk, capacity.vram, capacity.loaded]
    marked = [] if host.marker is None else [host.marker.key]
    return [comparable(host.url), host.suspended is not None, holds, host.ephemeral, *marked]


def _item(item: Item) -> list[Any]:
    warm = None if item.warm is None else [item.warm.keep_alive, dict(item.warm.options)]
    flags = [item.protect, item.freeze, item.push, item.in_place]
    return [item.name.key, _source(item.source), warm, flags, [_check(one) for one in item.check]]


def _check(check: Check) -> list[Any]:
    return [
        check.prompt,
        [[message.role, message.content] for message in check.chat],
        check.embed,
        check.expect,
        check.json,
        check.dimensions,
        dict(check.options),
        check.within,
    ]


def _source(source: Source) -> list[Any]:
    match source:
        case Pull():
            origin = None if source.origin is None else source.origin.key
            return ["pull", source.update.value, source.insecure, source.pin and source.pin.hex, origin]
        case Alias():
            return ["alias", source.source.key]
        case Create():
            return [
                "create",
                None if source.base is None else source.base.key,
                [_files(files) for files in (source.files, source.adapters, source.drafts)],
                source.quantize,
                source.draft_quantize,
                source.system,
                source.template,
                dict(source.parameters),
                [[message.role, message.content] for message in source.messages],
                source.license,
                source.renderer,
                source.parser,
                source.requires,
            ]


def _files(files: tuple[LocalFile, ...]) -> list[list[Any]]:
    """By what they are; a file that was not hashed yet is told from another version of itself by its stamp."""
    return [[file.key, astuple(file.stamp) if file.digest is None else file.digest.hex] for file in files]


def _policy(policy: Policy) -> list[Any]:
    protect = sorted(pattern.text.lower() for pattern in policy.protect)
    return [policy.update.value, protect, policy.max_deletes, policy.prune.value]


def _registries(registries: Mapping[str, Registry] | None) -> Any:
    if registries is None:
        return None
    return {name: [registry.insecure, registry.mirror, registry.url] for name, registry in registries.items()}
