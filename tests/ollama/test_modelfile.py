"""Modelfiles for old servers: every text is read back exactly as it was, or refused.

The reader here is written anew from `ollama-api.md` 8.2, character by character as the servers do it, so that it
cannot share a mistake with the writer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.names import Digest
from fleet.ollama.modelfile import NotExpressibleError, read_value, write

law = settings(max_examples=300, derandomize=True, deadline=None, database=None)

QUOTES = ('"""', '"')


def kept(character: str) -> bool:
    """Letters, marks, numbers, punctuation and symbols in Unicode's sense; blank, tab and line ends besides."""
    return character in " \t\r\n" or unicodedata.category(character)[0] in "LMNPS"


def complete(text: str) -> str | None:
    """The value, if the text so far is one."""
    text = text.strip(" \t\r\n")
    for quote in QUOTES:
        if text.startswith(quote):
            whole = len(text) >= 2 * len(quote) and text.endswith(quote)
            return text[len(quote) : len(text) - len(quote)] if whole else None
    return text


def parsed(modelfile: str) -> list[tuple[str, str]]:
    """Instructions with their values; of PARAMETER and MESSAGE with the word that follows. Fails as a server would."""
    found: list[tuple[str, str]] = []
    state, buffer, instruction = "between", "", ""
    for character in modelfile:
        if state == "between":
            if character == "#":
                state = "comment"
            elif character not in " \t\r\n":
                state, buffer = "instruction", character
        elif state == "comment":
            state = "between" if character in "\r\n" else state
        elif state == "instruction":
            if character in " \t":
                instruction = buffer.upper()
                state, buffer = ("word" if instruction in {"PARAMETER", "MESSAGE"} else "value"), ""
            elif character in "\r\n":
                raise ValueError("unexpected end of line")
            else:
                buffer += character
        elif state == "word":
            if character in " \t":
                instruction, state, buffer = f"{instruction} {buffer}", "value", ""
            elif kept(character):
                buffer += character
        elif character in "\r\n" and (value := complete(buffer)) is not None:
            found.append((instruction, value))
            state, buffer = "between", ""
        elif kept(character):
            buffer += character
    if state == "value":
        last = complete(buffer)
        if last is None:
            raise ValueError("unexpected EOF")
        found.append((instruction, last))
    return found


