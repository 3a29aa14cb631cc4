"""Serves canned replies on many ports of loopback, each standing for one host, until its standard input ends.

Prints the ports as one line of JSON. The argument says how many.
"""

from __future__ import annotations

import asyncio
import json
import sys

from open_files import allow_open_files
from replies import replies


class Answering(asyncio.Protocol):
    """One connection: a request without a body is answered by its path."""

    known = replies()

    def __init__(self) -> None:
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while b"\r\n\r\n" in self.waiting:
            head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
            self.transport.write(self.known[head.split(b" ", 2)[1]])


async def serve(hosts: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answering, "127.0.0.1", 0) for _ in range(hosts)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    for server in servers:
        server.close()


allow_open_files()
asyncio.run(serve(int(sys.argv[1])))
