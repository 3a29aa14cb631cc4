"""What `fleet doctor` says of a host whose certificate is about to end."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.fleet_command import FleetCommand, Ran
from tests.ollama.sockets import Request, reply, self_signed, serving

ANSWERS: dict[str, dict[str, object]] = {
    "/api/version": {"version": "0.32.15"},
    "/api/tags": {"models": []},
    "/api/ps": {"models": []},
}


async def empty_host(request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(reply("" if request.method == "HEAD" else ANSWERS.get(request.path, {})))
    await writer.drain()
    return request.method != "HEAD"


@pytest.mark.fault("N6")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificate")
@pytest.mark.parametrize(("days", "told"), [(9, True), (20, False)])
def test_a_certificate_that_ends_soon_is_told_with_its_date_and_is_no_failure(
    days: int, told: bool, run_fleet: FleetCommand
) -> None:
    _, context = self_signed(run_fleet.folder, days=days)

    async def examined() -> Ran:
        async with serving(empty_host, tls=context) as served:
            run_fleet.write(
                "hosts.yaml",
                f"version: 1\nhosts: {{gpu: {{url: 'https://127.0.0.1:{served.port}', tls: {{ca_file: server.pem}}}}}}\n",
            )
            return await asyncio.to_thread(run_fleet, "doctor", "-i", "hosts.yaml")

    ran = asyncio.run(examined())
    assert ran.code == 0, ran.stdout + ran.stderr
    ends = {f"{datetime.now(UTC) + timedelta(days=days) - timedelta(minutes=late):%Y-%m-%d}" for late in (0, 5)}
    assert any(f"gpu: its certificate ends at {day}" in ran.stdout for day in ends) == told
