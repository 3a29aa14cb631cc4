"""Version, tags and ps of each host with aiohttp: one session, replies read whole.

The argument says how many hosts; their ports come as JSON by standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
from open_files import allow_open_files
from spent import spent

PARALLEL = 32


async def look(session: aiohttp.ClientSession, port: int) -> list[bytes]:
    bodies = []
    for path in ("/api/version", "/api/tags", "/api/ps"):
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            assert response.status == 200
            bodies.append(await response.read())
    return bodies


async def look_at_all(ports: list[int]) -> list[list[bytes]]:
    places = asyncio.Semaphore(PARALLEL)
    async with aiohttp.ClientSession() as session:

        async def one(port: int) -> list[bytes]:
            async with places:
                return await look(session, port)

        return await asyncio.gather(*(one(port) for port in ports))


allow_open_files()
ports = json.load(sys.stdin)[: int(sys.argv[1])]
with spent():
    found = asyncio.run(look_at_all(ports))
assert all(len(json.loads(tags)["models"]) == 40 for _, tags, _ in found)
