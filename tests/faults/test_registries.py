"""Registries that are down, overloaded or changed, as hosts and fleet meet them."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncGenerator, Callable

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, OutcomeUnknown
from fleet.foreign import clean
from fleet.names import HostName
from fleet.ollama.answer import Answer, refusal
from fleet.ollama.failure import Doing
from fleet.ollama.wire import Progress
from fleet.reconcile.steps.breaker import Breaker
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

REGISTRY = "registry.example"


class Fleet:
    """Hosts that pull from one registry, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        """Hosts that were really asked to pull."""
        self.breaker = Breaker(lambda: self.now)

    async def pull(self, host: str, code: Code | None = None, lines: tuple[Progress, ...] = ()) -> str:
        """What came of it: `done`, `left alone` or the id of the code."""

        async def stream() -> AsyncGenerator[Progress, None]:
            self.asked.append(host)
            for line in lines:
                yield line
            if code is Code.STREAM_CUT:
                raise OutcomeUnknown("cut", code=code)
            if code is not None:
                raise HostAnswered(f"{host} was told so", code=code, status=200)
            yield Progress(status="success")

        try:
            async for _ in self.breaker.through(REGISTRY, HostName(host), stream):
                pass
        except (HostAnswered, OutcomeUnknown) as error:
            return "left alone" if error.code is Code.REGISTRY_LEFT_ALONE else error.code.id
        return "done"

    async def down(self, *hosts: str) -> None:
        for host in hosts:
            assert await self.pull(host, Code.REGISTRY_TROUBLE) == Code.REGISTRY_TROUBLE.id


@pytest.mark.fault("R3, R4")
def test_after_five_failures_of_two_hosts_nobody_is_asked_for_a_minute() -> None:
    async def case() -> None:
        fleet = Fleet()
        await fleet.down("a", "b", "a", "b")
        assert await fleet.pull("c", Code.STREAM_CUT) == "FLT-203", "which says nothing of the registry"
        await fleet.down("a")
        for host in "abcdef":
            assert await fleet.pull(host) == "left alone"
        fleet.now = 59.9
        with pytest.raises(HostAnswered, match=r"`REGISTRY.example` failed on several hosts .*: a was told so"):
            fleet.breaker.check("REGISTRY.example", HostName("a"))
        fleet.now = 60.0
        assert await fleet.pull("f") == "done"
        assert await fleet.pull("a") == "done"
        assert fleet.asked == ["a", "b", "a", "b", "c", "a", "f", "a"]

    asyncio.run(case())


@pytest.mark.fault("R3, R4")
def test_one_host_tries_for_all_and_each_time_that_fails_is_waited_for_twice_as_long() -> None:
    async def case() -> None:
        fleet = Fleet()
        await fleet.down("a", "b", "a", "b", "a")
        waited = []
        for _ in range(7):
            begun = fleet.now
            while await fleet.pull("c", Code.REGISTRY_TROUBLE) == "left alone":
                fleet.now += 30
            waited.append(fleet.now - begun)
            assert await fleet.pull("d") == "left alone"
        assert waited == [60, 120, 240, 480, 900, 900, 900]

    asyncio.run(case())


@pytest.mark.fault("R3, R4")
def test_while_one_tries_the_others_wait_until_bytes_come() -> None:
    async def case() -> None:
        fleet = Fleet()
        await fleet.down("a", "b", "a", "b", "a")
        fleet.now = 60.0
        had, more = (Progress(status="pulling", digest="sha256:1", total=9, completed=done) for done in (4, 5))
        trying = fleet.breaker.through(REGISTRY, HostName("a"), lambda: _lines(had, had, more))
        await anext(trying)
        await anext(trying)
        assert await fleet.pull("b") == "left alone", "what it had before came from nowhere"
        await anext(trying)
        assert await fleet.pull("b") == "done"
        await trying.aclose()
        assert await fleet.pull("a") == "done"

    asyncio.run(case())


async def _lines(*lines: Progress) -> AsyncGenerator[Progress, None]:
    for line in lines:
        yield line


@pytest.mark.fault("R3, R4")
@pytest.mark.parametrize("between", [None, Code.NOT_IN_REGISTRY, Code.REGISTRY_UNAUTHORIZED])
def test_a_registry_that_answers_is_none_that_fails(between: Code | None) -> None:
    async def case() -> None:
        fleet = Fleet()
        for host in "abcdefgh":
            await fleet.down(host)
            await fleet.pull(host, between)
        assert len(fleet.asked) == 16

    asyncio.run(case())


@pytest.mark.fault("R3, R4")
def test_the_network_of_one_host_is_no_reason_for_others() -> None:
    async def case() -> None:
        fleet = Fleet()
        await fleet.down(*"aaaaaaaaaaaa")
        assert await fleet.pull("b") == "done"

    asyncio.run(case())