hostile = st.lists(
    st.one_of(
        st.sampled_from(['"', '""', '"""', "\n", "\r", "\r\n", " ", "\t", "#", "\\n", "FROM x", "\nSYSTEM y", "\n#"]),
        st.sampled_from(
            ["\0", "\u200b", "\u200d", "\u00a0", "\u3000", "\ufeff", "\u2028", "\ud800", "\u00ad", "é", "日本"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)


@law
@given(hostile)
@example("")
@example('"')
@example('""')
@example('"""')
@example('""""""')
@example('say "hi"')
@example('"quoted"')
@example('ends with "')
@example('"""triple""" inside')
@example(' """ ')
@example("  leading")
@example("trailing  ")
@example("two\nlines")
@example('two\nlines "quoted"')
@example('"\n"')
@example("# no comment")
@example("\n# no comment")
@example("carriage\rreturn")
@example("windows\r\nline")
@example("nul\0")
@example("zero\u200bwidth")
@example("full\u3000width")
@example("family \U0001f468\u200d\U0001f469")
@example("\ud800")
def test_a_text_is_read_back_exactly_or_refused(text: str) -> None:
    try:
        written = write(base="q:1", system=text, template="after", parameters={}, licenses=["end"])
    except NotExpressibleError:
        return
    assert parsed(written) == [("FROM", "q:1"), ("TEMPLATE", "after"), ("SYSTEM", text), ("LICENSE", "end")]


@law
@given(hostile, hostile, hostile, hostile, hostile)
def test_whatever_stands_beside_each_other_no_text_swallows_another(
    system: str, template: str, stop: str, license_text: str, message: str
) -> None:
    try:
        written = write(
            base="@sha256:00",
            system=system,
            template=template,
            parameters={"stop": [stop, "x"], "num_ctx": 1},
            messages=[("user", message), ("assistant", "y")],
            licenses=[license_text, "z"],
        )
    except NotExpressibleError:
        return
    assert parsed(written) == [
        ("FROM", "@sha256:00"),
        ("TEMPLATE", template),
        ("SYSTEM", system),
        ("PARAMETER num_ctx", "1"),
        ("PARAMETER stop", stop),
        ("PARAMETER stop", "x"),
        ("LICENSE", license_text),
        ("LICENSE", "z"),
        ("MESSAGE user", message),
        ("MESSAGE assistant", "y"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "two words",
        "two\nlines",
        " blank before and after ",
        "\ttabs\t",
        "\n",
        "\n\n",
        'say "hi" twice',
        'ends with "',
        '"begins with',
        '"quoted"',
        '"first\nsecond"',
        "# looks like a comment",
        "#\n#",
        "FROM other",
        "a\nFROM other\nb",
        "back\\slash\\n",
        "'single'",
        "日本語 é 👍",
        'three """ within',
        '""',
    ],
)
def test_what_can_be_written_is_written(text: str) -> None:
    assert ("SYSTEM", text) in parsed(write(base="q:1", system=text, parameters={}, licenses=["end"]))


def test_uploaded_blobs_stand_in_from_and_adapter_lines() -> None:
    model, projector, adapter = (Digest(letter * 64) for letter in "abc")
    assert parsed(write(files=[model, projector], adapters=[adapter], parameters={}, system="x")) == [
        ("FROM", f"@{model}"),
        ("FROM", f"@{projector}"),
        ("ADAPTER", f"@{adapter}"),
        ("SYSTEM", "x"),
    ]
    assert parsed(write(base="q:1", adapters=[adapter], parameters={})) == [("FROM", "q:1"), ("ADAPTER", f"@{adapter}")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nul\0", "U+0000"),
        ("bell\a", "U+0007"),
        ("return\r\n", "U+000D"),
        ("zero\u200bwidth", "U+200B"),
        ("joined\u200d", "U+200D"),
        ("hard\u00a0blank", "U+00A0"),
        ("full\u3000width", "U+3000"),
        ("\ud800", "U+D800"),
        ('"""\nthree', "quotation marks"),
        ('line """\nand on', "quotation marks"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotExpressibleError, match=why.replace("+", r"\+")) as refusal:
        write(base="q:1", template=text, parameters={})
    assert refusal.value.field == "template"


@pytest.mark.parametrize(
    ("parameters", "lines"),
    [
        ({"num_ctx": 8192}, ["PARAMETER num_ctx 8192"]),
        ({"num_ctx": 8192.0}, ["PARAMETER num_ctx 8192"]),
        ({"temperature": 0.25}, ["PARAMETER temperature 0.25"]),
        ({"temperature": 1e-05}, ["PARAMETER temperature 1e-05"]),
        ({"seed": -1}, ["PARAMETER seed -1"]),
        ({"use_mmap": True, "low_vram": False}, ["PARAMETER low_vram false", "PARAMETER use_mmap true"]),
        ({"stop": ["<a>", " b "]}, ["PARAMETER stop <a>", 'PARAMETER stop " b "']),
        ({"stop": "x"}, ["PARAMETER stop x"]),
        ({"stop": [""]}, ['PARAMETER stop ""']),
    ],
)
def test_parameters_are_written_as_old_servers_read_them(
    parameters: Mapping[str, str | float | bool | Sequence[str]], lines: list[str]
) -> None:
    assert write(base="q:1", parameters=parameters).splitlines() == ["FROM q:1", *lines]


@pytest.mark.parametrize(
    ("messages", "parameters", "field"),
    [
        ([("tool", "x")], {}, "messages"),
        ([("User", "x")], {}, "messages"),
        ([("user", "")], {}, "messages"),
        ([("user", "\0")], {}, "messages"),
        ([], {"temperature": 3.5e38}, "parameters.temperature"),
        ([], {"temperature": -float("inf")}, "parameters.temperature"),
        ([], {"top_p": 10**40}, "parameters.top_p"),
        ([], {"stop": []}, "parameters.stop"),
        ([], {"stop": ["\0"]}, "parameters.stop"),
    ],
)
def test_what_has_no_spelling_is_refused_by_its_field(
    messages: list[tuple[str, str]], parameters: dict[str, float | list[str]], field: str
) -> None:
    with pytest.raises(NotExpressibleError) as refusal:
        write(base="q:1", messages=messages, parameters=parameters)
    assert refusal.value.field == field
    assert str(refusal.value) == f"{field}: {refusal.value.why}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("hi\nNEXT", ("hi", "NEXT")),
        ("  hi  ", ("hi", "")),
        ("\nNEXT", ("", "NEXT")),
        ('"a" b\nNEXT', None),
        ('"a" "b"\nNEXT', ('a" "b', "NEXT")),
        ('"open\nand "closed"\nNEXT', ('open\nand "closed', "NEXT")),
        ('"""open\nNEXT', None),
        ('""\nNEXT', ("", "NEXT")),
        ('"""""\nNEXT', None),
        ('""""""\nNEXT', ("", "NEXT")),
    ],
)
def test_where_an_old_server_ends_a_value(text: str, value: tuple[str, str] | None) -> None:
    assert read_value(text) == value
