"""When two addresses are of one server, by the rules of OLLAMA_HOST."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.address import check_address, comparable
from fleet.manifest.faults import Misread

STEADY = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("", "http://127.0.0.1:11434/"),
        ("example.com", "http://example.com:11434/"),
        (" 'Example.com:1234' ", "http://example.com:1234/"),
        ("http://example.com", "http://example.com:80/"),
        ("HTTPS://example.com", "https://example.com:443/"),
        (":1234", "http://127.0.0.1:1234/"),
        ("0.0.0.0", "http://127.0.0.1:11434/"),
        ("localhost", "http://127.0.0.1:11434/"),
        ("[::]", "http://::1:11434/"),
        ("::1", "http://::1:11434/"),
        ("[::1]:1234", "http://::1:1234/"),
        ("example.com:99999", "http://example.com:11434/"),
        ("http://example.com:x", "http://example.com:80/"),
        ("http://example.com/ollama/", "http://example.com:80//ollama".replace("//ollama", "/ollama")),
        ("ollama.com", "https://ollama.com:443/"),
    ],
)
def test_one_spelling_for_one_server(text: str, same: str) -> None:
    assert comparable(text) == same
    assert check_address(text) == text


@pytest.mark.parametrize(
    "text", ["http://u:p@x", "u@x", "ftp://x", "http://x?y", "http://x/#y", "a b", "http://x\ny", "http://[x]/", "a|b"]
)
def test_what_no_address_may_hold(text: str) -> None:
    with pytest.raises(Misread):
        check_address(text)


@STEADY
@given(st.text("abc:/@?#.", max_size=20), st.text("secr3t", min_size=6, max_size=10))
def test_no_message_ever_holds_a_password(before: str, password: str) -> None:
    with pytest.raises(Misread) as caught:
        check_address(f"http://user{before.replace('/', '')}:{password}@host")
    assert password not in f"{caught.value} {caught.value.hint}"
