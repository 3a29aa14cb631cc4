"""Comments on merge requests: nothing foreign acts in them, they fit, and they say what they left out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Blocked, Change, HostDifference, Reason
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Report
from fleet.reconcile.step import Action, BlockedItem, Plan, Refusal, Step
from fleet.render.comment import LIMIT, Row, Section, comment, marker
from fleet.render.inline import cell, code, html_code
from fleet.render.markdown import plan_markdown, report_markdown
from tests.render import examples

if TYPE_CHECKING:
    from markdown_it.token import Token

HOSTILE = (
    "| x | y |",
    r"\| out of the cell @everybody",
    "` ends the code @everybody [click](http://evil.example)",
    "``` fenced\n# heading",
    "<img src=x onerror=alert(1)> <!-- -->",
    "</details></code><script>alert(1)</script>",
    "@everybody #1 !2 www.evil.example http://evil.example/?token=1 me@evil.example",
    "trailing \\",
    "-->",
    "\u202egnp.exe",
)
NASTY = st.text(alphabet="`|\\<>@#[]()!*_-&; \nab", max_size=40) | st.text(max_size=40)


def parsed(text: str) -> list[Token]:
    """All tokens, those within lines included, as GitHub Flavored Markdown has them."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        found += [token, *(token.children or [])]
    return found


def everything_says(words: str) -> Plan:
    """A plan in which these words stand wherever words of others can."""
    host = HostName("alpha")
    step = Step(1, host, ModelName.parse("a:1b"), "a:1b", Action.CREATE, Reason.FIELDS_DIFFER, new_after=1,
                changes=(Change(words, words, f"{words}!"),))  # fmt: skip
    return Plan(
        words or "default",
        (step,),
        (HostDifference(host), HostDifference(HostName("beta"), unobserved=unseen(words))),
        (BlockedItem(host, step.model, Blocked(Code.NO_ANSWER, words, words)),),
        (Refusal(Code.FROZEN, words, words, would=(words, words)),),
        {HostName("delta"): words},
    )


def unseen(words: str) -> Unobserved:
    return Unobserved(HostName("beta"), Code.NO_ANSWER, "no answer", told=words)


@pytest.mark.parametrize("words", HOSTILE)
def test_foreign_words_are_code_wherever_they_stand(words: str) -> None:
    plan = everything_says(words)
    tokens = parsed(plan_markdown(plan))
    assert not {"link_open", "image", "fence", "code_block", "em_open"} & {t.type for t in tokens}
    assert {token.content for token in tokens if token.type == "html_inline"} == {"<br>"}
    raw = [token.content for token in tokens if token.type == "html_block"]
    assert [block.count("<!--") for block in raw] == [1]
    plain = "".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"evil|everybody|alert|cell|gnp|#", plain)
    shown = [token.content for token in tokens if token.type == "code_inline"]
    expected = clean(words, limit=400)
    assert shown.count(expected) >= 7, "blocked, refused twice, would twice, hint, suspended, told"
    assert len([token for token in tokens if token.type == "td_open"]) == 5
    assert len(parsed(report_markdown(Report(plan, plan)))) > 10


@given(NASTY, NASTY)
def test_a_cell_holds_one_text_whatever_it_is(one: str, two: str) -> None:
    tokens = parsed(f"| a | b |\n|---|---|\n| {cell(one)} | {cell(two)} |\n")
    assert [token.type for token in tokens].count("td_open") == 2
    shown = [token.content for token in tokens if token.type == "code_inline"]
    # What is shown differs in one thing alone, and that is readable.
    assert shown == [(clean(text, limit=400) or " ").replace("\\|", r"\\x7c") for text in (one, two)]


@given(NASTY)
def test_code_in_a_list_holds_the_text_as_it_is(text: str) -> None:
    tokens = parsed(f"- {code(text)} (FLT-101)\n")
    assert [token.content for token in tokens if token.type == "code_inline"] == [clean(text, limit=400) or " "]
    assert "fence" not in {token.type for token in tokens}


def test_code_in_a_fold_is_html() -> None:
    assert html_code("<b>&\n") == "<code>&lt;b&gt;&amp;</code>"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("acme-prod", "<!-- ollama-fleet: plan of acme-prod -->"),
        ("a--> <b>", "<!-- ollama-fleet: plan of a-b- -->"),
        ("x" * 5000, f"<!-- ollama-fleet: plan of {'x' * 200} -->"),
    ],
)
def test_a_bot_finds_its_former_comment_by_the_first_line(name: str, line: str) -> None:
    assert marker("plan", name) == line
    plans = (replace(examples.full_plan(), name=name), replace(examples.clean_plan(), name=name))
    assert [plan_markdown(plan).splitlines()[0] for plan in plans] == [line, line]


