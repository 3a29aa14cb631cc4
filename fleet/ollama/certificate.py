"""When a certificate is valid, read from one that is not trusted: the TLS library tells dates of trusted ones alone.

Nothing rests on it but the words of an error.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from fleet.endpoint import Endpoint

_SEQUENCE, _UTC_TIME, _LONG_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0
"""Tags of DER (X.690), and of the version, which old certificates leave out (RFC 5280, 4.1)."""


class Validity(NamedTuple):
    """From when until when, in UTC."""

    begins: datetime
    ends: datetime


async def shown_at(endpoint: Endpoint, server_name: str | None, within: float) -> Validity | None:
    """What the certificate says that is shown there; nothing where none comes within so many seconds.

    A connection of its own, on which nothing is sent: whoever is at its other end is not trusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError, EOFError):
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=context, server_hostname=server_name or endpoint.host
            )
            try:
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
            return validity(shown) if shown else None
    return None


def validity(certificate: bytes) -> Validity | None:
    """Of a certificate in DER; nothing where it is none."""
    try:
        signed, _ = _taken(_taken(certificate, _SEQUENCE)[0], _SEQUENCE)
        if signed[0] == _VERSION:
            _, signed = _taken(signed)
        # Serial number, algorithm and issuer come before.
        for _ in range(3):
            _, signed = _taken(signed)
        times, _ = _taken(signed, _SEQUENCE)
        begins, rest = _moment(times)
        ends, _ = _moment(rest)
    except (ValueError, IndexError):
        return None
    return Validity(begins, ends)


def _taken(data: bytes, tag: int | None = None) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    if tag is not None and data[0] != tag:
        raise ValueError
    size, at = data[1], 2
    if size & 0x80:
        at += size & 0x7F
        size = int.from_bytes(data[2:at], "big")
    if at + size > len(data):
        raise ValueError
    return data[at : at + size], data[at + size :]


def _moment(data: bytes) -> tuple[datetime, bytes]:
    content, rest = _taken(data)
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _LONG_TIME: "%Y%m%d%H%M%SZ"}.get(data[0])
    if form is None:
        raise ValueError
    return datetime.strptime(content.decode("ascii"), form).replace(tzinfo=UTC), rest
