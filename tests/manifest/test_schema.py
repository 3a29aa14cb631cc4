"""The JSON Schema, judged by a validator: it takes what the reader takes and refuses what it can know to be wrong."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from fleet.manifest.faults import Faults, ManifestErrors
from fleet.manifest.load import load
from fleet.manifest.reading import read_documents
from fleet.manifest.schema import json_schema
from fleet.manifest.tree import Node, Scalar, Sequence
from tests.manifest.cases import FOLDER, Case, read_cases
from tests.manifest.documents import INVENTORIES, MANIFESTS, in_yaml

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLES = Path(__file__).parents[2] / "examples" / "manifests"


def as_editors_see(node: Node) -> Any:
    """A tree with the types of YAML 1.2, which is what editors give to a schema."""
    if isinstance(node, Sequence):
        return [as_editors_see(item) for item in node.items]
    if not isinstance(node, Scalar):
        return {key: as_editors_see(value) for key, (_, value) in node.entries.items()}
    if node.style:
        return node.text
    if node.null:
        return None
    if node.text in {"true", "false"}:
        return node.text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", node.text):
        return int(node.text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", node.text):
        return float(node.text)
    return node.text


def schema_faults(text: str) -> list[str]:
    faults = Faults()
    documents = read_documents(text.encode(), "f", faults)
    assert not faults.found
    return [error.message for document in documents for error in VALIDATOR.iter_errors(as_editors_see(document))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


SOUND = [case for file in sorted(FOLDER.glob("*.yaml")) for case in read_cases(file.name) if case.faults is None]


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_it_takes_every_case_that_is_sound(case: Case) -> None:
    for name, text in case.files.items():
        if name.endswith(".yaml"):
            assert schema_faults(text) == []


@settings(max_examples=100, deadline=None)
@given(INVENTORIES, MANIFESTS)
def test_it_takes_whatever_the_reader_takes(inventory: dict[str, Any], manifest: dict[str, Any]) -> None:
    text = in_yaml(inventory, manifest)
    load(["-"], stdin=io.BytesIO(text.encode()))
    assert schema_faults(text) == []


WRONG = [
    "{}",
    "- x",
    "text",
    "{version: 2}",
    "{version: 1, models: [a]}",
    "{version: 1, modles: {}}",
    "{version: 1, models: {a: {pul: {}}}}",
    "{version: 1, models: {a: {absent: false}}}",
    "{version: 1, models: {a: {create: {}, alias: x}}}",
    "{version: 1, models: {a: {absent: true, pull: {}}}}",
    "{version: 1, models: {a: {pull: {update: daily}}}}",
    "{version: 1, models: {a: {pull: {pin: sha256:ab}}}}",
    "{version: 1, models: {a: {pull: {pin: x}}}}",
    "{version: 1, models: {a: {push: maybe}}}",
    "{version: 1, models: {a: {replace: never}}}",
    "{version: 1, models: {a: {check: {prompt: x}}}}",
    "{version: 1, models: {a: {check: [{prompt: x, embed: y}]}}}",
    "{version: 1, models: {a: {check: [{expect: y}]}}}",
    "{version: 1, models: {a: {check: [{prompt: x, within: 5}]}}}",
    "{version: 1, models: {a: {warm: {keep_alive: 300}}}}",
    "{version: 1, models: {a: {warm: {options: {num_ctx: x}}}}}",
    "{version: 1, models: {a: {warm: 5m}}}",
    "{version: 1, models: {a: {create: {from: ~}}}}",
    "{version: 1, models: {a: {create: {modelfile: [y]}}}}",
    "{version: 1, models: {a: {create: {from: x, files: y}}}}",
    "{version: 1, models: {a: {create: {files: []}}}}",
    "{version: 1, models: {a: {create: {files: {sha256: x}}}}}",
    "{version: 1, models: {a: {create: {from: x, quantize: []}}}}",
    "{version: 1, models: {a: {create: {from: x, parameters: {temperatur: 1}}}}}",
    '{version: 1, models: {a: {create: {from: x, parameters: {temperature: "1"}}}}}',
    "{version: 1, models: {a: {create: {from: x, messages: []}}}}",
    "{version: 1, models: {a: {create: {from: x, messages: [{role: tool, content: y}]}}}}",
    "{version: 1, models: {a: {create: {from: x, system: {path: y}}}}}",
    "{version: 1, models: {a: {overrides: [{warm: true}]}}}",
    "{version: 1, models: {a: {overrides: []}}}",
    "{version: 1, hosts: {a: {}, b: [x]}}",
    "{version: 1, hosts: {a: {url: x, capacity: {vram: 80}}}}",
    "{version: 1, hosts: {a: {url: x, capacity: {disk: 80}}}}",
    "{version: 1, hosts: {a: {url: x, capacity: {loaded: 0}}}}",
    "{version: 1, hosts: {a: {url: x, auth: {bearer: y}}}}",
    "{version: 1, groups: {a: {group: b}}}",
    "{version: 1, policy: {prune: all}}",
    "{version: 1, policy: {max_deletes: -1}}",
    "{version: 1, registries: {a: {mirror: [x]}}}",
    "{version: 1, registries: {a: {url: ~}}}",
    "{version: 1, where: {env: prod}}",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_refused_by_schema_and_reader(text: str) -> None:
    assert schema_faults(text)
    with pytest.raises(ManifestErrors):
        load(["-"], stdin=io.BytesIO(text.encode()))


FILES = sorted(EXAMPLES.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_it_takes_every_example(path: Path) -> None:
    assert schema_faults(path.read_text()) == []


# The tour is package data as well, where no schema lies beside it.
COMMENTED = [path for path in FILES if path.parent.name != "tour"]


@pytest.mark.parametrize("path", COMMENTED, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_every_example_begins_with_the_comment_for_editors(path: Path) -> None:
    comment, _, _ = path.read_text().partition("\n")
    assert comment.startswith("# yaml-language-server: $schema=")
    schema = path.parent / comment.partition("=")[2]
    assert json.loads(schema.read_text()) == SCHEMA


def test_there_are_examples() -> None:
    assert len(FILES) >= 5