def test_what_is_taken_away_comes_before_the_steps_with_its_size() -> None:
    text = plan_markdown(examples.full_plan())
    row = "| - | `old:1b` | deleted | `cba06b5736fa` | 1.3 GB | `alpha` | declared absent |"
    assert (
        text.index("Deleted or replaced: 4 models, up to ")
        < text.index(row)
        < text.index("| 1 | + | pull | `qwen3:8b`")
    )


def plan_of(hosts: int, steps: int = 2) -> Plan:
    """Hosts of which no two are alike, each with deletes too."""
    made: list[Step] = []
    for number in range(hosts):
        for step in range(steps):
            model = ModelName.parse(f"model-{number}:{step}")
            made.append(
                Step(len(made) + 1, HostName(f"host-{number:04}"), model, str(model), Action.DELETE,
                     Reason.DECLARED_ABSENT, old=examples.digest("old"), bytes_freed=1_000_000)
            )  # fmt: skip
    names = dict.fromkeys(step.host for step in made)
    return Plan("wide", tuple(made), tuple(HostDifference(host) for host in names))


def test_few_steps_are_open_and_many_are_folded() -> None:
    assert "<details>" not in plan_markdown(plan_of(2))
    text = plan_markdown(plan_of(15))
    assert text.count("<details><summary><code>host-") == 15
    assert "<summary><code>host-0003</code>: 2 steps; up to 2.0 MB freed</summary>" in text
    assert "<summary><b>Deleted or replaced: 30 models, up to 30.0 MB</b> (30)</summary>" in text
    assert text.count("<details>") == text.count("</details>") == 16


def test_hosts_with_the_same_steps_share_a_table() -> None:
    text = plan_markdown(examples.wide_plan(2000))
    assert "`host-0001, host-0002, host-0003, host-0004, host-0005 and 1795 more`**: 2 steps on each" in text
    assert "1800 hosts alike, numbered as on the first" in text
    assert len(text) < 20_000


@pytest.mark.parametrize(("hosts", "steps"), [(2000, 1), (3, 1000)])
def test_a_comment_fits_and_says_what_it_left_out(hosts: int, steps: int) -> None:
    text = plan_markdown(plan_of(hosts, steps))
    assert len(text) <= LIMIT < 65_000
    assert text.count("<details>") == text.count("</details>")
    last = text.splitlines()[-1]
    told = re.fullmatch(
        r"\*\*Left out, since a comment holds no more:\*\* (\d+) models deleted or replaced, (\d+) steps\. .*", last
    )
    assert told is not None, last
    shown = len(re.findall(r"^\| \d+ \| - \| delete ", text, re.MULTILINE))
    taken = len(re.findall(r"^\| - \| ", text, re.MULTILINE))
    assert (taken + int(told[1]), shown + int(told[2])) == (hosts * steps, hosts * steps)
    assert min(taken, shown) > 50


def test_very_many_unseen_hosts_are_told_by_their_reasons() -> None:
    hosts = tuple(
        HostDifference(HostName(f"h{n}"), unobserved=replace(unseen("x" * 900), host=HostName(f"h{n}")))
        for n in range(500)
    )
    text = plan_markdown(Plan("wide", hosts=hosts))
    assert "- 500 hosts: the host did not answer in time (FLT-103): `h0, h1, h2, h3, h4 and 495 more`\n" in text
    assert "xxx" not in text


def test_one_step_with_very_many_changes_keeps_its_row() -> None:
    changes = tuple(Change(f"field-{number}", "x" * 500, "y" * 500) for number in range(5000))
    step = replace(examples.steps()[2], changes=changes)
    text = plan_markdown(Plan("acme", (step,), examples.differences()[:1]))
    assert "and 4980 more lines" in text
    assert "field-19:" in text
    assert len(text) < 30_000


def test_rows_are_never_cut_open() -> None:
    rows = tuple(Row("x" * 1000, counts=3) for _ in range(100))
    text = comment("<!-- m -->", "told", [Section(("head",), rows, ("foot",), "thing", "things")], more="Look.")
    kept = text.count("x" * 1000)
    assert 50 < kept < 60
    assert text.endswith(f"foot\n\n**Left out, since a comment holds no more:** {3 * (100 - kept)} things. Look.\n")


def test_a_run_without_steps_has_no_plan() -> None:
    text = report_markdown(Report(examples.clean_plan(), examples.clean_plan()))
    assert text == ("<!-- ollama-fleet: report of acme -->\n### fleet: Nothing to do: 2 items as desired on 2 hosts\n")