@pytest.mark.fault("R3, R4")
@pytest.mark.parametrize("hosts", [20, pytest.param(100, marks=pytest.mark.long)])
def test_many_hosts_ask_a_registry_that_is_down_a_few_times_in_all(
    hosts: int, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    names = [f"h{number:03}" for number in range(hosts)]
    down = {"fault": "error-line", "endpoint": "pull", "message": "pull model manifest: 503: no backend", "lines": 0}
    there = {name: {"faults": [down], "models": {"kept:1b": {"size": 4096}}} for name in names}
    fleet = simulate(json.dumps({"hosts": there, "registry": {"models": {"qwen3:8b": {"size": 4096}}}}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {'qwen3:8b': {}}\n")
    ran = run_fleet(
        "apply",
        *("-i", inventory, "--yes", "-o", "json"),
        environment={"OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_PARALLELISM": "8"},
    )
    told = json.loads(ran.stdout)
    assert ran.code == 3
    assert {failure["host"] for failure in told["failures"]} == set(names), "each says why it has it not"
    assert {failure["code"] for failure in told["failures"]} == {"FLT-240"}
    assert sum(each["kind"] == "pull" for each in fleet.requests()) <= 5 + 8
    assert all(fleet.names(name) == {"kept:1b"} for name in names)


@pytest.mark.fault("R6", "R9")
def test_different_contents_of_one_tag_and_what_is_replaced_in_use_are_told_and_not_mended_unasked(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    def holding(system: str, version: str = "0.32.15") -> dict[str, object]:
        return {"version": version, "models": {"tag:1b": {"size": 4096, "system": system}}}

    hosts = {"a": holding("One."), "b": holding("One."), "c": holding("Two."), "old": holding("Three.", "0.9.6")}
    fleet = simulate(json.dumps({"hosts": hosts}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    manifest = "version: 1\nmodels: {'tag:1b': {}, made: {create: {from: 'tag:1b', system: Former.}}}\n"
    first = run_fleet("apply", "-i", inventory, "--yes", manifest=manifest)
    one, two = (fleet.state(host)["models"]["tag:1b"]["digest"][:12] for host in "ac")
    told = (
        f"hosts hold different contents of `tag:1b`, which has no pin: {one} on a, b; {two} on c; `update: locked` and"
        " `fleet lock` bring them to one"
    )
    assert (first.code, told in first.stderr) == (0, True)
    assert fleet.state("old")["models"]["tag:1b"]["digest"][:12] not in first.stderr, (
        "which may be another form of the same"
    )

    load = urllib.request.Request(f"{fleet.urls['a']}/api/generate", b'{"model": "made"}')
    with urllib.request.urlopen(load, timeout=30):
        pass
    replaced = manifest.replace("Former.", "New.")
    told = "`made:latest` is replaced while it is in memory on a: requests are answered by its former content until that leaves"
    assert told in run_fleet("plan", "-i", inventory, manifest=replaced).stderr
    warm = replaced.replace("New.}", "New.}, warm: true")
    assert "replaced while" not in run_fleet("plan", "-i", inventory, manifest=warm).stderr, "it is unloaded first"


SIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=abc%2F20260101%2Fauto%2Fs3%2Faws4_request&X-Amz-Signature=5ec3e7"
)
STORE = "https://dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com/ollama/docker/registry/v2/blobs/sha256/ab/abcd/data"


@pytest.mark.fault("R10")
@pytest.mark.parametrize(
    "text",
    [
        f'max retries exceeded: Get "{STORE}?{SIGNED}": dial tcp: lookup r2.cloudflarestorage.com: no such host',
        f'Get "{STORE}?{SIGNED}": read tcp 10.0.0.5:40000->104.18.9.90:443: read: connection reset by peer',
        f"Head {STORE}?{SIGNED}: net/http: TLS handshake timeout",
        f'error="Get \\"{STORE}?{SIGNED}\\": EOF"',
        f"{STORE}?{SIGNED.replace('&', chr(92) + 'u0026')}: unexpected EOF",
        f"<a href='{STORE}?{SIGNED}'>Temporary Redirect</a>",
        f"download failed: [{STORE}?{SIGNED}] ({STORE}?{SIGNED})",
        f"{'x' * 5000}{STORE}?{SIGNED}",
        f"http://127.0.0.1:1/?{SIGNED} and https://5ec3e7@host/path?a=b#{SIGNED}",
        f'Get "HTTPS://host/path?{SIGNED}": EOF',
    ],
)
def test_signatures_of_addresses_are_never_repeated(text: str) -> None:
    shown = clean(text)
    assert "5ec3e7" not in shown
    assert "Credential" not in shown
    answer = Answer(500, (), json.dumps({"error": text}).encode())
    failed = refusal(answer, doing=Doing.PULL, where="http://host", changing=True)
    assert "5ec3e7" not in f"{failed} {failed.told} {failed!r}"


@pytest.mark.fault("R1", "R2", "R7")
def test_what_a_registry_refuses_is_asked_for_once_and_told_with_the_host_that_it_refused(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    newer = "pull model manifest: 412: The model you are attempting to pull requires a newer version of Ollama."
    refusing = [
        {"fault": "error-line", "endpoint": "pull", "model": "private*", "message": "pull model manifest: 401: "},
        {"fault": "error-line", "endpoint": "pull", "model": "newer*", "message": newer},
    ]
    offered = {f"{name}:1b": {"size": 4096} for name in ("good", "newer", "private")}
    fleet = simulate(json.dumps({"hosts": {"a": {}, "b": {"faults": refusing}}, "registry": {"models": offered}}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    manifest = "version: 1\nmodels: {'good:1b': {}, 'private:1b': {}, 'newer:1b': {}, 'missing:1b': {where: name=b}}\n"
    ran = run_fleet(
        "apply",
        *("-i", inventory, "--yes", "-o", "json"),
        manifest=manifest,
        environment={"OLLAMA_FLEET_RETRY_WAIT": "1ms"},
    )
    told = json.loads(ran.stdout)
    assert (ran.code, fleet.names("a"), fleet.names("b")) == (3, set(offered), {"good:1b"})
    assert {(each["host"], each["model"], each["code"]) for each in told["failures"]} == {
        ("b", "private:1b", "FLT-208"),
        ("b", "newer:1b", "FLT-209"),
        ("b", "missing:1b", "FLT-207"),
    }
    assert all(each["hint"] for each in told["failures"])
    pulls = [each["model"] for each in fleet.requests() if (each["kind"], each["host"]) == ("pull", "b")]
    assert sorted(pulls) == ["good:1b", "missing:1b", "newer:1b", "private:1b"], "each once"
