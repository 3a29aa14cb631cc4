"""Looks names up in threads of their own, so that names which nobody answers for hold up nothing else.

asyncio asks the resolver in the one pool of threads that all of a process shares, a few threads large: names that hang
fill it, whatever else is done there waits, and so does the end of the process (`reliability.md` N3).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

Resolver = Callable[..., list[Any]]
"""As `socket.getaddrinfo`: blocks, and raises `OSError` or `UnicodeError`."""

_found: ContextVar[list[str] | None] = ContextVar("_found", default=None)


@contextmanager
def addresses_found() -> Iterator[list[str]]:
    """A list that gets the addresses of every name that is looked up within the block, in a loop of this module."""
    found: list[str] = []
    mark = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(mark)


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in a loop that looks names up in threads of their own."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


class Loop(asyncio.SelectorEventLoop):
    """asyncio's loop but for names. Who leaves early leaves the thread; who asks for the same name meanwhile joins."""

    def __init__(self, resolver: Resolver = socket.getaddrinfo) -> None:
        super().__init__()
        self._resolver = resolver
        self._asked: dict[tuple[object, ...], asyncio.Future[list[Any]]] = {}

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's word
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        question = (host, port, family, type, proto, flags)
        answer = self._asked.get(question) or self._ask(question)
        result = await asyncio.shield(answer)
        found = _found.get()
        if found is not None:
            found += dict.fromkeys(str(address[0]) for *_, address in result)
        return result

    def _ask(self, question: tuple[object, ...]) -> asyncio.Future[list[Any]]:
        answer: asyncio.Future[list[Any]] = self.create_future()

        def end(result: list[Any] | Exception) -> None:
            del self._asked[question]
            if isinstance(result, Exception):
                answer.set_exception(result)
                # Nobody may be left to hear it, which is no news.
                answer.exception()
            else:
                answer.set_result(result)

        def work() -> None:
            try:
                result: list[Any] | Exception = self._resolver(*question)
            except Exception as error:
                result = error
            # A loop that is closed waits for nothing.
            with suppress(RuntimeError):
                self.call_soon_threadsafe(end, result)

        try:
            # Threads that the end of the process does not wait for: nothing can interrupt a resolver.
            Thread(target=work, name="lookup", daemon=True).start()
        except RuntimeError as error:
            raise socket.gaierror(socket.EAI_AGAIN, "this machine has no thread left to look the name up") from error
        self._asked[question] = answer
        return answer
