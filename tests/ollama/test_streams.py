"""Pulls, pushes and creates against servers that stall, lie, fall silent or go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.client import Client, ModelMissing
from fleet.ollama.credentials import Credentials
from fleet.ollama.limits import Limits
from fleet.ollama.request import CreateRequest, OldCreateRequest
from fleet.ollama.wire import Progress
from tests.ollama.sockets import STREAM_END, STREAM_HEAD, Request, Script, Served, always, chunk, line, reply, serving
from tests.private_file import private

LAYER = "sha256:" + "a" * 64
PULLING = line(status="pulling manifest")
SUCCESS = line(status="success")
Ask = Callable[[Client], AsyncGenerator[Progress, None]]


def pull(client: Client) -> AsyncGenerator[Progress, None]:
    return client.pull("m:latest")


def create(client: Client) -> AsyncGenerator[Progress, None]:
    return client.create(CreateRequest("m", "base:latest", system="x"))


def streamed(
    script: Script, *, ask: Ask = pull, limits: Limits | None = None, clock: Callable[[], float] | None = None
) -> tuple[list[str], HostError | None, Served]:
    """The statuses that came, the error at the end if any, and what the server saw."""

    async def run() -> tuple[list[str], HostError | None, Served]:
        heard: list[Progress] = []
        failed: HostError | None = None
        async with serving(script) as served, served.client(limits=limits, clock=clock) as client:
            try:
                async for progress in ask(client):
                    heard += [progress]
            except HostError as error:
                failed = error
        return [progress.status for progress in heard], failed, served

    return asyncio.run(run())


def lines(*parts: bytes, end: bytes = STREAM_END) -> Script:
    return always(STREAM_HEAD + b"".join(parts) + end, keep=False)


def test_a_pull_is_done_when_its_stream_ended_with_success() -> None:
    statuses, error, served = streamed(
        lines(PULLING, line(status="pulling", digest=LAYER, total=5, completed=5), SUCCESS)
    )
    assert statuses == ["pulling manifest", "pulling", "success"]
    assert error is None
    assert served.asked[0].json() == {"model": "m:latest"}
    assert served.asked[0].path == "/api/pull"


def test_requests_carry_what_was_asked_for() -> None:
    old = OldCreateRequest("m", "FROM x\n")
    for ask, path, body in (
        (lambda client: client.pull("m", insecure=True), "/api/pull", {"model": "m", "insecure": True}),
        (lambda client: client.push("a/m"), "/api/push", {"model": "a/m"}),
        (create, "/api/create", {"model": "m", "from": "base:latest", "system": "x"}),
        (lambda client: client.create(old), "/api/create", {"model": "m", "modelfile": "FROM x\n"}),
    ):
        _, error, served = streamed(lines(SUCCESS), ask=ask)
        assert error is None
        assert (served.asked[0].path, served.asked[0].json()) == (path, body)


def test_a_success_in_the_middle_is_not_the_end() -> None:
    statuses, error, _ = streamed(lines(SUCCESS, line(status="writing manifest")), ask=create)
    assert statuses == ["success", "writing manifest"]
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.STREAM_CUT
    assert streamed(lines(SUCCESS, line(status="writing manifest"), SUCCESS), ask=create)[1] is None


@pytest.mark.fault("S4")
@pytest.mark.parametrize("end", [STREAM_END, b""])
def test_an_end_without_success_leaves_the_outcome_unknown(end: bytes) -> None:
    _, error, _ = streamed(lines(PULLING, line(status="writing manifest"), end=end))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.STREAM_CUT


@pytest.mark.fault("S4")
def test_a_clean_end_without_length_or_chunks_is_no_success_either() -> None:
    plain = b'HTTP/1.0 200 OK\r\n\r\n{"status":"writing manifest"}\n'
    _, error, _ = streamed(always(plain, keep=False))
    assert isinstance(error, OutcomeUnknown)
    assert streamed(always(plain + b'{"status":"success"}', keep=False))[1] is None


WHOLE = STREAM_HEAD + PULLING + SUCCESS + STREAM_END


@pytest.mark.fault("S3")
@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_stream_cut_anywhere_is_never_taken_for_done(cut: int) -> None:
    _, error, _ = streamed(always(WHOLE[:cut], keep=False))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.STREAM_CUT


@pytest.mark.fault("S1")
def test_a_success_after_an_error_does_not_count() -> None:
    statuses, error, _ = streamed(
        lines(
            PULLING, line(error="pull model manifest: file does not exist"), line(status="writing manifest"), SUCCESS
        ),
        ask=create,
    )
    assert statuses == ["pulling manifest"]
    assert isinstance(error, HostAnswered)
    assert (error.code, error.status) == (Code.NOT_IN_REGISTRY, 200)
    assert error.told == "pull model manifest: file does not exist"


@pytest.mark.fault("S1")
def test_an_error_line_ends_the_conversation_at_once() -> None:
    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + line(error="boom"))
        while True:
            writer.write(line(status="creating new layer"))
            await writer.drain()
            await asyncio.sleep(0.01)

    _, error, _ = streamed(script, ask=create)
    assert isinstance(error, HostAnswered)
    assert error.code is Code.ERROR_LINE


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("first", "code"),
    [
        (lines(line(error="unknown type", status=400)), Code.SERVER_REFUSED),
        (always(reply({"error": "unknown type"}, status=400)), Code.SERVER_REFUSED),
        (lines(line(error="never seen")), Code.ERROR_LINE),
        (always(reply({"error": "never seen"}, status=500)), Code.ERROR_LINE),
        (lines(line(error="")), Code.ERROR_LINE),
    ],
)
def test_a_first_error_is_the_same_as_line_and_as_status(first: Script, code: Code) -> None:
    statuses, error, _ = streamed(first, ask=create)
    assert statuses == []
    assert isinstance(error, HostAnswered)
    assert error.code is code


def test_a_missing_model_may_be_told_by_status() -> None:
    _, error, _ = streamed(always(reply({"error": "model 'x' not found"}, status=404)))
    assert isinstance(error, ModelMissing)


def test_a_proxy_that_gave_up_before_the_first_line_leaves_it_unknown() -> None:
    _, error, _ = streamed(always(reply("<h1>504</h1>", status=504)))
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.fault("N10")
def test_a_portal_that_answers_instead_is_no_ollama() -> None:
    _, error, _ = streamed(always(reply("<html>sign in</html>", kind="text/html")))
    assert isinstance(error, HostAnswered)
    assert error.code is Code.NOT_OLLAMA


@pytest.mark.fault("S9")
@pytest.mark.parametrize("rubbish", [b"<html>", b'{"status":"a"}{"status":"b"}', b"[" * 9999, b"[]", b"5"])
def test_rubbish_in_the_middle_leaves_the_outcome_unknown(rubbish: bytes) -> None:
    _, error, _ = streamed(lines(PULLING, chunk(rubbish + b"\n"), SUCCESS))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.NOT_OLLAMA


@pytest.mark.fault("S9", "S10")
def test_odd_endings_of_lines_and_odd_characters_in_them_do_no_harm() -> None:
    odd = "a\u2028b\u0085c\x00 \u202e"
    raw = json.dumps({"status": odd}, ensure_ascii=False).encode() + b"\r\n\r\n \n"
    statuses, error, _ = streamed(lines(*(chunk(raw[at : at + 1]) for at in range(len(raw))), SUCCESS))
    assert statuses == [odd, "success"]
    assert error is None


@pytest.mark.fault("S9")
def test_a_line_without_end_is_left_at_its_limit() -> None:
    _, error, _ = streamed(lines(PULLING, *[chunk(b"x" * 65536)] * 20), limits=Limits(line_bytes=1 << 20))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.ANSWER_TOO_LARGE


@pytest.mark.fault("S5")
def test_ticks_that_move_nothing_are_a_stall() -> None:
    now = 0.0

    async def ticking(_request: Request, writer: asyncio.StreamWriter) -> bool:
        nonlocal now
        writer.write(STREAM_HEAD + PULLING)
        while True:
            now += 10
            writer.write(line(status="pulling", digest=LAYER, total=1 << 30, completed=7))
            await writer.drain()
            await asyncio.sleep(0)

    statuses, error, _ = streamed(ticking, clock=lambda: now)
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.STALLED
    assert "nothing moves" in str(error)
    assert len(statuses) > 2


def test_silence_is_told_apart_from_a_stall() -> None:
    async def silent(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + PULLING)
        await asyncio.sleep(30)
        return False

    _, error, _ = streamed(silent, limits=Limits(silence=0.1))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.SILENT
    assert "nothing more within 0.1s" in str(error)


@pytest.mark.fault("S7")
def test_a_drip_without_a_line_end_is_silence() -> None:
    async def dripping(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + PULLING)
        while True:
            writer.write(chunk(b" "))
            await writer.drain()
            await asyncio.sleep(0.01)

    _, error, _ = streamed(dripping, limits=Limits(silence=0.15))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.SILENT


def test_no_head_within_the_patience_of_the_first_phase_is_silence() -> None:
    async def mute(_request: Request, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(30)
        return False

    _, error, _ = streamed(mute, limits=Limits(silence=0.1))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.SILENT


@pytest.mark.fault("S6")
def test_verifying_may_be_silent_for_longer_than_the_rest() -> None:
    async def verifying(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + line(status="verifying sha256 digest"))
        await writer.drain()
        await asyncio.sleep(0.3)
        writer.write(line(status="writing manifest") + SUCCESS + STREAM_END)
        return False

    assert streamed(verifying, limits=Limits(silence=0.1))[1] is None
    assert streamed(verifying, limits=Limits(silence=0.1, verifying=0.1))[1] is not None


def test_a_connection_left_open_after_success_is_closed_from_here() -> None:
    async def open_end(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + SUCCESS)
        await asyncio.sleep(30)
        return False

    statuses, error, _ = streamed(open_end, limits=Limits(after_success=0.05))
    assert statuses == ["success"]
    assert error is None


def test_endless_chatter_is_left() -> None:
    chatter = b"".join(b'{"status":"%d"}\n' % number for number in range(25_000))
    _, error, _ = streamed(lines(chunk(chatter)))
    assert isinstance(error, OutcomeUnknown)
    assert error.code is Code.NOT_OLLAMA


def test_leaving_a_pull_early_closes_its_connection() -> None:
    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD)
        while True:
            writer.write(PULLING * 100)
            await writer.drain()
            await asyncio.sleep(0)

    async def run() -> None:
        async with serving(script) as served, served.client() as client:
            async with aclosing(client.pull("m")) as progress:
                async for _ in progress:
                    break
            async with asyncio.timeout(5):
                await served.left.wait()

    asyncio.run(run())


def test_a_pull_that_never_left_is_unreachable() -> None:
    async def run() -> None:
        async with serving(always(b"")) as served:
            port = served.port
        async with Served(port).client() as client:
            with pytest.raises(HostUnreachable):
                await anext(client.pull("m"))

    asyncio.run(run())


@pytest.mark.fault("N7")
def test_a_stream_too_reads_a_rotated_token_again_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    private(file, "old")

    async def rotating(request: Request, writer: asyncio.StreamWriter) -> bool:
        good = request.headers["authorization"] == "Bearer new"
        file.write_text("new")
        writer.write(STREAM_HEAD + SUCCESS + STREAM_END if good else reply("", status=401))
        await writer.drain()
        return True

    async def run() -> list[str]:
        credentials = Credentials("bearer", file=str(file))
        async with serving(rotating) as served, served.client(credentials=credentials) as client:
            _ = [each async for each in client.pull("m")]
            return [request.headers["authorization"] for request in served.asked]

    assert asyncio.run(run()) == ["Bearer old", "Bearer new"]


def test_a_stream_with_a_wrong_token_is_refused_after_two_tries(tmp_path: Path) -> None:
    private(tmp_path / "token", "old")

    async def run() -> tuple[HostError, int]:
        credentials = Credentials("bearer", file=str(tmp_path / "token"))
        async with serving(always(reply("", status=401))) as served:
            async with served.client(credentials=credentials) as client:
                with pytest.raises(HostAnswered) as failed:
                    await anext(client.pull("m"))
            return failed.value, len(served.asked)

    error, asked = asyncio.run(run())
    assert (error.code, asked) == (Code.UNAUTHORIZED, 2)


def test_a_credential_that_cannot_be_read_starts_nothing(tmp_path: Path) -> None:
    async def run() -> int:
        credentials = Credentials("bearer", file=str(tmp_path / "none"))
        async with serving(lines(SUCCESS)) as served, served.client(credentials=credentials) as client:
            with pytest.raises(HostUnreachable):
                await anext(client.pull("m"))
            return len(served.asked)

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"HTTP/1.1 500 X\r\nContent-Length: 99\r\n\r\n{", Code.STREAM_CUT),
        (b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n{", Code.NOT_OLLAMA),
    ],
)
def test_a_refusal_that_cannot_be_read_is_an_error_all_the_same(body: bytes, code: Code) -> None:
    _, error, _ = streamed(always(body, keep=False))
    assert error is not None
    assert error.code is code
