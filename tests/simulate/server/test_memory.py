"""The in-memory transport against applications that stream, wait, fail and are left; and the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from fleet.simulate import virtual
from fleet.simulate.fault_wire import Reply, drop, gone
from fleet.simulate.memory import MemoryTransport, ask


def client(app: Any, **options: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=MemoryTransport({"host:80": app}), base_url="http://host", **({"timeout": None} | options)
    )


def test_an_address_without_application_refuses() -> None:
    async def case() -> None:
        async with client(None) as asking:
            with pytest.raises(httpx2.ConnectError):
                await asking.get("http://other/")

    virtual.run(case())


def test_pieces_arrive_as_they_are_sent_and_not_before() -> None:
    sent: list[bytes] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        reply = Reply(send)
        await reply.start(200, "text/plain")
        for piece in (b"one", b"two", b"three"):
            sent.append(piece)
            await reply.piece(piece)
            await asyncio.sleep(10)
        await reply.end()

    async def case() -> None:
        loop = asyncio.get_running_loop()
        async with client(app) as asking, asking.stream("GET", "/") as reply:
            found = [(piece, round(loop.time()), len(sent)) async for piece in reply.aiter_raw()]
        assert found == [(b"one", 0, 1), (b"two", 10, 2), (b"three", 20, 3)]

    virtual.run(case())


def test_a_slow_reader_holds_the_application_back() -> None:
    sent = 0

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal sent
        reply = Reply(send)
        await reply.start(200, "text/plain")
        while True:
            await reply.piece(b"x")
            sent += 1
            if sent > 100:
                await reply.end()
                return

    async def case() -> None:
        async with client(app) as asking, asking.stream("GET", "/") as reply:
            pieces = reply.aiter_raw()
            await anext(pieces)
            await asyncio.sleep(60)
            assert sent <= 3

    virtual.run(case())


def test_request_bodies_stream_too() -> None:
    taken: list[bytes] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            taken.append(message["body"])
            more = message["more_body"]
        await Reply(send).whole(200, "text/plain", b"".join(taken))

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b"):
            yield piece
            await asyncio.sleep(1)

    async def case() -> None:
        async with client(app) as asking:
            assert (await asking.post("/", content=pieces())).text == "ab"

    virtual.run(case())
    assert taken == [b"a", b"b", b""]


def test_leaving_is_told_as_a_disconnect_and_the_application_may_finish() -> None:
    told: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        reply = Reply(send)
        await reply.start(200, "text/plain")
        await reply.piece(b"first")
        await gone(receive)
        told.append("gone")
        await reply.piece(b"nobody reads this")
        await asyncio.sleep(0.5)
        told.append("finished")

    async def case() -> None:
        async with client(app) as asking, asking.stream("GET", "/") as reply:
            assert await anext(reply.aiter_raw()) == b"first"

    virtual.run(case())
    assert told == ["gone", "finished"]


def test_an_application_that_does_not_notice_is_cancelled() -> None:
    cancelled = False

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal cancelled
        await Reply(send).start(200, "text/plain")
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def case() -> None:
        async with client(app) as asking, asking.stream("GET", "/"):
            pass

    virtual.run(case())
    assert cancelled


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(("reset", "error"), [(True, httpx2.ReadError), (False, httpx2.RemoteProtocolError)])
def test_broken_connections_are_errors_as_over_sockets(begun: bool, reset: bool, error: type[Exception]) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if begun:
            await Reply(send).start(200, "text/plain")
        await drop(scope, reset=reset)

    async def case() -> None:
        async with client(app) as asking:
            with pytest.raises(error):
                await asking.get("/")

    virtual.run(case())


@pytest.mark.parametrize("begun", [True, False])
def test_silence_longer_than_the_limit_is_a_timeout(begun: bool) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await Reply(send).start(200, "text/plain")
        await gone(receive)

    async def case() -> None:
        async with client(app, timeout=httpx2.Timeout(5)) as asking:
            with pytest.raises(httpx2.ReadTimeout):
                await asking.get("/")
        assert asyncio.get_running_loop().time() == pytest.approx(5, abs=1.5)

    virtual.run(case())


def test_a_whole_request_in_one_call() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await Reply(send).json(201, [scope["method"], scope["path"], scope["query_string"].decode()])

    async def case() -> None:
        reply = await ask(app, "PUT", "/a?b=c", {})
        assert (reply.status_code, reply.json()) == (201, ["PUT", "/a", "b=c"])

    virtual.run(case())


def test_virtual_hours_pass_at_once_and_in_order() -> None:
    async def case() -> list[str]:
        order: list[str] = []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(name)

        await asyncio.gather(wait("late", 7200), wait("early", 3600), wait("now", 0))
        assert asyncio.get_running_loop().time() == pytest.approx(7200)
        return order

    assert virtual.run(case()) == ["now", "early", "late"]
