"""Texts written as YAML are read back as they were, by fleet's own loader and by PyYAML's."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.manifest.faults import Faults
from fleet.manifest.reading import read_documents
from fleet.manifest.tree import Mapping, Node, Scalar, Sequence
from fleet.reconcile.importing.texts import inline
from fleet.render.yaml_scalars import one_line, scalar

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from("ab \t\n\r:#-|>\"'\\{}[]&*!%@`?,~\u2028\u3000\ufeff\U0001f600"), max_size=30),
).filter(inline)


def written(text: str) -> str:
    """The text as key, value, list item and value within a list item, each followed by something."""
    return (
        f"outer:\n  keys:\n    {one_line(text)}: after\n  value: {scalar(text, 2)}\n  # a comment\n  list:\n    - {scalar(text, 4)}\n"
        f"    - key: x\n      inner: {scalar(text, 6)}\n    - last\n  end: {scalar(text, 2)}\n"
    )


def plainly(node: Node) -> object:
    """As the loader takes it: every scalar a text."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plainly(item) for item in node.items]
    return {key: plainly(value) for key, (_, value) in node.entries.items()}


@given(TEXTS)
@example("a\n b\n")
@example(" a\nb")
@example("\na\nb\n\n\n")
@example("a\n\n  \nb")
@example("a\n\tb")
@example("\ta\nb")
@example("a\r\nb\r\n")
@example("a\nb # c: d")
@example("---\n...\n- x")
@example("no")
@example("~")
@example("")
@example("1e3")
@example("a\u2028b\nc")
@example("a\u3000b\nc")
def test_every_text_comes_back_as_it_was(text: str) -> None:
    faults = Faults()
    (read,) = read_documents(written(text).encode(), "x.yaml", faults)
    assert faults.found == []
    assert isinstance(read, Mapping)
    expected = {
        "keys": {text: "after"},
        "value": text,
        "list": [text, {"key": "x", "inner": text}, "last"],
        "end": text,
    }
    assert plainly(read) == {"outer": expected}


@given(TEXTS)
def test_other_readers_take_it_for_a_text_as_well(text: str) -> None:
    assert yaml.safe_load(written(text))["outer"]["value"] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("llama3.1:8b", "llama3.1:8b"),
        ("localhost:5000/a/b:latest", "localhost:5000/a/b:latest"),
        ("http://10.0.0.1:11434", "http://10.0.0.1:11434"),
        ("no", '"no"'),
        ("7b:latest", '"7b:latest"'),
        ("You are the assistant.", '"You are the assistant."'),
        ("a:", '"a:"'),
        ('say "hi"\x7f', '"say \\"hi\\"\\x7f"'),
    ],
)
def test_in_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_lines_become_a_block() -> None:
    assert scalar("You are Mario.\n\nAnswer briefly.", 0) == "|-\n  You are Mario.\n\n  Answer briefly."
    assert scalar("{{ .System }}\n{{ .Prompt }}\n", 2) == "|\n    {{ .System }}\n    {{ .Prompt }}"


def test_what_the_loader_refuses_is_known_beforehand() -> None:
    for code in [*range(0x2100), *range(0xFE00, 0x10010), 0xE0001]:
        letter = chr(code)
        faults = Faults()
        read = read_documents(f"x: {one_line(letter)}".encode(errors="surrogatepass"), "x.yaml", faults)
        assert (bool(read) and not faults.found) == inline(letter), hex(code)
