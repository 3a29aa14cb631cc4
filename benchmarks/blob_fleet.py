"""Hashes a file, then uploads it, as a pass does: `blob_fleet.py FILE URL`."""

from __future__ import annotations

import asyncio
import sys

from local import local_file
from spent import spent

from fleet.endpoint import Endpoint
from fleet.ollama.client import Client, Uploaded
from fleet.weights.blocks import SharedReads
from fleet.weights.hashing import hash_files

file = local_file(sys.argv[1])


async def blob() -> Uploaded:
    digests = await hash_files([file], None)
    async with Client(Endpoint.parse(sys.argv[2])) as client:
        with SharedReads().open(file) as blocks:
            return await client.upload_blob(digests[file.path], blocks, blocks.size)


with spent():
    result = asyncio.run(blob())
assert result is Uploaded.SENT
