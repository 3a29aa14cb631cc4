"""Rows of the database made of remembered values and the other way round. Pure.

Models are keyed by `ModelName.key`; `spelled` keeps how they are shown. Times are ISO 8601 in UTC, JSON stands for maps
alone, several digests or keys are one text with spaces between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

from fleet.names import Digest, HostName, ModelName
from fleet.state.cells import Cell, number_of, sound, text_of, time_of, time_text
from fleet.state.evidence import Begun, Checked, Evidence, Made, Pushed
from fleet.state.remembered import HostRemembered, OptionValues, Remembered

Key = tuple[str, ...]
"""The table, then what tells a row of one fleet from the others there."""
Rows = dict[Key, tuple[Cell, ...]]
"""By key, the cells that are no part of it."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a row of one fleet consists of, in the order of `Key` and cells; the column `fleet` comes before."""

    name: str
    key: tuple[str, ...]
    cells: tuple[str, ...] = ()


_OF_HOST = ("host", "model")

TABLES = (
    Table("sizes", ("scope",), ("place", "items")),
    Table("sources", ("scope",), ("told",)),
    Table("pushed", ("model",), ("spelled", "host", "digest", "published", "fingerprint", "at")),
    Table("hosts", ("host",), ("url", "listed")),
    Table("loaded", _OF_HOST, ("spelled", "options")),
    Table("borrowed", _OF_HOST, ("spelled",)),
    Table(
        "evidence",
        _OF_HOST,
        (
            "spelled", "inputs", "fingerprint", "digest", "base", "base_content",
            "weights", "version", "at", "revision", "adopted",
        ),
    ),
    Table("checked", _OF_HOST, ("spelled", "digest", "questions", "passed", "told", "at")),
    Table("made", _OF_HOST, ("spelled", "digest", "owned", "undone", "at")),
    Table("begun", _OF_HOST, ("spelled", "action", "former", "since")),
)  # fmt: skip
"""Tables of hosts after the one that names the hosts."""

FLEET = ""
"""Stands for a host where rows belong to none."""

_AGAIN = " again"
"""After the action of what was left before."""

_SEAL_BITS = 62


def seal(key: Key, cells: tuple[Cell, ...]) -> int:
    """A sum over one row. Those of all rows are added up, in any order: lost, doubled and altered ones show.

    Against accidents alone: who may write to the file can make a new sum.
    """
    return crc32("\0".join(map(str, key + cells)).encode()) + (1 << 32)


def sealed(total: int) -> int:
    """A sum of seals in the range that is stored; differences may be negative on the way."""
    return total % (1 << _SEAL_BITS)


def host_of(key: Key) -> str:
    """The host whose row it is, or `FLEET`."""
    return FLEET if key[0] in {"sizes", "sources", "pushed"} else key[1]


def rows_of_fleet(remembered: Remembered) -> Rows:
    """What belongs to no host."""
    rows: Rows = {("sizes", scope): (place, items) for place, (scope, items) in enumerate(remembered.items.items())}
    rows.update((("sources", scope), (told,)) for scope, told in remembered.sources.items())
    for model, pushed in remembered.pushed.items():
        rows["pushed", model.key] = (
            str(model),
            pushed.host,
            pushed.digest.hex,
            pushed.published.hex,
            pushed.fingerprint,
            time_text(pushed.at),
        )
    return rows


def rows_of_host(name: HostName, host: HostRemembered) -> Rows:
    """All of one host."""
    rows: Rows = {("hosts", name): (host.url, " ".join(sorted(host.models)))}
    rows.update((("loaded", name, model.key), (str(model), _json(options))) for model, options in host.loaded.items())
    rows.update((("borrowed", name, model.key), (str(model),)) for model in host.borrowed)
    for model, evidence in host.evidence.items():
        rows["evidence", name, model.key] = (
            str(model),
            _json(evidence.inputs),
            evidence.fingerprint,
            evidence.digest.hex,
            evidence.base.hex if evidence.base is not None else None,
            evidence.base_content,
            " ".join(sorted(digest.hex for digest in evidence.weights)),
            sound(evidence.version),
            time_text(evidence.at),
            evidence.revision,
            int(evidence.adopted),
        )
    for model, checked in host.checked.items():
        rows["checked", name, model.key] = (
            str(model),
            checked.digest.hex,
            checked.questions,
            int(checked.passed),
            sound(checked.told),
            time_text(checked.at),
        )
    for model, made in host.made.items():
        rows["made", name, model.key] = (str(model), made.digest.hex, int(made.owned), made.undone, time_text(made.at))
    for model, begun in host.begun.items():
        former = begun.former.hex if begun.former is not None else None
        action = begun.action + _AGAIN if begun.again else begun.action
        rows["begun", name, model.key] = (str(model), action, former, time_text(begun.since))
    return rows


