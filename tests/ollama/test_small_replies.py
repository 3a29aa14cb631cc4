"""Small requests against servers that misbehave: limits, retries, refusals, and nothing that leaks."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.credentials import Credentials
from fleet.ollama.limits import NO_RETRIES, Limits, Retries
from fleet.ollama.versions import Capability, Version, has
from tests.ollama.sockets import Request, Script, Served, always, in_turn, reply, serving
from tests.private_file import private

VERSION = reply({"version": "0.32.15"})
TAGS = reply({"models": [{"name": "m:latest", "digest": "a" * 64}]})
QUICK = Limits(connect=0.5, answer=0.3)


def failing(script: Script, *, retries: Retries = NO_RETRIES, limits: Limits | None = None) -> tuple[HostError, Served]:
    """The error that asking for the version ends in."""

    async def run() -> tuple[HostError, Served]:
        async with serving(script) as served, served.client(retries=retries, limits=limits) as client:
            with pytest.raises(HostError) as failed:
                await client.version()
            return failed.value, served

    return asyncio.run(run())


def test_requests_say_what_is_needed_and_nothing_else() -> None:
    async def run() -> Served:
        async with serving(in_turn(VERSION, TAGS)) as served:
            served.prefix = "/gpu-b"
            async with served.client() as client:
                await client.version()
                await client.tags()
            return served

    served = asyncio.run(run())
    first, second = served.asked
    assert (first.method, first.path, second.path) == ("GET", "/gpu-b/api/version", "/gpu-b/api/tags")
    assert first.headers == {
        "host": f"127.0.0.1:{served.port}",
        "user-agent": "ollama-fleet",
        "accept": "*/*",
        "accept-encoding": "identity",
    }


@pytest.mark.fault("N11")
def test_a_proxy_and_credentials_in_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    async def run() -> tuple[Served, Served]:
        async with serving(always(VERSION)) as proxy, serving(always(VERSION)) as served:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            async with served.client() as client:
                await client.version()
            return proxy, served

    proxy, served = asyncio.run(run())
    assert proxy.asked == []
    assert "authorization" not in served.asked[0].headers


@pytest.mark.fault("N1")
def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def run() -> HostError:
            async with Served(port).client(retries=NO_RETRIES) as client:
                with pytest.raises(HostUnreachable) as failed:
                    await client.version()
                return failed.value

        error = asyncio.run(run())
    assert error.code is Code.UNREACHABLE
    assert f"http://127.0.0.1:{port}/api/version" in str(error)
    assert "refused" in str(error).lower()


@pytest.mark.fault("N3")
def test_a_name_that_does_not_exist_is_told_as_such() -> None:
    async def run() -> HostError:
        async with Served(1, host="no-such-host.invalid").client() as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.version()
            return failed.value

    assert asyncio.run(run()).code is Code.NAME_NOT_RESOLVED


async def drip(_request: Request, writer: asyncio.StreamWriter) -> bool:
    for byte in VERSION:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)
    return True


async def hold(_request: Request, _writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(30)
    return False


async def early_hints(_request: Request, writer: asyncio.StreamWriter) -> bool:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.fault("S7")
@pytest.mark.parametrize("script", [drip, hold, early_hints])
def test_a_reply_that_does_not_end_in_time_is_no_answer(script: Script) -> None:
    error, served = failing(script, retries=Retries(tries=3, first=0), limits=QUICK)
    assert isinstance(error, HostUnreachable)
    assert error.code is Code.NO_ANSWER
    assert "no answer within 0.3s" in str(error)
    assert len(served.asked) == 1


@pytest.mark.fault("N12")
@pytest.mark.parametrize("cut", range(len(VERSION)))
def test_a_connection_cut_anywhere_is_tried_again_and_then_unreachable(cut: int) -> None:
    error, served = failing(always(VERSION[:cut], keep=False), retries=Retries(tries=2, first=0))
    assert isinstance(error, HostUnreachable)
    assert error.code is Code.UNREACHABLE
    assert len(served.asked) == 2


def test_a_host_that_recovers_within_the_tries_is_read() -> None:
    async def run() -> tuple[Version, int]:
        script = in_turn(
            reply("", status=503), reply({"error": "open x: no such file or directory"}, status=500), VERSION
        )
        async with serving(script) as served, served.client() as client:
            return await client.version(), len(served.asked)

    version, asked = asyncio.run(run())
    assert str(version) == "0.32.15"
    assert asked == 3


@pytest.mark.fault("N14")
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"error": "boom"}, status=500), Code.SERVER_ERROR),
        (reply("<html>Bad Gateway</html>", status=502), Code.SERVER_ERROR),
        (reply("", status=503), Code.BUSY),
    ],
)
def test_a_server_that_stays_broken_is_asked_exactly_as_often_as_allowed(answer: bytes, code: Code) -> None:
    error, served = failing(always(answer), retries=Retries(tries=3, first=0))
    assert isinstance(error, HostAnswered)
    assert error.code is code
    assert len(served.asked) == 3


@pytest.mark.fault("N9", "N10", "S13")
@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (reply({"error": "no"}, status=400), Code.SERVER_REFUSED, "answered 400: `no`"),
        (reply("", status=403), Code.ORIGIN_REFUSED, "answered 403"),
        (reply("404 page not found", status=404, kind="text/plain"), Code.NOT_OLLAMA, "404 page not found"),
        (reply("<html><h1>Sign in</h1></html>", kind="text/html"), Code.NOT_OLLAMA, "no JSON"),
        (reply({"hello": "world"}), Code.NOT_OLLAMA, "`version`: field required"),
        (reply({"version": 5}), Code.NOT_OLLAMA, "`version`"),
        (reply("[" * 4000), Code.NOT_OLLAMA, "does not answer as Ollama does"),
        (reply('{"version":"' + "9" * 5000 + '"}'), Code.ANSWER_TOO_LARGE, "more than 4096 bytes"),
        (reply("", status=204), Code.NOT_OLLAMA, "answered 204"),
        (
            reply(gzip.compress(b'{"version":"0.5.4"}'), headers=["Content-Encoding: gzip"]),
            Code.NOT_OLLAMA,
            "compressed",
        ),
        (
            reply("", status=302, headers=["Location: https://u:p@login.example/?s=hunter2"]),
            Code.REDIRECTED,
            "redirects to https://login.example, which",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Code.NOT_OLLAMA, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", Code.ANSWER_TOO_LARGE, "head of the reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Code.NOT_OLLAMA, "no HTTP"),
    ],
)
def test_what_is_no_answer_of_ollama_is_named_and_not_asked_again(answer: bytes, code: Code, words: str) -> None:
    error, served = failing(always(answer, keep=False), retries=Retries(tries=3, first=0))
    assert error.code is code
    assert words in str(error)
    assert f"http://127.0.0.1:{served.port}" in str(error)
    assert error.hint
    assert "hunter2" not in str(error)
    assert len(served.asked) == 1


def test_an_endless_body_is_left_at_its_limit() -> None:
    written = 0

    async def endless(_request: Request, writer: asyncio.StreamWriter) -> bool:
        nonlocal written
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        while written < 1 << 30:
            writer.write(b" " * 65536)
            written += 65536
            await writer.drain()
        return False

    error, _ = failing(endless)
    assert error.code is Code.ANSWER_TOO_LARGE
    assert written < 1 << 26


@pytest.mark.fault("S13")
def test_an_endless_error_page_is_still_an_error_page() -> None:
    async def endless(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.0 404 X\r\n\r\n" + b"lost " * 100_000)
        await writer.drain()
        return False

    error, _ = failing(endless)
    assert error.code is Code.NOT_OLLAMA
    assert error.told is not None
    assert len(error.told) <= 512


def test_more_models_than_any_host_has_are_refused() -> None:
    async def run() -> HostError:
        many = reply({"models": [{"name": f"m{number}", "digest": "x"} for number in range(6)]})
        async with serving(always(many)) as served, served.client(limits=Limits(tags_models=5)) as client:
            with pytest.raises(HostAnswered, match="lists 6 models") as failed:
                await client.tags()
            return failed.value

    assert asyncio.run(run()).code is Code.ANSWER_TOO_LARGE


def waits(script: Script, retries: Retries) -> list[float]:
    """How long the client would have waited between its tries."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    async def run() -> None:
        async with serving(script) as served, served.client(retries=retries, pause=pause) as client:
            with pytest.raises(HostAnswered):
                await client.version()

    asyncio.run(run())
    return waited


