"""Streams and replies that break off, drip, never end, or say what nobody should believe."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostAnswered, HostError, OutcomeUnknown
from fleet.names import InvalidName, ModelName
from fleet.ollama.client import Client
from fleet.ollama.limits import NO_RETRIES, Limits
from fleet.ollama.wire import Listed
from fleet.reconcile.reading import listing
from tests.faults.hostile import hostile
from tests.faults.proxy import End, Fault, proxied
from tests.fleet_command import FleetCommand
from tests.ollama.sockets import (
    STREAM_END,
    STREAM_HEAD,
    Request,
    Script,
    always,
    chunk,
    in_turn,
    line,
    reply,
    serving,
)
from tests.simulated import Simulated

KIB, MIB = 1 << 10, 1 << 20
VERSION = reply({"version": "0.32.15"})
SUCCESS = line(status="success")


async def pulled(client: Client) -> list[str]:
    return [progress.status async for progress in client.pull("m")]


@contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """How many bytes Python held at most since the block began."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.fault("S3")
@pytest.mark.parametrize("end", [End.RESET, End.CLOSE])
def test_a_stream_that_is_cut_at_a_chunk_or_within_one_leaves_the_outcome_open(end: End) -> None:
    parts = [STREAM_HEAD, line(status="pulling manifest"), line(status="writing manifest"), SUCCESS]
    bounds = [sum(map(len, parts[:number])) for number in range(1, len(parts) + 1)]
    places = sorted(
        {max(1, bound + shift) for bound in bounds for shift in (-5, -1, 0, 1) if bound + shift <= bounds[-1]}
    )

    async def run() -> None:
        async with serving(always(b"".join(parts) + STREAM_END)) as served:
            with proxied(served.port) as proxy:
                for place in places:
                    proxy.fault = Fault(answer=place, end=end)
                    async with Client(Endpoint.parse(proxy.url)) as client:
                        with pytest.raises(OutcomeUnknown) as failed:
                            await pulled(client)
                    assert failed.value.code is Code.STREAM_CUT, place

    asyncio.run(run())


@pytest.mark.fault("S5")
def test_a_download_that_only_ticks_is_taken_up_three_times_and_then_left(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    fleet.fault("alpha", {"fault": "stall", "endpoint": "pull"})
    applied = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json",
        manifest="{version: 1, models: {llama3.2:1b: {}}}",
        environment={"OLLAMA_FLEET_STALL_WINDOW": "100ms", "OLLAMA_FLEET_RETRY_WAIT": "1ms"},
    )  # fmt: skip
    assert applied.code == 3, applied.stdout + applied.stderr
    (failure,) = json.loads(applied.stdout)["failures"]
    assert (failure["code"], failure["outcome"]) == ("FLT-204", "unknown")
    assert sum(request["path"] == "/api/pull" for request in fleet.requests()) == 1 + 3


@pytest.mark.fault("S7")
def test_early_hints_for_ever_are_no_beginning_of_a_stream() -> None:
    async def hinting(_request: Request, writer: asyncio.StreamWriter) -> bool:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)

    async def run() -> HostError:
        async with serving(hinting) as served, served.client(limits=Limits(silence=0.1)) as client:
            with pytest.raises(OutcomeUnknown) as failed:
                await pulled(client)
            return failed.value

    assert asyncio.run(run()).code is Code.SILENT


@pytest.mark.fault("S8")
def test_who_leaves_the_connection_open_after_success_is_left_in_two_seconds() -> None:
    assert Limits().after_success == 2

    async def open_end(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + SUCCESS)
        await writer.drain()
        await asyncio.Event().wait()
        return False

    async def run() -> list[str]:
        async with serving(open_end) as served, served.client(limits=Limits(after_success=0.05)) as client:
            async with asyncio.timeout(10):
                return await pulled(client)

    assert asyncio.run(run()) == ["success"]


@pytest.mark.fault("S9", "S13")
def test_a_line_of_a_hundred_megabytes_takes_no_more_memory_than_the_longest_line() -> None:
    async def endless(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD)
        for _ in range(1600):
            writer.write(chunk(b"x" * 64 * KIB))
            await writer.drain()
        return False

    async def run() -> HostError:
        async with serving(endless) as served, served.client() as client:
            with pytest.raises(OutcomeUnknown) as failed:
                await pulled(client)
            return failed.value

    with measured() as most:
        error = asyncio.run(run())
        assert most() < 8 * MIB
    assert error.code is Code.ANSWER_TOO_LARGE


