"""Tasks of one host in which something goes wrong at a wait of one's choice, as a fault of fleet's own would."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any
from weakref import WeakKeyDictionary

from fleet.manifest.item import HostDesired


class OwnFault(Exception):
    """Nobody expects it."""


class BrokenTasks:
    """A loop's task factory. The tasks of `host`, and those that they make, raise together at their `at`-th wait; 0: never."""

    def __init__(self, host: str, at: int) -> None:
        self._host = host
        self._at = at
        self.waits = 0
        self._theirs: WeakKeyDictionary[asyncio.Task[Any], bool] = WeakKeyDictionary()

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **more: Any,
    ) -> asyncio.Task[Any]:
        assert isinstance(coroutine, Coroutine)
        try:
            maker = asyncio.current_task(loop)
        except RuntimeError:
            maker = None
        theirs = self._is_of_host(coroutine) or (maker is not None and maker in self._theirs)
        task = asyncio.Task(_Waiting(coroutine, self) if theirs else coroutine, loop=loop, **more)
        if theirs:
            self._theirs[task] = True
        return task

    def breaks_now(self) -> bool:
        self.waits += 1
        return self.waits == self._at

    def _is_of_host(self, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """By what it was called with: a host, or what is desired of one."""
        frame = getattr(coroutine, "cr_frame", None)
        given = [] if frame is None else list(frame.f_locals.values())
        return any(
            each.host.name == self._host if isinstance(each, HostDesired) else each == self._host for each in given
        )


class _Waiting(Coroutine[Any, Any, Any]):
    def __init__(self, inner: Coroutine[Any, Any, Any], tasks: BrokenTasks) -> None:
        self._inner = inner
        self._tasks = tasks
        self._begun = False

    def send(self, value: Any) -> Any:
        if self._begun and self._tasks.breaks_now():
            return self._inner.throw(OwnFault("here"))
        self._begun = True
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        raise NotImplementedError