def busy(after: str) -> Script:
    return always(reply("", status=429, headers=[f"Retry-After: {after}"]))


@pytest.mark.fault("N13")
def test_a_time_to_wait_that_the_host_tells_is_honoured_within_reason() -> None:
    assert waits(busy("7"), Retries()) == [7, 7]
    assert waits(busy("300"), Retries(tries=2)) == [300]
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    (wait,) = waits(busy(soon), Retries(tries=2))
    assert 90 < wait <= 100


@pytest.mark.fault("N13")
@pytest.mark.parametrize("after", ["301", "315360000", "-5", "garbage", "Mon, 01 Jan 1990 00:00:00 GMT"])
def test_a_time_to_wait_beyond_reason_is_replaced_by_our_own(after: str) -> None:
    first, second = waits(busy(after), Retries(first=0.5, cap=10))
    assert 0 <= first <= 0.5
    assert 0 <= second <= 1


def test_our_own_waits_grow_to_a_cap_and_differ() -> None:
    waited = waits(always(reply("", status=500)), Retries(tries=30, first=1, cap=4))
    assert max(waited) <= 4
    assert max(waited[2:]) > 1
    assert len(set(waited)) > 20


@pytest.mark.fault("N7")
def test_a_rotated_token_is_read_again_after_a_401_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    private(file, "old")

    async def rotating(request: Request, writer: asyncio.StreamWriter) -> bool:
        good = request.headers["authorization"] == "Bearer new"
        file.write_text("new")
        writer.write(VERSION if good else reply("", status=401))
        await writer.drain()
        return True

    async def run() -> list[str]:
        credentials = Credentials("bearer", file=str(file))
        async with serving(rotating) as served, served.client(credentials=credentials) as client:
            await client.version()
            return [request.headers["authorization"] for request in served.asked]

    assert asyncio.run(run()) == ["Bearer old", "Bearer new"]


