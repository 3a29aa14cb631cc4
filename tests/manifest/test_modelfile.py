"""Reading Modelfiles: every rule of the language, one case each, and what real servers made of some.

The rules are `ollama-api.md` 8.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.item import Message
from fleet.manifest.modelfile import MOST_BYTES, Modelfile, beside, read_modelfile
from fleet.manifest.modelfile_lines import INSTRUCTIONS, MOST_FAULTS, Lines
from fleet.simulate.modelfile import ModelfileError, parse
from tests.manifest.modelfiles import written

RECORDINGS = Path(__file__).parents[1] / "recordings"


def said(text: str | bytes) -> dict[str, object]:
    """What a Modelfile says, which must be sound."""
    found = read_modelfile(text if isinstance(text, bytes) else text.encode())
    assert found.faults == ()
    return values(found)


def values(found: Modelfile) -> dict[str, object]:
    files = {"ADAPTER": found.adapter, "DRAFT": found.draft}
    return {
        **({"FROM": [given.value for given in found.made_from]} if found.made_from else {}),
        **{word: given.value for word, given in files.items() if given is not None},
        **{key: given.value for key, given in found.fields.items()},
    }


def faults(text: str | bytes) -> list[str]:
    found = read_modelfile(text if isinstance(text, bytes) else text.encode(), "M")
    return [str(fault) for fault in found.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 8.1: the instructions, in any case
        ("FROM qwen3:8b", {"FROM": ["qwen3:8b"]}),
        ("from x\nSyStEm hi", {"FROM": ["x"], "system": "hi"}),
        ("TEMPLATE {{ .Prompt }}", {"template": "{{ .Prompt }}"}),
        ("ADAPTER ./a.gguf\nDRAFT ./d.gguf", {"ADAPTER": "./a.gguf", "DRAFT": "./d.gguf"}),
        ("RENDERER qwen3-coder\nPARSER qwen3-coder", {"renderer": "qwen3-coder", "parser": "qwen3-coder"}),
        ("REQUIRES 0.14.0", {"requires": "0.14.0"}),
        # 8.2: byte-order marks
        ("\ufeffFROM x", {"FROM": ["x"]}),
        ("\ufeffFROM x\nSYSTEM “日本”".encode("utf-16-le"), {"FROM": ["x"], "system": "“日本”"}),
        ("\ufeffFROM x\nSYSTEM “日本”".encode("utf-16-be"), {"FROM": ["x"], "system": "“日本”"}),
        # comments, only where an instruction may begin
        ("# FROM y\n  \t# z\n\nFROM x # no comment\n#", {"FROM": ["x # no comment"]}),
        ('SYSTEM """a\n# b\n"""', {"system": "a\n# b\n"}),
        ("SYSTEM # hi", {"system": "# hi"}),
        ("  \t FROM x", {"FROM": ["x"]}),
        # what is around a value goes, what is in it stays
        ("SYSTEM  \t a  b \t ", {"system": "a  b"}),
        ("SYSTEM\ta", {"system": "a"}),
        ('SYSTEM " a "', {"system": " a "}),
        ("SYSTEM \nFROM x", {"system": "", "FROM": ["x"]}),
        ("SYSTEM ", {"system": ""}),
        ('SYSTEM ""', {"system": ""}),
        ('SYSTEM """"""', {"system": ""}),
        # quotes: the outer ones go where the text so far ends in them, at the end of a line or of the file
        ('SYSTEM "a"', {"system": "a"}),
        ('SYSTEM """a"""  \n', {"system": "a"}),
        ('SYSTEM """a\nb\n"""\nFROM x', {"system": "a\nb\n", "FROM": ["x"]}),
        ('SYSTEM "a\nb"', {"system": "a\nb"}),
        ('SYSTEM "a" "b"', {"system": 'a" "b'}),
        ('SYSTEM "a" b\nFROM "x"', {"system": 'a" b\nFROM "x'}),
        ('SYSTEM """a""" b\nc"""', {"system": 'a""" b\nc'}),
        ('SYSTEM """a""""', {"system": 'a"'}),
        ('SYSTEM ""a"', {"system": '"a'}),
        ('SYSTEM """""\n"""', {"system": '""\n'}),
        ('SYSTEM "\n"', {"system": "\n"}),
        ('SYSTEM "\n""', {"system": '\n"'}),
        ('SYSTEM a "b"', {"system": 'a "b"'}),
        # no escapes, no single quotes
        (r"SYSTEM a\nb\"c", {"system": r"a\nb\"c"}),
        ("SYSTEM 'a'", {"system": "'a'"}),
        # ends of lines
        ("FROM x\r\nSYSTEM hi\r\n", {"FROM": ["x"], "system": "hi"}),
        ("FROM x\rSYSTEM hi\r", {"FROM": ["x"], "system": "hi"}),
        ('SYSTEM """a\r\nb"""\r\nFROM x', {"system": "a\r\nb", "FROM": ["x"]}),
        # letters that are kept: marks, private eyes aside, and those that Unicode has assigned lately or not at all
        ("SYSTEM e\u0301 👍🏽 ❤\ufe0f \ufffd \U0001fae8 \u0378", {"system": "e\u0301 👍🏽 ❤\ufe0f \ufffd \U0001fae8 \u0378"}),
        ("# \u200b\x07 in a comment\nFROM x", {"FROM": ["x"]}),
        # 8.3: repeated instructions
        ("FROM a\nFROM ./b.gguf\nFROM c", {"FROM": ["a", "./b.gguf", "c"]}),
        ("SYSTEM a\nSYSTEM b\nTEMPLATE a\nTEMPLATE b", {"system": "b", "template": "b"}),
        ("ADAPTER a\nADAPTER b\nDRAFT a\nDRAFT b", {"ADAPTER": "b", "DRAFT": "b"}),
        ("RENDERER a\nRENDERER b\nPARSER a\nPARSER b", {"renderer": "b", "parser": "b"}),
        ("REQUIRES 0.14.0\nREQUIRES 0.15.0", {"requires": "0.15.0"}),
        ("LICENSE MIT\nLICENSE b", {"license": ("MIT", "b")}),
        ("MESSAGE user a\nMESSAGE system b", {"messages": (Message("user", "a"), Message("system", "b"))}),
        ("MESSAGE assistant \nMESSAGE user a: b", {"messages": (Message("assistant", ""), Message("user", "a: b"))}),
        ("PARAMETER stop a\nPARAMETER seed 1\nPARAMETER stop b", {"parameters.stop": ("a", "b"), "parameters.seed": 1}),
        ("PARAMETER seed 1\nPARAMETER seed 2", {"parameters.seed": 2}),
        # values of parameters
        ('PARAMETER stop ""\nPARAMETER stop " "', {"parameters.stop": ("", " ")}),
        ("PARAMETER num_ctx   8192", {"parameters.num_ctx": 8192}),
        ("PARAMETER seed +010", {"parameters.seed": 10}),
        ("PARAMETER seed -9223372036854775808", {"parameters.seed": -(2**63)}),
        ('PARAMETER temperature "0.20"', {"parameters.temperature": 0.2}),
        ("PARAMETER temperature 1", {"parameters.temperature": 1.0}),
        ("PARAMETER top_p .5\nPARAMETER min_p 5.", {"parameters.top_p": 0.5, "parameters.min_p": 5.0}),
        ("PARAMETER temperature +2e-1", {"parameters.temperature": 0.2}),
        ("PARAMETER use_mmap T", {"parameters.use_mmap": True}),
        ("PARAMETER use_mmap False", {"parameters.use_mmap": False}),
        # parameters of other versions are for the host to judge
        ("PARAMETER mirostat 2\nPARAMETER penalize_newline f", {"parameters.mirostat": 2, "parameters.penalize_newline": False}),
        ("PARAMETER draft_num_predict 3", {"parameters.draft_num_predict": 3}),
    ],
)  # fmt: skip
def test_what_a_modelfile_says(text: str | bytes, expected: dict[str, object]) -> None:
    assert said(text) == expected


