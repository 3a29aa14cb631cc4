"""Go templates: which fields they use, and what Go says of those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate.gotemplate import Template, TemplateError


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("no template at all", set()),
        ("{{ .Prompt }}", {"prompt"}),
        ("{{- if .System }}{{ .System }}{{ else if .Tools }}x{{ else }}{{ .Suffix }}{{ end -}}", {"system", "tools", "suffix"}),
        ("{{ range $i, $m := .Messages }}{{ $m.Role }}{{ else }}{{ .A }}{{ end }}", {"$i", "$m", "messages", "role", "a"}),
        ("{{ with $x := .A }}{{ $x }}{{ else with .B }}{{ end }}", {"$x", "a", "b"}),
        ('{{ define "t" }}{{ .In }}{{ end }}{{ template "t" .Out }}{{ template "t" }}', {"in", "out"}),
        ('{{ block "b" .X }}{{ .Y }}{{ end }}', {"x", "y"}),
        ("{{ range .L }}{{ break }}{{ continue }}{{ end }}", {"l"}),
        ("{{/* a comment */}}{{- /* and {{ another }} */ -}}", set()),
        ("{{ printf `%s` (index .A 0).B | len }}", {"a", "b"}),
        ("{{ eq .A \"x\" 'y' 1.5e3 0x1F true nil }}", {"a"}),
        ("{{ $x := 1 }}{{ $x = 2 }}{{ json . }}{{ currentDate }}", {"$x"}),
    ],
)  # fmt: skip
def test_fields_in_use(text: str, variables: set[str]) -> None:
    assert Template(text).variables() == variables


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{", "1: unclosed action"),
        ("a\n{{ .X", "2: unclosed action"),
        ("{{ .X }", '1: unexpected "}" in operand'),
        ("{{ if .X }}", "1: unexpected EOF"),
        ("{{ end }}", "1: unexpected {{end}}"),
        ("{{ else }}", "1: unexpected {{else}}"),
        ("{{ if .X }}{{ else }}{{ else }}{{ end }}", "1: expected end; found {{else}}"),
        ("{{ range .X }}{{ else if }}{{ end }}", "1: unexpected <if> in input"),
        ("{{ break }}", "1: {{break}} outside {{range}}"),
        ("{{ }}", "1: missing value for command"),
        ("{{ if }}x{{ end }}", "1: missing value for if"),
        ("{{ nope .X }}", '1: function "nope" not defined'),
        ("{{ $x }}", '1: undefined variable "$x"'),
        ("{{ .X | 5 }}", "1: non executable command in pipeline stage 2"),
        ("{{ (.X }}", "1: unclosed left paren"),
        ("{{ .X) }}", "1: unexpected right paren"),
        ('{{ "x }}', "1: unterminated quoted string"),
        ("{{ `x }}", "1: unterminated raw quoted string"),
        ("{{ 'x }}", "1: unterminated character constant"),
        ("{{ 1x }}", '1: bad number syntax: "1x"'),
        ("{{ .X & }}", '1: unexpected "&" in operand'),
        ("{{ \x01 }}", "1: unrecognized character in action: U+0001"),
        ("{{ : }}", "1: expected :="),
        ("{{/* open", "1: unclosed comment"),
        ("{{/* a */ b }}", "1: comment ends before closing delimiter"),
        ('{{ "a".B }}', '1: unexpected . after term "\\"a\\""'),
        ("{{ template x }}", '1: unexpected "x" in template clause'),
        ("{{ define .X }}{{ end }}", '1: unexpected ".X" in define clause'),
        ("{{ range $a, 5 := .X }}{{ end }}", "1: range can only initialize variables"),
        ("{{ range $a, $b }}{{ end }}", '1: undefined variable "$b"'),
        ("{{ .X..Y }}", "1: unexpected <.> in operand"),
        ("{{ end .X }}", '1: unexpected ".X" in end'),
        ("{{ if .X }}{{ else with .Y }}{{ end }}{{ end }}", "1: unexpected <with> in input"),
        ("{{ else if }}", "1: unexpected {{else}}"),
        ('{{ define "t" }}{{ else }}{{ end }}', "1: unexpected {{else}} in define clause"),
        ("{{ range $a, $b, $c := .X }}{{ end }}", "1: too many declarations in range"),
        ("{{ $a, $b := .X }}", "1: too many declarations in command"),
        ("{{ range $a, }}{{ end }}", "1: missing value for range"),
    ],
)
def test_faults_in_gos_words(text: str, fault: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert str(caught.value) == f"template: :{fault}"


def test_a_fault_in_a_long_action_says_where_it_began() -> None:
    with pytest.raises(TemplateError, match=r"^template: :2: unclosed action started at :1$"):
        Template("{{ .X\n")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}", ("<think>", "</think>")),
        ("{{ range .Messages }}{{ .Thinking }}{{ end }}", ("", "")),
        ("{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}", ("", "")),
        ("{{ range .Other }}<t>{{ .Thinking }}</t>{{ end }}", ("", "")),
    ],
)  # fmt: skip
def test_texts_around_thinking(text: str, tags: tuple[str, str]) -> None:
    assert Template(text).thinking_tags() == tags


PIECES = ["{{", "}}", "{{-", "-}}", " ", ".X", "if", "end", "else", "range", "with", "define", "(", ")", "|", ":=", "$x", '"t"', "/*", "*/", "5", "'", "\n", "x", ","]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=30))
def test_every_text_is_a_template_or_has_a_fault_with_a_line(text: str) -> None:
    try:
        Template(text)
    except TemplateError as fault:
        assert str(fault).startswith("template: :")  # noqa: PT017 - either outcome is right
