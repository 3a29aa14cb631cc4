"""Listeners on real sockets: broken connections, closed ports, requests that are still at work at the end."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any

import httpx2
import pytest

from fleet.simulate.fault_wire import Reply, drop, gone
from fleet.simulate.listening import Listener, allow_open_files


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await Reply(send).whole(200, "text/plain", b"hello")


async def get(port: int) -> str:
    async with httpx2.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}/")).text


def test_a_port_is_chosen_kept_and_opened_again() -> None:
    async def case() -> None:
        listener = Listener(hello, 0)
        await listener.open()
        port = listener.port
        assert await get(port) == "hello"
        await listener.pause()
        assert not listener.is_open
        with pytest.raises(httpx2.ConnectError):
            await get(port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        await listener.open()
        await listener.open()
        assert (listener.port, listener.is_open) == (port, True)
        assert await get(port) == "hello"
        await listener.close()

    asyncio.run(case())


def test_a_port_in_use_is_an_error() -> None:
    async def case() -> None:
        first = Listener(hello, 0)
        await first.open()
        with pytest.raises(OSError, match="in use"):
            await Listener(hello, first.port).open()
        await first.close()

    asyncio.run(case())


def test_a_reset_is_a_reset_and_an_early_end_is_none() -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await drop(scope, reset=scope["path"] == "/reset")

    async def answer(port: int, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        try:
            return await reader.read()
        finally:
            writer.close()

    async def case() -> None:
        listener = Listener(app, 0)
        await listener.open()
        with pytest.raises(ConnectionResetError):
            await answer(listener.port, "/reset")
        assert await answer(listener.port, "/end") == b""
        await listener.close()

    asyncio.run(case())


@pytest.mark.parametrize("notices", [True, False])
def test_closing_does_not_wait_for_open_streams(notices: bool, caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await Reply(send).start(200, "text/plain")
        try:
            await (gone(receive) if notices else asyncio.sleep(3600))
        finally:
            ended.set()

    async def case() -> None:
        listener = Listener(app, 0)
        await listener.open()
        async with httpx2.AsyncClient() as client, client.stream("GET", f"http://127.0.0.1:{listener.port}/") as reply:
            await listener.close()
            with pytest.raises(httpx2.TransportError):
                await reply.aread()
        assert ended.is_set()

    asyncio.run(case())
    assert caplog.records == []


def test_nagle_is_off_on_accepted_connections() -> None:
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        accepted = scope["extensions"]["fleet.drop"]["close"].__self__.transport.get_extra_info("socket")
        seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await hello(scope, receive, send)

    async def case() -> None:
        listener = Listener(app, 0)
        await listener.open()
        async with httpx2.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{listener.port}/")
        await listener.close()

    asyncio.run(case())
    assert seen[0] != 0


def test_localhost_and_its_address_have_the_same_port() -> None:
    async def case() -> None:
        listener = Listener(hello, 0, ("127.0.0.1", "::1"))
        await listener.open()
        async with httpx2.AsyncClient() as client:
            for name in ("localhost", "127.0.0.1"):
                assert (await client.get(f"http://{name}:{listener.port}/")).text == "hello"
        await listener.close()

    asyncio.run(case())


def test_the_soft_limit_on_open_files_is_raised_but_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
        allow_open_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