NEVER_CLOSED = "opens a text here that is never closed"
DROPPED = "would be dropped by Ollama's own reader without a word"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FRM x", ["M:1:1: no instruction is called `FRM`"]),
        ("EMBED x", ["M:1:1: no instruction is called `EMBED`"]),
        ("1", ["M:1:1: no instruction is called `1`"]),
        ("FROM", ["M:1:1: nothing follows `FROM`"]),
        ("SYSTEM\nFROM x", ["M:1:1: nothing follows `SYSTEM`"]),
        ('SYSTEM"""a"""', ["M:1:1: a blank is missing behind `SYSTEM`"]),
        ('FROM \nADAPTER ""', ["M:1:1: FROM: nothing is named", "M:2:1: ADAPTER: nothing is named"]),
        ('FROM "a\nb"', ["M:1:1: FROM: `a\\nb`: a path holds no control characters"]),
        ("PARAMETER\n", ["M:1:1: nothing follows `PARAMETER`"]),
        ("PARAMETER \n", ["M:1:1: wants a parameter and a value behind `PARAMETER`"]),
        ("PARAMETER seed\nFROM x", ["M:1:1: wants a value behind `seed`"]),
        ("PARAMETER seed", ["M:1:1: wants a value behind `seed`"]),
        ("PARAMETER seed ", ["M:1:1: PARAMETER: `seed` wants a whole number of 64 bits, not ``"]),
        ("PARAMETER  seed 1", ["M:1:1: more than one blank between `PARAMETER` and its parameter"]),
        ("PARAMETER num-ctx 1", ["M:1:1: `num-ctx` is no name of a parameter (letters, digits, `_`)"]),
        ("PARAMETER Seed 1", ["M:1:1: PARAMETER: unknown parameter `Seed`"]),
        ("PARAMETER seed 1.0", ["M:1:1: PARAMETER: `seed` wants a whole number of 64 bits, not `1.0`"]),
        ("PARAMETER seed 9223372036854775808", ["M:1:1: PARAMETER: `seed` wants a whole number of 64 bits, not `9223372036854775808`"]),
        ("PARAMETER seed \u0661", ["M:1:1: PARAMETER: `seed` wants a whole number of 64 bits, not `\u0661`"]),
        ("PARAMETER top_p nan", ["M:1:1: PARAMETER: `top_p` wants a number, not `nan`"]),
        ("PARAMETER top_p 3.5e38", ["M:1:1: PARAMETER: `3.5e38` is more than servers can hold"]),
        ("PARAMETER use_mmap yes", ["M:1:1: PARAMETER: `use_mmap` wants `true` or `false`, not `yes`"]),
        ("MESSAGE user", ["M:1:1: wants a value behind `user`"]),
        ("MESSAGE  user x", ["M:1:1: more than one blank between `MESSAGE` and its role"]),
        ("MESSAGE User x", ["M:1:1: wants `system`, `user` or `assistant` behind `MESSAGE`, not `User`"]),
        ("MESSAGE user: x", ["M:1:1: wants `system`, `user` or `assistant` behind `MESSAGE`, not `user:`"]),
        ("REQUIRES 0.14", ["M:1:1: REQUIRES: `0.14` is no version of three numbers, as 0.14.0"]),
        ("RENDERER a b", ["M:1:1: RENDERER: `a b` is no name that servers know"]),
        ('LICENSE ""', ["M:1:1: LICENSE: the text is empty"]),
        ('FROM x\nSYSTEM """a\nPARAMETER seed x', [f'M:2:8: `"""` {NEVER_CLOSED}']),
        ('SYSTEM "a" b\nFROM x', [f'M:1:8: `"` {NEVER_CLOSED}']),
        ('SYSTEM "', [f'M:1:8: `"` {NEVER_CLOSED}']),
        ('SYSTEM """""', [f'M:1:8: `"""` {NEVER_CLOSED}']),
        # one text without quotes makes one fault
        ("SYSTEM You are\na plumber.\nAnd so on.\n\nFRM x\nPARAMETER x 1", [
            "M:2:1: no instruction is called `a`", "M:5:1: no instruction is called `FRM`", "M:6:1: PARAMETER: unknown parameter `x`",
        ]),
        # what Ollama would drop
        ("SYSTEM a\u3000b\nFROM x", [f"M:1:9: U+3000 {DROPPED}"]),
        ("SYSTEM 👩\u200d👧\u200d👦", [f"M:1:9: U+200D {DROPPED}, and 1 more after it"]),
        ('SYSTEM """a\nb\x07"""', [f"M:2:2: U+0007 {DROPPED}"]),
        ("SYSTEM a\xa0", [f"M:1:9: U+00A0 {DROPPED}"]),
        ("SYSTEM \ue000", [f"M:1:8: U+E000 {DROPPED}"]),
        ("\u200bFROM x", [f"M:1:1: U+200B {DROPPED}"]),
        ("FROM x\n\u3000\n# \u3000\n", [f"M:2:1: U+3000 {DROPPED}"]),
        ("SYSTEM x\0", [f"M:1:9: U+0000 {DROPPED}"]),
        # places: a mark of byte order takes none, CR and LF together end one line
        ("\ufeffFRM x\r\nFROM\r\n\r\rFRM", ["M:1:1: no instruction is called `FRM`", "M:2:1: nothing follows `FROM`", "M:5:1: no instruction is called `FRM`"]),
        (b"FROM x\r\nSYSTEM \xe4", ["M:2:8: this is not UTF-8"]),
        (b"\xff\xfeF\x00\x00\xd8", ["M:1:2: this is not UTF-16"]),
        (b"\xfe\xff\x00F\x00", ["M:1:2: this is not UTF-16"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_modelfile(text: str | bytes, expected: list[str]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("SISTEM x", "did you mean `SYSTEM`?"),
        ("You are", 'a text of several lines stands between `"""` and `"""`'),
        ("PARAMETER temperatur 1", "did you mean `temperature`?"),
        ("PARAMETER num_ctx 1.048576e+06", "write `1048576`"),
        ("PARAMETER num_ctx 1e300", None),
        ("MESSAGE assistent x", "did you mean `assistant`?"),
        ("MESSAGE  user x", "servers read an empty name there"),
    ],
)
def test_what_to_write_instead(text: str, hint: str | None) -> None:
    assert [fault.hint for fault in read_modelfile(text.encode()).faults] == [hint]


def test_a_list_is_placed_where_it_begins_and_all_else_where_it_counts() -> None:
    found = read_modelfile(b"\nSYSTEM a\nLICENSE x\nSYSTEM b\nLICENSE y\n  FROM z", "dir/M")
    assert str(found.fields["license"].place) == "dir/M:3:1"
    assert str(found.fields["system"].place) == "dir/M:4:1"
    assert str(found.made_from[0].place) == "dir/M:6:3"


def test_a_large_file_and_many_faults_end_the_reading() -> None:
    assert faults(b"#" * (MOST_BYTES + 1)) == ["M:1:1: larger than 1 MiB"]
    assert said(b"#" * MOST_BYTES) == {}
    assert faults("FROM x\n" * 1001) == ["M:1001:1: FROM: more than 1,000 of them"]
    found = faults("FRM x\n\n" * 2 * MOST_FAULTS)
    assert len(found) == MOST_FAULTS + 1
    assert found[-1] == f"M:{2 * MOST_FAULTS + 1}:1: reading ended here, after {MOST_FAULTS} faults"
    assert len(faults("PARAMETER x 1\n" * 3 * MOST_FAULTS)) <= MOST_FAULTS + 1


@pytest.mark.parametrize(
    ("modelfile", "path", "seen"),
    [
        ("Modelfile", "./a.gguf", "./a.gguf"),
        ("m/Modelfile", "../w/a.gguf", "m/../w/a.gguf"),
        ("/srv/m/Modelfile", "a.gguf", "/srv/m/a.gguf"),
        ("/Modelfile", "a.gguf", "/a.gguf"),
        ("m/Modelfile", "/srv/a.gguf", "/srv/a.gguf"),
    ],
)
def test_paths_start_from_the_folder_of_the_modelfile(modelfile: str, path: str, seen: str) -> None:
    assert beside(modelfile, path) == seen


def exchanges(version: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDINGS / f"{version}.json").read_text())["exchanges"]
    return found