@pytest.mark.fault("S10", "S15")
@given(
    st.sampled_from(["qwen3:8b", "acme/short:latest", "m"]),
    st.integers(0, 20),
    st.text(st.sampled_from("\x00\x1b\x7f\x9b\u200b\u202e\u2028\ufeff\ud800\u00ad\n "), min_size=1, max_size=4),
)
@settings(max_examples=80, derandomize=True, deadline=None, database=None)
def test_a_name_with_something_hidden_in_it_is_never_the_name_without(name: str, place: int, hidden: str) -> None:
    listed = name[:place] + hidden + name[place:]
    found = listing([Listed(listed, "a" * 64)])
    assert ModelName.parse(name) not in found.models
    for shown in found.invalid:
        with pytest.raises(InvalidName):
            ModelName.parse(shown)


ODD = [
    pytest.param(b"9" * 5000, id="a number of 5,000 digits"),
    pytest.param(b"-1", id="a negative number"),
    pytest.param(b"1e400", id="a number beyond all"),
    pytest.param(b"NaN", id="not a number"),
    pytest.param(b"-Infinity", id="infinity"),
    pytest.param(b"[" * 3000 + b"]" * 3000, id="depth"),
    pytest.param(b'{"a":' * 3000 + b"1" + b"}" * 3000, id="depth of objects"),
    pytest.param(b'"big"', id="a text"),
    pytest.param(b'{"x":1}', id="an object"),
]


@pytest.mark.fault("S11")
@pytest.mark.parametrize("odd", ODD)
def test_values_that_make_no_sense_cost_that_call_and_no_other(odd: bytes) -> None:
    """Of a listing, where they count: read as nothing of it, and not as something else."""
    entry = b'{"models":[{"name":"m:1","digest":"' + b"a" * 64 + b'","size":%s}]}'
    runner = b'{"models":[{"name":"m:1","digest":"' + b"a" * 64 + b'","size_vram":%s}]}'

    async def run() -> None:
        script = in_turn(reply(entry % odd), reply(runner % odd), reply(b'{"version":%s}' % odd), VERSION)
        async with serving(script) as served, served.client(retries=NO_RETRIES) as client:
            for ask in (client.tags(), client.ps()):
                with pytest.raises(HostAnswered) as failed:
                    await ask
                assert failed.value.code is Code.NOT_OLLAMA
            if odd == b'"big"':
                assert not (await client.version()).known
            else:
                with pytest.raises(HostAnswered):
                    await client.version()
            assert str(await client.version()) == "0.32.15"

    asyncio.run(run())


@pytest.mark.fault("S11", "S12")
@pytest.mark.parametrize("odd", ODD)
def test_progress_that_makes_no_sense_ends_a_stream_at_worst(odd: bytes) -> None:
    raw = b'{"status":"pulling","digest":"sha256:model","total":%s,"completed":%s}\n' % (odd, odd)

    async def run() -> list[str]:
        script = always(STREAM_HEAD + chunk(raw) + SUCCESS + STREAM_END, keep=False)
        async with serving(script) as served, served.client() as client:
            return await pulled(client)

    try:
        assert asyncio.run(run()) == ["pulling", "success"]
    except HostAnswered as error:
        assert error.code is Code.NOT_OLLAMA  # noqa: PT017  # either of the two will do


@pytest.mark.fault("S11")
def test_the_last_of_two_equal_keys_counts_as_it_does_in_ollama() -> None:
    async def run() -> str:
        async with (
            serving(always(reply(b'{"version":"0.1.1","version":"0.9.6"}'))) as served,
            served.client() as client,
        ):
            return str(await client.version())

    assert asyncio.run(run()) == "0.9.6"


def padded(body: bytes, size: int) -> bytes:
    return reply(body + b" " * (size - len(body)))


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    ("body", "most", "ask"),
    [
        pytest.param(b'{"version":"0.9.6"}', 4 * KIB, Client.version, id="version"),
        pytest.param(b'{"models":[]}', MIB, Client.ps, id="ps"),
        pytest.param(b'{"models":[]}', 16 * MIB, Client.tags, id="tags"),
        pytest.param(b"{}", 32 * MIB, lambda client: client.show("m"), id="show"),
    ],
)
def test_each_reply_has_its_size(body: bytes, most: int, ask: Callable[[Client], Awaitable[object]]) -> None:
    async def run() -> HostError:
        script = in_turn(padded(body, most), padded(body, most + 1))
        async with serving(script) as served, served.client(retries=NO_RETRIES) as client:
            await ask(client)
            with pytest.raises(HostAnswered, match=f"more than {most} bytes") as failed:
                await ask(client)
            return failed.value

    assert asyncio.run(run()).code is Code.ANSWER_TOO_LARGE


