"""Secrets that fleet uses do not come out by what others say."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.foreign import clean
from fleet.masking import PIECE, hide, masked

SECRET = "Xk93+/vQzL?s8Wd w1&Jm"
hide(SECRET.encode())


def told(form: str) -> list[str]:
    """Every piece of six characters."""
    return [form[begin : begin + PIECE] for begin in range(len(form) - PIECE + 1)]


def encoded(secret: str, before: int) -> str:
    return base64.b64encode(b"Basic me:"[:before] + secret.encode() + b"\n").decode()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        SECRET.replace("?", "?")[3:12],
        *(encoded(SECRET, before)[before * 2 : -4] for before in range(3)),
        encoded(SECRET, 9)[13:-4].replace("+", "-").replace("/", "_"),
    ],
)
def test_no_form_of_it_is_shown(form: str) -> None:
    shown = masked(f"you sent {form}, which is wrong")
    assert shown.startswith("you sent ")
    assert shown.endswith(", which is wrong")
    assert not [piece for piece in told(form) if piece in shown]


@given(st.integers(0, len(SECRET)), st.integers(0, len(SECRET)), st.text(max_size=30), st.text(max_size=30))
def test_no_part_of_it_is_shown(begin: int, end: int, before: str, after: str) -> None:
    shown = masked(f"{before}{SECRET[begin:end]}{after}")
    assert not [piece for piece in told(SECRET) if piece in shown]


@given(st.text(alphabet="abcdefgh /:.", max_size=80))
def test_what_has_nothing_of_it_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_short_parts_are_in_every_text() -> None:
    assert masked("Xk93+") == "Xk93+"


def test_what_is_shown_is_masked_before_it_is_cut() -> None:
    shown = clean("x" * 500 + SECRET + "y" * 100)
    assert SECRET[:PIECE] not in shown
    assert "[hidden]" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ('{"authorization":["Basic bWU6eA=="],"accept":["*/*"]}', '{"authorization":["…"],"accept":["*/*"]}'),
        ("X-Api-Key=abcdef, and more", "X-Api-Key=…, and more"),
        (
            "cdn/x X-Amz-Signature=abc&X-Amz-Credential=k/r and more",
            "cdn/x X-Amz-Signature=…&X-Amz-Credential=… and more",
        ),
        ("unexpected token: authorization failed", "unexpected token: authorization failed"),
        ("bearer of news", "bearer of news"),
    ],
)
def test_what_looks_like_a_proof_is_not_shown_either(text: str, shown: str) -> None:
    assert clean(text) == shown