@pytest.mark.parametrize(
    "step", ["modelfile-syntax", "modelfile-quote", "create-unknown-param", "create-wrong-type-param"]
)
def test_what_a_server_refuses_to_read_is_a_fault(step: str) -> None:
    (request,) = [each["request"] for each in exchanges("0.5.4") if each["step"] == step]
    assert len(faults(request["json"]["modelfile"])) == 1


def test_what_a_server_took_from_a_modelfile() -> None:
    by_step = {each["step"]: each for each in exchanges("0.5.4")}
    shown = by_step["show-derived"]["response"]["json"]
    assert said(by_step["create-derived"]["request"]["json"]["modelfile"]) == {
        "FROM": ["tiny"],
        "system": shown["system"],
        "template": shown["template"],
        "license": (shown["license"],),
        "messages": tuple(Message(**each) for each in shown["messages"]),
        **parameters(shown["parameters"]),
    }


def parameters(shown: str) -> dict[str, object]:
    """The values behind `parameters` of a show reply, as a Modelfile's fields have them."""
    found: dict[str, object] = {}
    for line in shown.splitlines():
        name, _, text = line.partition(" ")
        value: Any = json.loads(text)
        key = f"parameters.{name}"
        if name == "stop":
            before = found.get(key, ())
            assert isinstance(before, tuple)
            value = (*before, value)
        found[key] = value
    return found


