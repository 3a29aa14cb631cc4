"""When two addresses are of one server, by the rules of OLLAMA_HOST."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.endpoint import Endpoint, EndpointError
from fleet.manifest.address import check_address, comparable
from fleet.manifest.faults import Misread

STEADY = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        (" 'Example.com:1234' ", "http://example.com:1234"),
        ("http://example.com", "http://example.com:80"),
        ("HTTPS://example.com", "https://example.com:443"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("localhost", "http://127.0.0.1:11434"),
        ("[::]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("http://example.com/ollama/", "http://example.com:80/ollama"),
        ("ollama.com", "https://ollama.com:443"),
        ("http://h:11434", "http://h:11434"),
        ("h", "http://h:11434"),
        ("H:11434/", "http://h:11434"),
        ("h.", "http://h:11434"),
    ],
)
def test_one_spelling_for_one_server(text: str, same: str) -> None:
    assert comparable(text) == same
    assert check_address(text) == text


@pytest.mark.fault("D19")
@pytest.mark.parametrize(
    "text", ["http://u:p@x", "u@x", "ftp://x", "http://x?y", "http://x/#y", "a b", "http://x\ny", "http://[x]/", "a|b"]
)
def test_what_no_address_may_hold(text: str) -> None:
    with pytest.raises(Misread):
        check_address(text)


@pytest.mark.parametrize("text", ["http://x:abc", "x:99999", "x:-1", "x:", "x:\u0663", "https://[::1]:0"])
def test_a_port_that_cannot_be_is_a_fault_but_for_ollamas_own_variable(text: str) -> None:
    with pytest.raises(Misread, match="the port is no number from 1 to 65535"):
        check_address(text)
    assert check_address(text, lenient=True) == text


@given(st.text(max_size=40))
def test_what_no_client_would_connect_to_is_no_address(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except EndpointError as error:
        with pytest.raises(Misread, match=re.escape(str(error))):
            check_address(text, lenient=True)
        return
    assert check_address(text, lenient=True) == text
    assert comparable(text) == comparable(endpoint.url)


@pytest.mark.fault("D19")
@STEADY
@given(st.text("abc:/@?#.", max_size=20), st.text("secr3t", min_size=6, max_size=10))
def test_no_message_ever_holds_a_password(before: str, password: str) -> None:
    with pytest.raises(Misread) as caught:
        check_address(f"http://user{before.replace('/', '')}:{password}@host")
    assert password not in f"{caught.value} {caught.value.hint}"
