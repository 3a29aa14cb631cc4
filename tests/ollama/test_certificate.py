"""When a certificate is valid, read from its own bytes."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.ollama.certificate import Validity, validity
from tests.ollama.sockets import self_signed


def der(pem: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.read_text())


def by_openssl(pem: Path) -> Validity:
    """As the program of that name reads them."""
    command = ["openssl", "x509", "-noout", "-dates", "-in", str(pem)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    begins, ends = (line.partition("=")[2] for line in told.splitlines())
    return Validity(*(datetime.fromtimestamp(ssl.cert_time_to_seconds(each), UTC) for each in (begins, ends)))


@pytest.mark.parametrize("days", [1, 36_500])
def test_dates_are_read_in_both_of_their_forms(days: int, tmp_path: Path) -> None:
    """From 2050 on there are four digits to a year."""
    pem, _ = self_signed(tmp_path, days=days)
    found = validity(der(pem))
    assert found == by_openssl(pem)
    assert found is not None
    assert found.ends - found.begins == timedelta(days=days)


@pytest.mark.parametrize("nothing", [b"", b"0", b"\x30\x00", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"<html>"])
def test_what_is_no_certificate_has_no_dates(nothing: bytes) -> None:
    assert validity(nothing) is None


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
def test_no_bytes_do_more_than_tell_nothing(piece: bytes, place: int) -> None:
    whole = bytes.fromhex("3022301e0201013000300030170d3236303130313030303030305a")
    assert validity(whole[:place] + piece + whole[place:]) is None