@pytest.mark.fault("N7")
def test_a_token_that_stays_wrong_is_tried_twice_and_never_told(tmp_path: Path) -> None:
    private(tmp_path / "token", "hunter2")

    async def run() -> tuple[HostError, int]:
        credentials = Credentials("bearer", file=str(tmp_path / "token"))
        async with serving(always(reply("no entry", status=401))) as served:
            async with served.client(credentials=credentials) as client:
                with pytest.raises(HostAnswered) as failed:
                    await client.version()
            return failed.value, len(served.asked)

    error, asked = asyncio.run(run())
    assert error.code is Code.UNAUTHORIZED
    assert asked == 2
    assert "hunter2" not in f"{error!r}{error.told}{error.__cause__!r}"


def test_without_credentials_a_401_is_final() -> None:
    error, served = failing(always(reply("", status=401)), retries=Retries(tries=3, first=0))
    assert error.code is Code.UNAUTHORIZED
    assert len(served.asked) == 1


def test_a_credential_that_cannot_be_read_sends_nothing(tmp_path: Path) -> None:
    async def run() -> tuple[HostError, int]:
        credentials = Credentials("bearer", file=str(tmp_path / "none"))
        async with serving(always(VERSION)) as served, served.client(credentials=credentials) as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.version()
            return failed.value, len(served.asked)

    error, asked = asyncio.run(run())
    assert error.code is Code.CREDENTIALS_UNREADABLE
    assert asked == 0


@pytest.mark.parametrize(
    ("create", "pull", "capabilities"),
    [
        (reply({"error": "path or Modelfile are required"}, status=400), reply("", status=404), set()),
        (
            reply({"error": "neither 'from' or 'files' was specified"}, status=400),
            reply("404 page not found", status=404),
            {Capability.CREATE_FIELDS},
        ),
        (
            reply({"error": "neither 'from' or 'files' was specified"}, status=400),
            reply("405 method not allowed", status=405),
            {Capability.CREATE_FIELDS, Capability.WRONG_METHOD_IS_405},
        ),
    ],
)
def test_an_unknown_version_is_placed_by_probes(create: bytes, pull: bytes, capabilities: set[Capability]) -> None:
    async def run() -> tuple[Version, Served]:
        async with serving(in_turn(create, pull)) as served, served.client() as client:
            return await client.place(Version.parse("0.0.0")), served

    version, served = asyncio.run(run())
    assert not version.known
    asked = {Capability.CREATE_FIELDS, Capability.WRONG_METHOD_IS_405}
    assert {each for each in asked if has(version, each)} == capabilities
    assert served.asked[0].json() == {"model": "probe", "stream": False}


def test_a_known_version_is_not_probed() -> None:
    async def run() -> int:
        async with serving(always(VERSION)) as served, served.client() as client:
            assert await client.place(Version.parse("0.5.4")) == Version.parse("0.5.4")
            return len(served.asked)

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize("script", [hold, always(b"HTTP/1.1 200 OK\r\nContent-Le", keep=False)])
def test_a_change_that_breaks_off_has_an_unknown_outcome_and_is_not_repeated(script: Script) -> None:
    async def run() -> int:
        limits = Limits(change=0.2)
        async with serving(script) as served, served.client(limits=limits) as client:
            with pytest.raises(OutcomeUnknown):
                await client.copy("a", "b")
            return len(served.asked)

    assert asyncio.run(run()) == 1


def test_a_change_that_never_left_is_unreachable() -> None:
    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            async with Served(taken.getsockname()[1]).client() as client:
                with pytest.raises(HostUnreachable):
                    await client.delete("m")

    asyncio.run(run())


def test_one_connection_serves_a_whole_observation() -> None:
    connections = set()

    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        connections.add(id(writer))
        writer.write({"/api/version": VERSION, "/api/tags": TAGS, "/api/ps": reply({"models": []})}[request.path])
        await writer.drain()
        return True

    async def run() -> None:
        async with serving(script) as served, served.client() as client:
            await client.version()
            await client.tags()
            assert await client.ps() == ()

    asyncio.run(run())
    assert len(connections) == 1


def test_bodies_are_json_whatever_the_name() -> None:
    async def run() -> Request:
        async with serving(always(reply({}))) as served, served.client() as client:
            await client.show('m"\n\u2028日本', verbose=True)
            return served.asked[0]

    request = asyncio.run(run())
    assert json.loads(request.body) == {"model": 'm"\n\u2028日本', "verbose": True}
    assert request.headers["content-length"] == str(len(request.body))