SHOWN = [
    pytest.param(each["response"]["json"], id=f"{version} {each['step']}")
    for version in ("0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15")
    for each in exchanges(version)
    if each["request"]["path"] == "/api/show" and "modelfile" in (each["response"].get("json") or {})
    # Values that only the API lets in, and that no Modelfile can say.
    if not re.search("<nil>| abc", each["response"]["json"]["modelfile"])
]


@pytest.mark.parametrize("shown", SHOWN)
def test_the_modelfile_that_a_server_prints_says_what_its_reply_says(shown: dict[str, Any]) -> None:
    # Large whole numbers are printed in a form that Ollama itself does not read back.
    text = re.sub(r"1\.048576e\+06", "1048576", shown["modelfile"])
    found = said(text)
    assert found.get("system", "") == shown.get("system", "")
    assert found.get("messages", ()) == tuple(Message(**each) for each in shown.get("messages") or ())
    licenses = found.get("license", ())
    assert isinstance(licenses, tuple)
    assert "\n".join(licenses) == shown.get("license", "")
    told = {key: value for key, value in found.items() if key.startswith("parameters.")}
    assert told == parameters(shown.get("parameters", ""))


def test_recordings_have_such_replies() -> None:
    assert len(SHOWN) > 40


STEADY = settings(max_examples=200, deadline=None)
PIECES = st.lists(
    st.sampled_from([*INSTRUCTIONS, *'" \t\n\r#a1_', '"""', "stop", "seed", "user", "\u3000", "\0", "x", "0.5"]),
    max_size=40,
).map("".join)


