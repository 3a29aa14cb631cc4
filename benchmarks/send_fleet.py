"""Uploads a file whose digest is known, so many times at once: `send_fleet.py FILE URL TIMES [CA]`."""

from __future__ import annotations

import asyncio
import sys

from local import local_file
from spent import spent

from fleet.endpoint import Endpoint
from fleet.names import Digest
from fleet.ollama.client import Client, Uploaded
from fleet.ollama.credentials import Trust, tls_context
from fleet.weights.blocks import SharedReads

file, url, times = local_file(sys.argv[1]), sys.argv[2], int(sys.argv[3])
trust = Trust(ca_file=sys.argv[4]) if len(sys.argv) > 4 else None


async def upload_all() -> list[Uploaded]:
    reads = SharedReads()
    async with Client(Endpoint.parse(url), tls=trust) as client:

        async def one() -> Uploaded:
            with reads.open(file) as blocks:
                return await client.upload_blob(Digest("a" * 64), blocks, blocks.size)

        return await asyncio.gather(*(one() for _ in range(times)))


if trust is not None:
    tls_context(trust)
with spent():
    results = asyncio.run(upload_all())
assert results == [Uploaded.SENT] * times
