"""YAML as fleet reads it: places, texts that stay texts, and files made to hurt."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.builder import DEEPEST, MOST_NODES
from fleet.manifest.faults import Faults, TooManyFaults
from fleet.manifest.reading import PARSER, Parser, read_documents
from fleet.manifest.tree import Mapping, Node, Scalar, Sequence

STEADY = settings(deadline=None)

PARSERS = [pytest.param(PARSER, id="libyaml"), pytest.param(yaml.SafeLoader, id="python")]
Plain = str | list["Plain"] | dict[str, "Plain"]


def read(text: str | bytes, parser: Parser = PARSER) -> tuple[list[Node], list[str]]:
    faults = Faults()
    content = text.encode() if isinstance(text, str) else text
    return read_documents(content, "f", faults, parser=parser), [str(fault) for fault in faults.found]


def plain(node: Node) -> Plain:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, (_, value) in node.entries.items()}


@pytest.mark.fault("D4")
@pytest.mark.parametrize("parser", PARSERS)
def test_strings_stay_strings(parser: Parser) -> None:
    text = "a: 3.10\nb: no\nc: 22:30\nd: 010\ne: 1e3\nf: 2024-08-06\ng: 'x'\nh: \"\\x41\\n\"\ni: |-\n  5\n"
    (node,), faults = read(text, parser)
    assert plain(node) == {
        "a": "3.10", "b": "no", "c": "22:30", "d": "010", "e": "1e3", "f": "2024-08-06", "g": "x", "h": "A\n", "i": "5",
    }  # fmt: skip
    assert not faults


@pytest.mark.parametrize("parser", PARSERS)
def test_every_node_has_its_place(parser: Parser) -> None:
    (node,), _ = read("# first\na:\n  - x\n  - {b: 'y'}\n", parser)
    assert isinstance(node, Mapping)
    mark, value = node.entries["a"]
    assert (mark.line, mark.column) == (1, 0)
    assert isinstance(value, Sequence)
    assert [(item.mark.line, item.mark.column) for item in value.items] == [(2, 4), (3, 4)]
    inner = value.items[1]
    assert isinstance(inner, Mapping)
    assert inner.entries["b"][0].column == 5
    assert inner.entries["b"][1].mark.column == 8


@pytest.mark.parametrize("parser", PARSERS)
def test_nothing_is_null_only_without_quotes(parser: Parser) -> None:
    (node,), _ = read("[~, null, '', \"null\", x]", parser)
    assert isinstance(node, Sequence)
    assert [item.null for item in node.items if isinstance(item, Scalar)] == [True, True, False, False, False]


@pytest.mark.parametrize("parser", PARSERS)
def test_each_document_of_a_file_is_its_own(parser: Parser) -> None:
    found, faults = read("a: 1\n---\n---\nb: 2\n---\n# nothing\n", parser)
    assert [plain(node) for node in found] == [{"a": "1"}, {"b": "2"}]
    assert not faults


@pytest.mark.parametrize("parser", PARSERS)
def test_aliases_stand_for_what_they_name(parser: Parser) -> None:
    (node,), faults = read("a: &one {x: [1, 2]}\nb: *one\nc: [*one, &two y, *two]\n", parser)
    one: Plain = {"x": ["1", "2"]}
    assert plain(node) == {"a": one, "b": one, "c": [one, "y", "y"]}
    assert not faults


@pytest.mark.fault("D5")
@pytest.mark.parametrize("parser", PARSERS)
def test_a_byte_order_mark_and_crlf_are_taken(parser: Parser) -> None:
    (node,), faults = read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", parser)
    assert plain(node) == {"a": "1", "b": "2"}
    assert not faults


@pytest.mark.fault("D5")
@pytest.mark.parametrize("parser", PARSERS)
def test_bidi_and_other_letters_are_taken_in_comments_and_texts(parser: Parser) -> None:
    (node,), faults = read("# hidden \u202e here\na: 日本語 é 😀\n", parser)
    assert plain(node) == {"a": "日本語 é 😀"}
    assert not faults


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
STAIRS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))

FAULTY: dict[str, tuple[str | bytes, str]] = {
    "nothing at all": ("", "f:1:1: the file holds no document"),
    "only a comment": ("# x\n---\n", "f:1:1: the file holds no document"),
    "a duplicate key": ("a: 1\nb: 2\na: 3\n", "f:3:1: the key `a` stands on line 1 already"),
    "a duplicate key in other quotes": ("x:\n  {a: 1, 'a': 2}", "f:2:10: the key `a` stands on line 2 already"),
    "a tag": ("a: !!python/object:os.system x", "f:1:4: a tag (`tag:yaml.org,2002:python/object:os.system`); tags are not read"),
    "a tag of a map": ("a: !x {b: c}", "f:1:4: a tag (`!x`); tags are not read"),
    "a tag of a key": ("!x a: b", "f:1:1: a tag (`!x`); tags are not read"),
    "a merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "f:3:3: merge keys (`<<`) are not read"),
    "a list as a key": ("? [a]\n: b\n", "f:1:3: a key must be a text"),
    "an alias as a key": ("a: &a b\n? *a\n: c\n", "f:2:3: a key must be a text"),
    "an alias of nothing": ("a: *b", "f:1:4: `*b`: no anchor of this name before it"),
    "an alias of another document": ("a: &a 1\n---\nb: *a\n", "f:3:4: `*a`: no anchor of this name before it"),
    "a recursive alias": ("a: &a [b, {c: *a}]", "f:1:15: `*a` contains itself"),
    "an alias bomb": (BOMB, f"f:6:14: aliases stand for more than {MOST_NODES:,} nodes in one file"),
    "a stair of aliases": (STAIRS, f"f:64:12: with its aliases written out, nested deeper than {DEEPEST} levels"),
    "a hundred thousand brackets": ("[" * 100_000, f"f:1:{DEEPEST + 1}: nested deeper than {DEEPEST} levels"),
    "a million dashes": ("- " * 500_000, f"f:1:{2 * DEEPEST + 1}: nested deeper than {DEEPEST} levels"),
    "braces without end": ("{a: " * 100_000, f"f:1:{4 * DEEPEST + 1}: nested deeper than {DEEPEST} levels"),
    "an escape sequence": (r'a: "\e[31m"', "f:1:4: the control character U+001B in a text"),
    "a raw escape": ("a: \x1b[31m", "f:1:4: the control character U+001B"),
    "a NUL byte": ("a: b\n  \0", "f:2:3: the control character U+0000"),
    "a NUL as an escape": (r'"a\0": b', "f:1:1: the control character U+0000 in a text"),
    "bidi in a text": ("x:\n  - a\u202eb", "f:2:5: the control character U+202E in a text"),
    "bidi in a key": ("a\u2066b: x", "f:1:1: the control character U+2066 in a text"),
    "UTF-16": ("a: b".encode("utf-16"), "f:1:1: the file is in UTF-16; only UTF-8 is read"),
    "Latin-1": ("x: 1\na: é".encode("latin-1"), "f:2:4: this is not UTF-8"),
}  # fmt: skip


@pytest.mark.fault("D2", "D3", "D5")
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("name", FAULTY)
def test_what_is_wrong_is_told_with_its_place(name: str, parser: Parser) -> None:
    text, expected = FAULTY[name]
    _, faults = read(text, parser)
    assert faults == [expected]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "place"),
    [("a: b: c", "f:1:5"), ("a: 'x", "f:1:6"), ("a:\n  b\n c: d", "f:3:3"), ("a: @x", "f:1:4")],
)
def test_what_is_no_yaml_is_told_where_it_breaks(text: str, place: str, parser: Parser) -> None:
    found, faults = read(text, parser)
    assert not found
    assert len(faults) == 1
    assert faults[0].startswith(f"{place}: this is no YAML: ")


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\U00110000"', "%YAML 9.9\n--- a", "%TAG ! x\n--- !a b"])
@pytest.mark.parametrize("parser", PARSERS)
def test_odd_escapes_and_directives_never_get_through(text: str, parser: Parser) -> None:
    assert len(read(text, parser)[1]) >= 1


@pytest.mark.fault("D16")
def test_a_file_of_too_many_nodes_is_left_early() -> None:
    assert read("[" + "a," * 500_000 + "]")[1] == [
        f"f:1:{2 * MOST_NODES - 6}: more than {MOST_NODES:,} nodes in one file"
    ]


def test_reading_ends_after_a_thousand_faults() -> None:
    faults = Faults()
    with pytest.raises(TooManyFaults):
        read_documents(b"a: 1\n" * 100_000, "f", faults)
    assert len(faults.found) == 1001
    assert faults.found[-1].text == "reading ended here, after 1000 faults"


@pytest.mark.fault("D1")
def test_all_faults_of_a_file_are_told_at_once() -> None:
    assert len(read('a: !x 1\na: 2\nb: {<<: {}, c: "\\x07"}\n')[1]) == 4


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co"]), max_size=20)
VALUES: st.SearchStrategy[Plain] = st.recursive(
    TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@STEADY
@given(VALUES.filter(lambda value: value != ""), st.booleans())
def test_what_a_writer_wrote_is_read_back(value: Any, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, default_style='"', allow_unicode=True)
    (node,), faults = read(text)
    assert plain(node) == value
    assert not faults


@STEADY
@given(st.binary(max_size=200))
def test_no_bytes_whatever_crash_the_reader(content: bytes) -> None:
    found, faults = read(content)
    assert found or faults


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version: 1\nmodels:\n\tllama3:\n", "f:3:1"),
        ("a:\n  b: 1\n\tc: 2\n", "f:3:1"),
        ("a:\n  - x\n\t- y\n", "f:3:1"),
        ("m:\n  é:\n  \tb: 1\n", "f:3:3"),
        ("a: |\n\tx\n", "f:2:1"),
    ],
)
def test_a_tab_is_told_as_one(text: str, place: str, parser: Parser) -> None:
    assert read(text, parser) == ([], [f"{place}: a tab; YAML is indented with spaces"])
