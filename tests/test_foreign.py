from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.foreign import LIMIT, clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("日本語 ✓", "日本語 ✓"),
        ("two\nlines\r\n\tindented", "two\\x0alines\\x0d\\x0a\\x09indented"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\x00b\x7fc\x9bd", "a\\x00b\\x7fc\\x9bd"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("\u2066a\u2069 \u200f \u061c", "\\u2066a\\u2069 \\u200f \\u061c"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("half \ud800", "half \\ud800"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("  trimmed  ", "trimmed"),
    ],
)
def test_what_could_act_on_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.fault("R10")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'Get "https://r2.example/blob?X-Amz-Signature=secret&a=b": EOF',
            'Get "https://r2.example/blob?…": EOF',
        ),
        ("see https://me:secret@example.com/x now", "see https://example.com/x now"),
        ("https://secret@example.com/x?secret=1#2 and http://b/?secret", "https://example.com/x?… and http://b/?…"),
        ("what? no url?", "what? no url?"),
    ],
)
def test_urls_lose_their_secrets(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert "secret" not in clean(text)


def test_a_long_text_is_cut_with_a_sign_of_it() -> None:
    shown = clean("x" * 10_000)
    assert len(shown) == LIMIT
    assert shown.endswith("x…")
    assert clean("abcdef", limit=4) == "abc…"


@pytest.mark.fault("S15")
@given(st.text(alphabet=st.characters(codec=None), max_size=600), st.integers(1, 600))
def test_no_text_comes_out_with_anything_dangerous(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
    shown.encode()