def remembered_of(rows: Mapping[str, Rows]) -> Remembered:
    """Of rows by `host_of`. Raises `ValueError` or `TypeError` for what no fleet wrote."""
    sizes: list[tuple[int, str, int]] = []
    sources: dict[str, str] = {}
    pushed: dict[ModelName, Pushed] = {}
    for key, cells in rows.get(FLEET, {}).items():
        if key[0] == "sizes":
            sizes.append((number_of(cells[0]), key[1], number_of(cells[1])))
        elif key[0] == "sources":
            sources[key[1]] = text_of(cells[0])
        else:
            spelled, host, digest, published, fingerprint, at = map(text_of, cells)
            pushed[_model(key, spelled)] = Pushed(
                HostName.parse(host), Digest.parse(digest), Digest.parse(published), fingerprint, time_of(at)
            )
    return Remembered(
        {scope: items for _, scope, items in sorted(sizes)},
        {HostName.parse(name): _host(of_host) for name, of_host in rows.items() if name != FLEET},
        pushed,
        sources,
    )


def _host(rows: Rows) -> HostRemembered:
    seen: list[tuple[str, frozenset[str]]] = []
    loaded: dict[ModelName, OptionValues] = {}
    evidence: dict[ModelName, Evidence] = {}
    checked: dict[ModelName, Checked] = {}
    borrowed: list[ModelName] = []
    made: dict[ModelName, Made] = {}
    begun: dict[ModelName, Begun] = {}
    for key, cells in rows.items():
        match key[0]:
            case "hosts":
                seen.append((text_of(cells[0]), frozenset(text_of(cells[1]).split())))
            case "loaded":
                loaded[_model(key, cells[0])] = _options(text_of(cells[1]))
            case "borrowed":
                borrowed.append(_model(key, cells[0]))
            case "evidence":
                evidence[_model(key, cells[0])] = _evidence(cells)
            case "made":
                made[_model(key, cells[0])] = _made(cells)
            case "begun":
                begun[_model(key, cells[0])] = _begun(cells)
            case _:
                checked[_model(key, cells[0])] = _checked(cells)
    ((url, models),) = seen
    return HostRemembered(url, models, loaded, evidence, checked, frozenset(borrowed), made, begun)


def _evidence(cells: tuple[Cell, ...]) -> Evidence:
    _, inputs, fingerprint, digest, base, base_content, weights, version, at, revision, adopted = cells
    return Evidence(
        _inputs(text_of(inputs)),
        text_of(fingerprint),
        Digest.parse(text_of(digest)),
        None if base is None else Digest.parse(text_of(base)),
        None if base_content is None else text_of(base_content),
        frozenset(Digest.parse(each) for each in text_of(weights).split()),
        text_of(version),
        time_of(text_of(at)),
        text_of(revision),
        bool(number_of(adopted)),
    )


def _checked(cells: tuple[Cell, ...]) -> Checked:
    _, digest, questions, passed, told, at = cells
    return Checked(
        Digest.parse(text_of(digest)), text_of(questions), bool(number_of(passed)), text_of(told), time_of(text_of(at))
    )


def _made(cells: tuple[Cell, ...]) -> Made:
    _, digest, owned, undone, at = cells
    return Made(Digest.parse(text_of(digest)), bool(number_of(owned)), time_of(text_of(at)), number_of(undone))


def _begun(cells: tuple[Cell, ...]) -> Begun:
    _, action, former, since = cells
    told = text_of(action)
    before = None if former is None else Digest.parse(text_of(former))
    return Begun(told.removesuffix(_AGAIN), before, time_of(text_of(since)), again=told.endswith(_AGAIN))


def _model(key: Key, spelled: Cell) -> ModelName:
    model = ModelName.parse(text_of(spelled))
    if model.key != key[-1]:
        raise ValueError(f"`{model}` stands under another name")
    return model


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(dict(value), separators=(",", ":"))


# The same text mostly stands for many hosts; nobody changes the map that it becomes.
@lru_cache(maxsize=4096)
def _inputs(text: str) -> Mapping[str, str]:
    return {field: text_of(value) for field, value in _map(text).items()}


@lru_cache(maxsize=4096)
def _options(text: str) -> OptionValues:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in _map(text).items()}


def _map(text: str) -> dict[str, Any]:
    read = json.loads(text)
    if not isinstance(read, dict):
        raise TypeError("a map is none")
    return read
