"""How long certificates of hosts hold, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.daemon.certificates import ends
from fleet.manifest.inventory import Host, Place, Tls
from fleet.names import HostName
from tests.ollama.sockets import always, self_signed, serving

HERE = Place("hosts.yaml", 1, 1)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificate")
@pytest.mark.fault("N6")
def test_hosts_with_tls_are_asked_and_those_that_cannot_be_trusted_or_reached_left_out(tmp_path: Path) -> None:
    pem, context = self_signed(tmp_path, days=9)
    trusted = Tls(ca_file=str(pem))

    async def asked() -> tuple[dict[HostName, datetime], int]:
        async with serving(always(ANSWER, keep=False), tls=context) as served, serving(always(ANSWER)) as plain:
            hosts = [
                Host(HostName("gpu-a"), f"https://127.0.0.1:{served.port}", HERE, tls=trusted),
                Host(HostName("gpu-b"), f"https://127.0.0.1:{served.port}", HERE),
                Host(HostName("gpu-c"), f"http://127.0.0.1:{plain.port}", HERE),
                Host(HostName("gpu-d"), "https://127.0.0.1:9", HERE, tls=trusted),
            ]
            return await ends(hosts, 5), len(plain.asked)

    found, of_plain = asyncio.run(asked())
    assert set(found) == {"gpu-a"}
    assert timedelta(days=8) < found[HostName("gpu-a")] - datetime.now(UTC) <= timedelta(days=9)
    assert of_plain == 0
