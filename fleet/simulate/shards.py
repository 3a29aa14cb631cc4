"""Split GGUFs: the files of one model, told by their names and metadata, and joined (≥0.30; `ollama-api.md` 7.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fleet.simulate.gguf import Header, Kind
from fleet.simulate.imports import ImportRefusedError, Part

_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf\Z")
_COUNTS = {Kind.UINT16, Kind.UINT32, Kind.UINT64, Kind.INT32, Kind.INT64}
_MOST = (1 << 16) - 1


def merged(parts: Sequence[Part]) -> list[Part]:
    """The parts, with split ones as one each behind the others. Raises `ImportRefusedError`."""
    whole: list[Part] = []
    groups: dict[tuple[str, str, int], list[Part]] = {}
    for part in parts:
        count = _number(part.header, "split.count")
        if count is None or count <= 1:
            whole.append(part)
        else:
            groups.setdefault(_group(part, count), []).append(part)
    return whole + [_merged(shards) for shards in groups.values()]


def _number(header: Header | None, key: str) -> int | None:
    """A small number of the metadata, under the key as it is or below the architecture's name."""
    for name in (key, f"{header.architecture}.{key}") if header else ():
        found = header.metadata.get(name) if header else None
        if found is not None and found.kind in _COUNTS and 0 <= found.value <= _MOST:
            return int(found.value)
    return None


def _group(part: Part, count: int) -> tuple[str, str, int]:
    """What the files of one model have in common."""
    name = part.layer.origin
    match = _NAME.search(name.rpartition("/")[2])
    if match is None or not (int(match[2]) and int(match[3])):
        raise ImportRefusedError(f'split GGUF "{name}" must use llama.cpp split filename pattern')
    index = int(match[2]) - 1
    if int(match[3]) != count:
        told = f"filename count {int(match[3])} does not match metadata count {count}"
        raise ImportRefusedError(f'split GGUF "{name}" {told}')
    number = _number(part.header, "split.no")
    if number is None:
        raise ImportRefusedError(f'split GGUF "{name}" is missing split.no metadata')
    if number != index:
        told = f"filename index {index} does not match metadata index {number}"
        raise ImportRefusedError(f'split GGUF "{name}" {told}')
    return part.layer.media_type, match[1], count


def _merged(shards: Sequence[Part]) -> Part:
    count = _number(shards[0].header, "split.count")
    if count != len(shards):
        raise ImportRefusedError(f'split GGUF "{shards[0].layer.origin}" has {len(shards)} shards, expected {count}')
    by_number: dict[int, Part] = {}
    for shard in shards:
        number = _number(shard.header, "split.no") or 0
        if number in by_number:
            raise ImportRefusedError(f"split GGUF has duplicate shard index {number}")
        by_number[number] = shard
    # Names gave each number within the count, and no two are the same: none is missing.
    ordered = [by_number[number] for number in sorted(by_number)]
    return replace(ordered[0], shards=tuple(ordered))
