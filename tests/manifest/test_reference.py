"""The page that explains inventory and manifests names everything that may be written, and its examples are sound."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.manifest.desired import resolve
from fleet.manifest.document import DOCUMENT
from fleet.manifest.faults import ManifestErrors
from fleet.manifest.inventory import Policy
from fleet.manifest.inventory_format import HOST
from fleet.manifest.load import load
from fleet.manifest.model_format import ENTRY
from fleet.manifest.schema import json_schema

PAGE = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text(encoding="utf-8")
WORDS = frozenset(re.findall(r"`([a-z0-9_]+)`", PAGE))
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def keys_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from keys_of(one)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        for one in schema.values():
            yield from keys_of(one)


KEYS = sorted(set(keys_of(json_schema())))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_schema_is_explained(key: str) -> None:
    assert key in WORDS


def test_the_keys_were_found() -> None:
    assert len(KEYS) > 80
    assert {*DOCUMENT.keys, *HOST.keys, *ENTRY.keys} <= set(KEYS)


@pytest.mark.parametrize("key", [*ENTRY.later, *ENTRY.reserved])
def test_what_is_not_supported_yet_is_named(key: str) -> None:
    assert key in WORDS


def test_the_examples_are_sound_together() -> None:
    text = "---\n".join(BLOCKS)
    desired = resolve(load(["-"], stdin=io.BytesIO(text.encode())))
    assert len(desired.hosts) == 18
    assert [str(item.name) for item in desired.hosts["gpu-b"].items] == [  # type: ignore[index] # a text finds a host
        "acme/assistant:latest", "chat:latest", "llama3.1:8b", "qwen3:8b",
    ]  # fmt: skip


EXAMPLES = re.findall(
    r"\| `((?:warm|pull|policy|registries|name|where|models|hosts|groups|file_roots): [^|]*?)` \|", PAGE
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_one_line_is_sound(example: str) -> None:
    if example.startswith(("warm", "pull")):
        example = f"models: {{m: {{{example}}}}}"
    hosts = "" if example.startswith("hosts") else "hosts: {a: {url: a.lan, labels: {env: prod}}}\n"
    load(["-"], stdin=io.BytesIO(f"version: 1\n{hosts}{example}\n".encode()))


def test_examples_were_found_and_a_wrong_one_would_be_told() -> None:
    assert len(EXAMPLES) >= 15
    with pytest.raises(ManifestErrors):
        test_an_example_of_one_line_is_sound("warm: {keepalive: 30m}")


def test_the_limit_of_deletes_is_the_one_told() -> None:
    assert f"with more, none is deleted there | {Policy().max_deletes} |" in PAGE