@STEADY
@given(st.binary(max_size=60) | PIECES.map(str.encode))
def test_whatever_the_bytes_reading_ends_with_places_in_them(content: bytes) -> None:
    found = read_modelfile(content)
    lines = len(re.split(rb"\r\n?|\n", content)) if not content.startswith((b"\xff\xfe", b"\xfe\xff")) else 100
    places = [fault.place for fault in found.faults] + [given.place for given in found.named]
    assert all(1 <= place.line <= lines and place.column >= 1 for place in places)


OLD = [word for word in INSTRUCTIONS if word not in {"RENDERER", "PARSER", "REQUIRES", "DRAFT"}]
TEXTS = st.lists(
    st.sampled_from(
        [
            *(f"{word} " for word in OLD),
            "SYSTEM x\n",
            'SYSTEM """',
            "message user ",
            "PARAMETER stop ",
            *'"" \t\n\n\r#a1_',
            '"""',
            '"\n',
        ]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_the_simulated_server_reads_the_same_and_refuses_the_same(text: str) -> None:
    lines = Lines(text, "M")
    found = list(lines.read())
    try:
        theirs = parse(f"FROM x\n{text}", lines=True)[1:]
    except ModelfileError:
        assert lines.faults
        return
    # An empty name is let through there, and refused only when it is looked up.
    assert bool(lines.faults) == any(not command.name for command in theirs)
    if lines.faults:
        return
    names = {"FROM": "model", "PARAMETER": None}
    assert [
        (
            names.get(one.word, one.word.lower()) or one.name,
            f"{one.name}: {one.value}" if one.word == "MESSAGE" else one.value,
        )
        for one in found
    ] == theirs


LINES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["SYSTEM", "TEMPLATE", "LICENSE"]), st.sampled_from(["a", " b ", "c\nd", 'e"', "#f"])
        ),
        st.tuples(st.just("PARAMETER"), st.sampled_from(["seed 1", "seed 2", "stop x", "stop y", "temperature 0.5"])),
        st.tuples(st.just("MESSAGE"), st.sampled_from(["user hi", "assistant hello"])),
    ),
    max_size=8,
)


@STEADY
@given(LINES, st.data())
def test_spelling_order_between_kinds_and_comments_change_nothing(
    lines: list[tuple[str, str]], data: st.DataObject
) -> None:
    straight = said("\n".join(written(word, value) for word, value in lines))
    # Only the order among lines of one kind means something.
    turned = sorted(lines, key=lambda line: line[0] + line[1].split(" ")[0] * (line[0] == "PARAMETER"))
    other = "".join(
        data.draw(st.sampled_from(["", "# c\n", "\n \t\n"]))
        + written(data.draw(st.sampled_from([word, word.lower(), word.title()])), value)
        + data.draw(st.sampled_from(["\n", "  \n", "\r\n", "\r"]))
        for word, value in turned
    )
    assert said(other) == straight
