"""Names that hang, names that many ask for at once, and what is left of those who went away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from threading import Event
from typing import Any, Self, TypeVar

import pytest

from fleet import lookup
from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostUnreachable
from fleet.lookup import Loop, Resolver, addresses_found
from fleet.ollama.client import Client
from fleet.ollama.limits import NO_RETRIES, Limits, Retries
from tests.ollama.sockets import always, reply, serving

T = TypeVar("T")
VERSION = always(reply({"version": "0.32.15"}))


def run(main: Coroutine[Any, Any, T], resolver: Resolver) -> T:
    with asyncio.Runner(loop_factory=lambda: Loop(resolver)) as runner:
        return runner.run(main)


def told(*addresses: str) -> Resolver:
    """A resolver that has these for every name."""
    return lambda _host, port, *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]


class Hanging:
    """A resolver that answers nothing until it is over; `reached` once it was asked so many times."""

    def __init__(self, times: int = 1) -> None:
        self._times = times
        self._over = Event()
        self.asked: list[str] = []
        self.reached = Event()

    def __call__(self, host: str, *_: object) -> list[Any]:
        self.asked.append(host)
        if len(self.asked) >= self._times:
            self.reached.set()
        self._over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()


async def version_of(host: str, port: int, limits: Limits | None = None) -> str:
    async with Client(Endpoint.parse(f"{host}:{port}"), limits=limits, retries=NO_RETRIES) as client:
        return str(await client.version())


@pytest.mark.fault("N3")
def test_forty_dead_names_hold_up_neither_hosts_by_address_nor_work_in_threads() -> None:
    async def all_at_once() -> tuple[str, int]:
        async with serving(VERSION) as served, asyncio.timeout(20):
            dead = [asyncio.create_task(version_of(f"dead-{number}.internal", 1)) for number in range(40)]
            assert await asyncio.to_thread(resolver.reached.wait, 10)
            answered = await version_of("127.0.0.1", served.port)
            hashed = await asyncio.to_thread(lambda: 6 * 7)
            assert not any(task.done() for task in dead)
            for task in dead:
                task.cancel()
            await asyncio.gather(*dead, return_exceptions=True)
            return answered, hashed

    with Hanging(times=40) as resolver:
        assert run(all_at_once(), resolver) == ("0.32.15", 42)


@pytest.mark.fault("N3")
def test_the_end_of_a_run_waits_for_no_resolver() -> None:
    async def left() -> HostUnreachable:
        with pytest.raises(HostUnreachable) as failed:
            await version_of("dead.internal", 1, Limits(connect=0.05))
        return failed.value

    with Hanging() as resolver:
        begun = time.monotonic()
        error = run(left(), resolver)
        assert time.monotonic() - begun < 5
    assert error.code is Code.NO_ANSWER
    assert "http://dead.internal:1" in str(error)


def test_who_asks_for_the_same_name_meanwhile_joins() -> None:
    async def twice() -> None:
        loop = asyncio.get_running_loop()
        both = [asyncio.create_task(loop.getaddrinfo("dead.internal", 1)) for _ in range(2)]
        assert await asyncio.to_thread(resolver.reached.wait, 10)
        both[0].cancel()
        await asyncio.wait({both[0]})
        assert not both[1].done(), "one that leaves takes the answer from nobody"
        both[1].cancel()
        await asyncio.wait({both[1]})

    with Hanging() as resolver:
        run(twice(), resolver)
    assert resolver.asked == ["dead.internal"]


@pytest.mark.fault("N3")
def test_a_failure_is_that_of_the_name_and_the_next_look_up_is_a_new_one() -> None:
    answers: list[Any] = [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), told("127.0.0.1")]

    def resolver(*question: Any) -> list[Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: list[Any] = answer(*question)
        return found

    async def failing_first() -> str:
        async with serving(VERSION) as served:
            with pytest.raises(HostUnreachable, match="Name or service not known") as failed:
                await version_of("gpu-a.internal", served.port)
            assert failed.value.code is Code.NAME_NOT_RESOLVED
            return await version_of("gpu-a.internal", served.port)

    assert run(failing_first(), resolver) == "0.32.15"


@pytest.mark.fault("N3")
def test_a_resolver_that_fails_for_a_moment_is_asked_again() -> None:
    failures = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") for _ in range(2)]

    def resolver(*question: Any) -> list[Any]:
        if failures:
            raise failures.pop()
        return told("127.0.0.1")(*question)

    async def asking() -> str:
        async with serving(VERSION) as served:
            endpoint = Endpoint.parse(f"gpu-a.internal:{served.port}")
            async with Client(endpoint, retries=Retries(first=0)) as client:
                return str(await client.version())

    assert run(asking(), resolver) == "0.32.15"


def test_a_failure_that_nobody_waits_for_is_no_news() -> None:
    told_of: list[object] = []

    async def left() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told_of.append(context))
        task = asyncio.create_task(loop.getaddrinfo("gpu-a.internal", 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        go.set()
        await failed.wait()
        for _ in range(3):
            await asyncio.sleep(0)

    go, failed = Event(), asyncio.Event()

    def resolver(*_: object) -> list[Any]:
        go.wait(60)
        loops[0].call_soon_threadsafe(failed.set)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    loops: list[Loop] = []

    def made() -> Loop:
        loops.append(Loop(resolver))
        return loops[0]

    with asyncio.Runner(loop_factory=made) as runner:
        runner.run(left())
    assert told_of == []


@pytest.mark.fault("N15")
def test_a_dead_address_of_several_is_passed_over() -> None:
    async def asking() -> str:
        async with serving(VERSION) as served:
            return await version_of("gpu-a.internal", served.port)

    assert run(asking(), told("127.0.0.2", "127.0.0.1")) == "0.32.15"


@pytest.mark.fault("N15", "N1")
def test_which_addresses_were_tried_is_told() -> None:
    async def asking() -> str:
        async with serving(VERSION) as served:
            with pytest.raises(HostUnreachable) as failed:
                await version_of("gpu-a.internal", served.port)
        assert failed.value.code is Code.UNREACHABLE
        return str(failed.value).replace(str(served.port), "[PORT]")

    assert run(asking(), told("127.0.0.2", "127.0.0.3")) == (
        "no connection (Connection refused) at 127.0.0.2, 127.0.0.3: http://gpu-a.internal:[PORT]/api/version"
    )


def test_addresses_are_told_to_who_asks_for_them_alone() -> None:
    async def asking() -> None:
        loop = asyncio.get_running_loop()
        with addresses_found() as found:
            await loop.getaddrinfo("gpu-a.internal", 1)
        await loop.getaddrinfo("gpu-b.internal", 1)
        assert found == ["10.0.0.1", "10.0.0.2"]

    run(asking(), told("10.0.0.1", "10.0.0.1", "10.0.0.2"))


def test_the_resolver_of_this_machine_is_the_one_that_is_asked() -> None:
    async def asking() -> set[str]:
        found = await asyncio.get_running_loop().getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
        return {str(address[0]) for *_, address in found}

    assert lookup.run(asking()) & {"127.0.0.1", "::1"}
