"""Modelfiles as servers up to 0.5.4 parsed them (`ollama-api.md` 8), and as all of them render them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate.modelfile import Command, ModelfileError, parse, quoted, rendered, unquoted


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("FROM base", [("model", "base")]),
        ("\ufefffrom base", [("model", "base")]),
        ("# a comment\nFROM base\n\n  # another\n", [("model", "base")]),
        ("FROM base\nSYSTEM  two words  ", [("model", "base"), ("system", "two words")]),
        ('FROM base\nSYSTEM """a\nb"""', [("model", "base"), ("system", "a\nb")]),
        ('FROM base\nSYSTEM "a\nb"\n', [("model", "base"), ("system", "a\nb")]),
        ("FROM base\nPARAMETER num_ctx 4096", [("model", "base"), ("num_ctx", "4096")]),
        ("FROM base\nPARAMETER top_k2 1\nADAPTER @x", [("model", "base"), ("top_k2", "1"), ("adapter", "@x")]),
        ("FROM base\nMESSAGE user hi there", [("model", "base"), ("message", "user: hi there")]),
        ("FROM base\nSYSTEM a\x07b", [("model", "base"), ("system", "ab")]),
        ("FROM base\r\nLICENSE MIT\r\n", [("model", "base"), ("license", "MIT")]),
    ],
)
def test_instructions(text: str, commands: list[tuple[str, str]]) -> None:
    assert parse(text, lines=True) == commands


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no FROM line"),
        ("SYSTEM x", "no FROM line"),
        ("FROM", "unexpected EOF"),
        ("FROM base\nSYSTEM", "unexpected EOF"),
        ('FROM base\nSYSTEM "open', "unexpected EOF"),
        ('FROM base\nSYSTEM """open"', "unexpected EOF"),
        ("FROM base\nPARAMETER num-ctx 1", "unexpected EOF: num"),
        (
            "FROM base\nNOPE x",
            '(line 2): command must be one of "from", "license", "template", "system", "adapter", "parameter", or "message"',
        ),
        (
            "FROM base\nFR0M x",
            '(line 2): command must be one of "from", "license", "template", "system", "adapter", "parameter", or "message"',
        ),
        ("FROM base\nMESSAGE nobody x", '(line 2): message role must be one of "system", "user", or "assistant"'),
    ],
)
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse(text, lines=True)
    assert str(caught.value) == fault


def test_faults_had_no_lines_at_first() -> None:
    with pytest.raises(ModelfileError, match=r"^command must be"):
        parse("NOPE x", lines=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\nb", '"a\nb"'),
        (" outer", '" outer"'),
        ('say "hi"\nnow', '"""say "hi"\nnow"""'),
        ('say "hi"', 'say "hi"'),
    ],
)
def test_values_are_quoted_where_they_must_be(text: str, expected: str) -> None:
    assert quoted(text) == expected
    assert unquoted(expected) == text


def test_rendering() -> None:
    commands = [
        Command("model", "/blobs/sha256-1"),
        Command("adapter", "/blobs/sha256-2"),
        Command("template", "{{ .Prompt }}"),
        Command("renderer", "qwen3-coder"),
        Command("stop", "a b"),
        Command("message", "user: hi: there\n"),
    ]
    assert rendered(commands) == (
        "FROM /blobs/sha256-1\nADAPTER /blobs/sha256-2\nTEMPLATE {{ .Prompt }}\nRENDERER qwen3-coder\n"
        'PARAMETER stop a b\nMESSAGE user "hi: there\n"\n'
    )


VALUE = st.text("abc \"'\n{}.:", min_size=1).filter(
    lambda text: text.strip() == text and '"' not in text[:1] + text[-1:] and '"""' not in text
)
"""Nothing is escaped in a Modelfile, so not every text can be read back; these can."""


@given(st.lists(st.tuples(st.sampled_from(["system", "template", "license", "stop"]), VALUE)))
def test_what_is_rendered_is_read_back(given: list[tuple[str, str]]) -> None:
    commands = [Command("model", "base"), *(Command(name, value) for name, value in given)]
    assert parse(rendered(commands), lines=True) == commands


@given(st.text(max_size=60).map("FROM base\n".__add__) | st.text(max_size=60))
def test_every_text_is_a_modelfile_or_has_a_fault(text: str) -> None:
    try:
        assert parse(text, lines=True)
    except ModelfileError as fault:
        assert str(fault)  # noqa: PT017 - either outcome is right
