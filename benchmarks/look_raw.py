"""Version, tags and ps of each host by hand on asyncio's streams: only what it takes to read the replies whole.

The argument says how many hosts; their ports come as JSON by standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from open_files import allow_open_files
from spent import spent

PARALLEL = 32


async def look(port: int) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bodies = []
    for path in ("/api/version", "/api/tags", "/api/ps"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        _, found, length = head.partition(b"Content-Length: ")
        if found:
            bodies.append(await reader.readexactly(int(length.split(b"\r\n", 1)[0])))
            continue
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        bodies.append(body)
    writer.close()
    await writer.wait_closed()
    return bodies


async def look_at_all(ports: list[int]) -> list[list[bytes]]:
    places = asyncio.Semaphore(PARALLEL)

    async def one(port: int) -> list[bytes]:
        async with places:
            return await look(port)

    return await asyncio.gather(*(one(port) for port in ports))


allow_open_files()
ports = json.load(sys.stdin)[: int(sys.argv[1])]
with spent():
    found = asyncio.run(look_at_all(ports))
assert all(len(json.loads(tags)["models"]) == 40 for _, tags, _ in found)