@pytest.mark.fault("S13")
def test_a_listing_of_twenty_thousand_models_is_the_longest() -> None:
    def listed(count: int) -> bytes:
        return reply(b'{"models":[%s]}' % b",".join([b'{"name":"m","digest":"a"}'] * count))

    async def run() -> int:
        async with serving(in_turn(listed(20_000), listed(20_001))) as served, served.client() as client:
            longest = len(await client.tags())
            with pytest.raises(HostAnswered, match="lists 20001 models, more than 20000"):
                await client.tags()
            return longest

    assert asyncio.run(run()) == 20_000


@pytest.mark.fault("S13")
def test_the_words_of_a_failure_are_few_however_many_came() -> None:
    async def run() -> HostError:
        body = reply({"error": "x" * 50_000}, status=400)
        async with serving(always(body)) as served, served.client() as client:
            with pytest.raises(HostAnswered) as failed:
                await client.version()
            return failed.value

    told = asyncio.run(run()).told
    assert told is not None
    assert len(told) == 512


def endless(piece: bytes, head: bytes = b"HTTP/1.0 200 OK\r\n\r\n") -> tuple[Script, list[int]]:
    """A gibibyte in such pieces, and how much of it was taken."""
    taken = [0]

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head)
        while taken[0] < 1 << 30:
            writer.write(piece)
            await writer.drain()
            taken[0] += len(piece)
        return False

    return script, taken


@pytest.mark.fault("S13")
def test_a_body_of_a_gibibyte_takes_no_more_memory_than_twice_its_limit() -> None:
    script, taken = endless(b" " * MIB)

    async def run() -> HostError:
        async with serving(script) as served, served.client(retries=NO_RETRIES) as client:
            with pytest.raises(HostAnswered) as failed:
                await client.tags()
            return failed.value

    with measured() as most:
        error = asyncio.run(run())
        assert most() < 2 * 16 * MIB
    assert error.code is Code.ANSWER_TOO_LARGE
    assert taken[0] < 64 * MIB


@pytest.mark.fault("S13")
@pytest.mark.parametrize("stream", [False, True])
def test_a_bomb_is_not_unpacked(stream: bool) -> None:
    bomb = reply(gzip.compress(b" " * 32 * MIB, 1), headers=["Content-Encoding: gzip"])

    async def run() -> HostError:
        async with serving(always(bomb)) as served, served.client(retries=NO_RETRIES) as client:
            with pytest.raises(HostError) as failed:
                await (pulled(client) if stream else client.tags())
            return failed.value

    with measured() as most:
        error = asyncio.run(run())
        assert most() < 8 * MIB
    assert error.code is Code.NOT_OLLAMA


UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.fault("S10", "S15")
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("plan",), id="plan"),
        pytest.param(("plan", "-o", "markdown"), id="plan as markdown"),
        pytest.param(("apply", "--yes", "-v"), id="apply"),
        pytest.param(("apply", "--yes", "-o", "jsonl"), id="apply as JSON lines"),
        pytest.param(("status",), id="status"),
        pytest.param(("doctor",), id="doctor"),
        pytest.param(("why", "evil", "--host", "evil"), id="why"),
    ],
)
def test_nothing_that_a_host_says_reaches_a_terminal_as_more_than_text(
    arguments: tuple[str, ...], run_fleet: FleetCommand
) -> None:
    run_fleet.write(
        "ollama-fleet.yaml",
        "{version: 1, models: {'good:1': {}, 'made': {create: {from: 'fine:1', system: x}}, 'evil*': {absent: true},"
        " 'old:*': {absent: true}}}",
    )
    with hostile() as host:
        run_fleet.write("hosts.yaml", f"{{version: 1, hosts: {{evil: '{host.url}'}}}}")
        ran = run_fleet(*arguments, "-i", "hosts.yaml", environment={"OLLAMA_FLEET_RETRY_WAIT": "1ms"})
        assert all(name.isprintable() for name in host.changes)
    assert not UNSAFE.search(ran.stdout), ran.stdout
    assert not UNSAFE.search(ran.stderr), ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.code in {0, 1, 3, 6, 64}, ran.stderr


@pytest.mark.fault("S16")
def test_a_name_that_a_host_lists_twice_is_refused_with_both_and_the_rest_goes_on(run_fleet: FleetCommand) -> None:
    with hostile() as host:
        run_fleet.write("hosts.yaml", f"{{version: 1, hosts: {{evil: '{host.url}'}}}}")
        manifest = "{version: 1, models: {'fine:*': {absent: true}, 'old:1': {}}}"
        applied = run_fleet("apply", "-i", "hosts.yaml", "--yes", "-o", "json", manifest=manifest)
        assert host.changes == []
    (blocked,) = json.loads(applied.stdout)["blocked"]
    assert "`Fine:1`" in blocked["message"]
    assert "`fine:1`" in blocked["message"]
    assert applied.code == 3, applied.stdout + applied.stderr
