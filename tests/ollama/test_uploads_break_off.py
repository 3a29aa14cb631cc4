"""Uploads that break off: by the host, by the network, by the source of their bytes, or because nobody wants them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable, Iterator
from time import sleep

import pytest

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.client import Client, Uploaded
from fleet.ollama.limits import NO_RETRIES, Limits
from fleet.ollama.sending import Block
from tests.ollama.sockets import Served
from tests.ollama.uploads import ABSENT, DIGEST, MIB, MUCH, PATH, PRESENT, STORED, Blocks, Taking, Upload, taking


def broken(
    handle: Taking, blocks: Iterable[Block], size: int, *, head: bytes = ABSENT, limits: Limits | None = None
) -> tuple[HostError | Uploaded, list[str]]:
    """What an upload ends in, and the methods that were asked by."""

    async def run() -> tuple[HostError | Uploaded, list[str]]:
        async with taking(handle, head=head) as host, host.client(limits=limits, retries=NO_RETRIES) as client:
            try:
                result: HostError | Uploaded = await client.upload_blob(DIGEST, blocks, size)
            except HostError as error:
                result = error
            return result, [head.split(" ")[0] for head in host.heads]

    return asyncio.run(run())


def resetting_after(size: int) -> Taking:
    async def handle(upload: Upload) -> None:
        await upload.take(size)
        upload.reset()

    return handle


PLACES = pytest.mark.parametrize("place", [0, 1, 2 * MIB, MUCH - 1, MUCH], ids=["0", "1", "mid", "last", "after"])


@pytest.mark.fault("U1")
@PLACES
def test_a_reset_anywhere_is_an_open_outcome_where_the_blob_is_not_there(place: int) -> None:
    error, asked = broken(resetting_after(place), Blocks(MUCH), MUCH)
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.STREAM_CUT
    assert error.hint
    assert "http://127.0.0.1:" in str(error)
    assert PATH in str(error)
    assert asked == ["POST", "HEAD"]


@pytest.mark.fault("U1", "U2")
@PLACES
def test_a_reset_anywhere_is_no_failure_where_the_blob_is_there(place: int) -> None:
    assert broken(resetting_after(place), Blocks(MUCH), MUCH, head=PRESENT) == (Uploaded.THERE, ["POST", "HEAD"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", Code.STREAM_CUT),
        (b"HTTP/1.1 2", Code.NOT_OLLAMA),
        (b"rubbish\r\n\r\n", Code.NOT_OLLAMA),
        (b"HTTP/1.1 201 X\r\n" + b"X: y\r\n" * 200, Code.NOT_OLLAMA),
    ],
)
def test_an_answer_that_is_none_leaves_the_outcome_open(said: bytes, code: Code) -> None:
    async def handle(upload: Upload) -> None:
        await upload.take(1)
        await upload.say(said)

    error, asked = broken(handle, [b"x"], 1)
    assert isinstance(error, OutcomeUnknown)
    assert error.code is code
    assert asked == ["POST", "HEAD"]


@pytest.mark.parametrize(("size", "words"), [(MUCH, "nothing taken within 0.05s"), (1, "no answer within 0.05s")])
def test_a_host_that_stands_still_is_left(size: int, words: str) -> None:
    async def still(_upload: Upload) -> None:
        await asyncio.sleep(30)

    error, _ = broken(still, Blocks(size), size, limits=Limits(upload_silence=0.05))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.NO_ANSWER
    assert words in str(error)
    assert "upload" not in [thread.name for thread in threading.enumerate()]


def test_what_this_machine_takes_to_read_is_not_the_hosts_silence() -> None:
    def slow() -> Iterator[bytes]:
        sleep(limits.upload_silence + 0.01)
        yield b"x"

    async def handle(upload: Upload) -> None:
        await upload.take(1)
        await upload.say(STORED)

    limits = Limits(upload_silence=0.2)
    assert broken(handle, slow(), 1, limits=limits)[0] is Uploaded.SENT


@pytest.mark.fault("U4")
@pytest.mark.parametrize(("size", "words"), [(2, "more bytes than announced"), (9, "ended 6 bytes before")])
def test_content_that_changed_while_it_was_read_is_never_finished(size: int, words: str) -> None:
    async def handle(upload: Upload) -> None:
        await upload.reader.read()

    async def run() -> list[str]:
        async with taking(handle, head=PRESENT) as host, host.client() as client:
            with pytest.raises(OutcomeUnknown, match=words) as failed:
                await client.upload_blob(DIGEST, [b"ab", b"c"], size)
            assert failed.value.code is Code.DIGEST_MISMATCH
            await host.gone.wait()
            return host.heads

    assert asyncio.run(run()) == [f"POST {PATH} HTTP/1.1"]


@pytest.mark.parametrize("fault", [PermissionError(13, "the file"), ConnectionError("the share"), KeyError("x")])
def test_what_the_source_of_the_blocks_raises_comes_through(fault: Exception) -> None:
    def faulty() -> Iterator[bytes]:
        yield b"a"
        raise fault

    bodies: list[bytes] = []

    async def handle(upload: Upload) -> None:
        bodies.append(await upload.reader.read())

    async def run() -> None:
        async with taking(handle, head=PRESENT) as host, host.client() as client:
            with pytest.raises(type(fault)) as raised:
                await client.upload_blob(DIGEST, faulty(), 5)
            assert raised.value is fault
            await host.gone.wait()

    asyncio.run(run())
    assert bodies == [b"a"]


@pytest.mark.parametrize("taken", [0, MUCH])
def test_a_cancelled_upload_is_at_an_end_before_its_caller_goes_on(taken: int) -> None:
    blocks = Blocks(MUCH)
    standing = asyncio.Event()

    async def still(upload: Upload) -> None:
        await upload.take(taken)
        standing.set()
        await upload.reader.read()

    async def run() -> None:
        async with taking(still) as host, host.client() as client:
            task = asyncio.create_task(client.upload_blob(DIGEST, blocks, MUCH))
            await standing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert blocks.ended or not blocks.asked
            assert "upload" not in [thread.name for thread in threading.enumerate()]
            await host.gone.wait()
            assert [head.split(" ")[0] for head in host.heads] == ["POST"]

    asyncio.run(run())


def test_what_is_told_of_progress_may_end_the_upload() -> None:
    async def handle(upload: Upload) -> None:
        await upload.reader.read()

    def enough(_sent: int) -> None:
        raise RuntimeError("enough")

    async def run() -> None:
        async with taking(handle) as host, host.client() as client:
            with pytest.raises(RuntimeError, match="enough"):
                await client.upload_blob(DIGEST, Blocks(MUCH), MUCH + 1, enough)
            await host.gone.wait()

    asyncio.run(run())


def test_nobody_there_is_unreachable_and_nothing_is_read() -> None:
    async def run() -> HostUnreachable:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            async with Served(taken.getsockname()[1]).client() as client:
                with pytest.raises(HostUnreachable) as failed:
                    await client.upload_blob(DIGEST, blocks, MIB)
                return failed.value

    blocks = Blocks(MIB)
    error = asyncio.run(run())
    assert error.code is Code.UNREACHABLE
    assert "Connection refused" in str(error)
    assert blocks.asked == 0


def test_a_name_that_is_none_is_said_so() -> None:
    async def run() -> HostUnreachable:
        async with Client(Endpoint("http", "a" * 64 + ".internal", 80)) as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.upload_blob(DIGEST, [b"x"], 1)
            return failed.value

    assert asyncio.run(run()).code is Code.NAME_NOT_RESOLVED


def test_a_host_that_takes_no_connection_is_left_in_time() -> None:
    async def run() -> HostUnreachable:
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for waiting in (first, second):
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            async with Served(full.getsockname()[1]).client(limits=Limits(connect=0.1)) as client:
                with pytest.raises(HostUnreachable) as failed:
                    await client.upload_blob(DIGEST, [b"x"], 1)
                return failed.value

    error = asyncio.run(run())
    assert error.code is Code.NO_ANSWER
    assert "no connection in time" in str(error)
