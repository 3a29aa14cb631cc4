"""Uploads that come to their end: what is sent, how, and what the host's answer amounts to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, OutcomeUnknown
from fleet.ollama.client import Uploaded
from fleet.ollama.credentials import Credentials
from fleet.ollama.sending import Block
from tests.ollama.sockets import Request, always, reply, serving
from tests.ollama.uploads import (
    DIGEST,
    MIB,
    MUCH,
    PATH,
    STORED,
    THERE,
    Blocks,
    Host,
    Taking,
    Upload,
    taking,
    taking_all,
)
from tests.private_file import private


def uploaded(
    handle: Taking, blocks: Iterable[Block], size: int, moved: Callable[[int], None] = lambda _sent: None
) -> tuple[Uploaded, Host]:
    async def run() -> tuple[Uploaded, Host]:
        async with taking(handle) as host, host.client() as client:
            return await client.upload_blob(DIGEST, blocks, size, moved), host

    return asyncio.run(run())


def refused(handle: Taking, blocks: Iterable[Block], size: int) -> HostError:
    with pytest.raises(HostError) as failed:
        uploaded(handle, blocks, size)
    assert PATH in str(failed.value)
    return failed.value


@pytest.mark.parametrize(("answer", "how"), [(STORED, Uploaded.SENT), (reply(""), Uploaded.THERE)])
def test_an_upload_sends_its_bytes_with_their_length(answer: bytes, how: Uploaded) -> None:
    result, host = uploaded(taking_all(6, answer), [b"abc", bytearray(b""), memoryview(b"def")], 6)
    assert result is how
    (upload,) = host.uploads
    assert upload.got == b"abcdef"
    head = upload.head.decode().lower().split("\r\n")
    assert head[0] == f"post {PATH} http/1.1"
    assert f"host: 127.0.0.1:{host.port}" in head
    assert "content-length: 6" in head
    assert "content-type: application/octet-stream" in head
    assert "accept-encoding: identity" in head
    assert not [line for line in head if line.startswith(("transfer-encoding", "expect", "authorization"))]


def test_an_empty_upload_is_possible() -> None:
    assert uploaded(taking_all(0), [], 0)[0] is Uploaded.SENT


def test_memory_that_is_used_again_arrives_as_it_was() -> None:
    def counted() -> Iterable[Block]:
        memory = bytearray(MIB)
        for number in range(4):
            memory[:] = bytes([number]) * MIB
            yield memoryview(memory)

    _, host = uploaded(taking_all(4 * MIB), counted(), 4 * MIB)
    assert host.uploads[0].got == b"".join(bytes([number]) * MIB for number in range(4))


def test_how_far_it_got_is_told_in_the_loop_and_never_goes_back() -> None:
    told: list[int] = []
    threads: set[threading.Thread] = set()

    def moved(sent: int) -> None:
        told.append(sent)
        threads.add(threading.current_thread())

    uploaded(taking_all(MUCH), Blocks(MUCH), MUCH, moved)
    assert told == sorted(set(told))
    assert told[-1] == MUCH
    assert threads == {threading.main_thread()}


@pytest.mark.fault("U2")
def test_a_blob_that_is_there_is_believed_at_once_and_not_read_on() -> None:
    async def not_reading(upload: Upload) -> None:
        await upload.say(THERE)

    blocks = Blocks(MUCH)
    result, _ = uploaded(not_reading, blocks, MUCH)
    assert result is Uploaded.THERE
    assert blocks.asked < MUCH
    assert blocks.ended


def test_an_answer_in_two_pieces_before_the_end_is_one_answer() -> None:
    async def halting(upload: Upload) -> None:
        await upload.say(THERE[:10])
        await upload.take(MIB)
        await upload.say(THERE[10:])
        await upload.reader.read()

    assert uploaded(halting, Blocks(MUCH), MUCH)[0] is Uploaded.THERE


def test_a_host_that_says_to_go_on_is_sent_the_rest() -> None:
    async def inviting(upload: Upload) -> None:
        await upload.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await upload.take(MUCH)
        await upload.say(STORED)

    assert uploaded(inviting, Blocks(MUCH), MUCH)[0] is Uploaded.SENT


@pytest.mark.fault("U3")
def test_another_digest_is_the_servers_refusal() -> None:
    wrong = reply({"error": 'digest mismatch, expected "sha256:a", got "sha256:b"'}, status=400)
    error = refused(taking_all(1, wrong), [b"x"], 1)
    assert isinstance(error, HostAnswered)
    assert error.code is Code.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"error": "write /m/blobs/sha256-1: no space left on device"}, status=500), Code.DISK_FULL),
        (reply({"error": "unexpected EOF"}, status=500), Code.SERVER_ERROR),
        (reply({"error": "invalid digest format"}, status=400), Code.SERVER_REFUSED),
        (reply("", status=302, headers=["Location: https://elsewhere/"]), Code.REDIRECTED),
        (reply(b"\x1f\x8b", status=500, headers=["Content-Encoding: gzip"]), Code.NOT_OLLAMA),
    ],
)
def test_a_failure_is_what_the_server_says_of_it(answer: bytes, code: Code) -> None:
    error = refused(taking_all(1, answer), [b"x"], 1)
    assert isinstance(error, HostAnswered)
    assert error.code is code


@pytest.mark.fault("U7")
def test_a_proxy_that_takes_no_long_requests_is_told_from_the_host() -> None:
    page = reply("<html><h1>413 Request Entity Too Large</h1></html>", status=413, kind="text/html")

    async def at_once(upload: Upload) -> None:
        await upload.say(page)

    blocks = Blocks(MUCH)
    error = refused(at_once, blocks, MUCH)
    assert error.code is Code.SERVER_REFUSED
    assert "413 Request Entity Too Large" in str(error)
    assert error.hint is not None
    assert "proxy" in error.hint
    assert blocks.asked < MUCH


@pytest.mark.fault("U2")
def test_stored_before_all_was_sent_is_not_believed() -> None:
    async def hasty(upload: Upload) -> None:
        await upload.say(STORED)

    error = refused(hasty, Blocks(MUCH), MUCH)
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.NOT_OLLAMA


def test_an_endless_error_page_is_left_at_its_limit() -> None:
    async def endless(upload: Upload) -> None:
        await upload.say(b"HTTP/1.0 404 X\r\n\r\n")
        while True:
            await upload.say(b"lost " * 10_000)

    error = refused(endless, [b"x"], 1)
    assert error.code is Code.NOT_OLLAMA
    assert error.told is not None
    assert len(error.told) <= 512


def test_four_at_once_do_not_wait_for_each_other() -> None:
    begun: list[Upload] = []
    all_begun = asyncio.Event()

    async def together(upload: Upload) -> None:
        begun.append(upload)
        if len(begun) == 4:
            all_begun.set()
        await all_begun.wait()
        await upload.take(MIB)
        await upload.say(STORED)

    async def run() -> list[Uploaded]:
        async with taking(together) as host, host.client() as client:
            return await asyncio.gather(*(client.upload_blob(DIGEST, Blocks(MIB), MIB) for _ in range(4)))

    assert asyncio.run(run()) == [Uploaded.SENT] * 4
    assert "upload" not in [thread.name for thread in threading.enumerate()]


def test_a_token_is_read_anew_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    private(token, "old")
    asked: list[tuple[str, str | None]] = []

    async def proxy(request: Request, writer: asyncio.StreamWriter) -> bool:
        asked.append((request.method, request.headers.get("authorization")))
        token.write_text("new")
        known = request.headers.get("authorization") == "Bearer new"
        writer.write(reply("", status=(404 if request.method == "HEAD" else 201) if known else 401))
        await writer.drain()
        return True

    async def run() -> Uploaded:
        async with serving(proxy) as served, served.client(credentials=Credentials("bearer", str(token))) as client:
            assert not await client.blob_exists(DIGEST)
            return await client.upload_blob(DIGEST, [b"x"], 1)

    assert asyncio.run(run()) is Uploaded.SENT
    assert asked == [("HEAD", "Bearer old"), ("HEAD", "Bearer new"), ("POST", "Bearer new")]


def test_an_upload_that_is_not_allowed_is_not_sent_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    private(token, "hunter2")

    async def run() -> int:
        answer = always(reply("", status=401))
        async with serving(answer) as served, served.client(credentials=Credentials("bearer", str(token))) as client:
            with pytest.raises(HostAnswered) as failed:
                await client.upload_blob(DIGEST, [b"x"], 1)
            assert failed.value.code is Code.UNAUTHORIZED
            assert "hunter2" not in str(failed.value)
            return len(served.asked)

    assert asyncio.run(run()) == 1


def test_a_path_before_the_api_is_kept() -> None:
    async def run() -> str:
        async with taking(taking_all(1)) as host:
            host.prefix = "/gpu"
            async with host.client() as client:
                await client.upload_blob(DIGEST, [b"x"], 1)
            return host.heads[0]

    assert asyncio.run(run()) == f"POST /gpu{PATH} HTTP/1.1"
