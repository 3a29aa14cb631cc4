"""What a connection tells besides its replies, over real sockets."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from fleet.endpoint import Endpoint
from fleet.ollama.credentials import Trust
from fleet.ollama.handshake import Handshake, shake_hands
from tests.ollama.sockets import Request, Script, always, self_signed, serving


def shaken(
    script: Script, *, tls: ssl.SSLContext | None = None, trust: Trust | None = None
) -> tuple[Handshake, Request]:
    async def run() -> tuple[Handshake, Request]:
        async with serving(script, tls=tls) as served:
            endpoint = Endpoint.parse(f"{served.scheme}://127.0.0.1:{served.port}/behind")
            return await shake_hands(endpoint, trust, 5), served.asked[0]

    return asyncio.run(run())


def head(status: int, date: datetime) -> bytes:
    return f"HTTP/1.1 {status} X\r\nDate: {format_datetime(date, usegmt=True)}\r\nContent-Length: 2\r\n\r\n".encode()


def test_it_asks_for_a_head_without_any_credential() -> None:
    told, asked = shaken(always(head(401, datetime.now(UTC)), keep=False))
    assert (told.status, told.ahead, told.certificate_ends) == (401, timedelta(), None)
    assert (asked.method, asked.path) == ("HEAD", "/behind/api/version")
    assert set(asked.headers) == {"host", "user-agent", "connection"}


def test_a_clock_that_is_an_hour_behind() -> None:
    told, _ = shaken(always(head(200, datetime.now(UTC) - timedelta(hours=1)), keep=False))
    assert told.ahead is not None
    assert timedelta(minutes=-60) <= told.ahead <= timedelta(minutes=-59)


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000],
    ids=["cut", "other", "long"],
)
def test_what_tells_nothing_is_no_trouble(nonsense: bytes) -> None:
    told, _ = shaken(always(nonsense, keep=False))
    assert told == Handshake()


def test_nobody_there_is_no_trouble_either() -> None:
    assert asyncio.run(shake_hands(Endpoint.parse("http://127.0.0.1:9"), None, 5)) == Handshake()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificate")
def test_how_long_a_certificate_holds(tmp_path: Path) -> None:
    pem, context = self_signed(tmp_path, days=9)

    told, _ = shaken(always(head(200, datetime.now(UTC)), keep=False), tls=context, trust=Trust(ca_file=str(pem)))
    assert told.certificate_ends is not None
    assert timedelta(days=8) < told.certificate_ends - datetime.now(UTC) <= timedelta(days=9)
