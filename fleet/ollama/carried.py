"""A body that a given transport carries in this loop, where there is no socket that a thread could wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import httpx2

from fleet.ollama.sending import Block, WrongLengthError


class Carried(httpx2.AsyncByteStream):
    """The blocks of one upload, each read when the other side wants it; `moved` hears how many bytes went.

    What the source raises, or its wrong length, is the result of `fault`: the body then goes on without an end, so that
    nobody takes what was sent for all of it.
    """

    def __init__(self, blocks: Iterable[Block], size: int, moved: Callable[[int], None]) -> None:
        self._blocks: Iterator[Block] = iter(blocks)
        self._size = size
        self._moved = moved
        self.taken = 0
        self.fault: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (block := self._next()) is not None:
            if self.fault.done():
                await asyncio.Event().wait()
            yield bytes(block)
            self.taken += len(block)
            self._moved(self.taken)

    def _next(self) -> Block | None:
        """The next block; nothing at the right end, and an empty one where `fault` tells why there is no more."""
        try:
            block = next(self._blocks, None)
        except Exception as error:
            self.fault.set_result(error)
            return b""
        left = self._size - self.taken - (len(block) if block is not None else 0)
        if left < 0:
            self.fault.set_result(WrongLengthError("has more bytes than announced"))
        elif block is None and left:
            self.fault.set_result(WrongLengthError(f"ended {left} bytes before its announced end"))
        else:
            return block
        return b""
