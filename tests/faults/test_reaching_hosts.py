"""Hosts that cannot be reached, or not as they should: what becomes of them, and that the others never notice."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.manifest.inventory import Host, Place
from fleet.manifest.item import HostDesired
from fleet.names import HostName
from fleet.ollama.client import Client
from fleet.ollama.credentials import Credentials, Trust
from fleet.ollama.limits import NO_RETRIES, Limits, Retries
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Observed, Unobserved
from fleet.settings import Settings
from tests.faults.namespaces import VANISHING, network
from tests.faults.proxy import WHOLE, End, Fault, Proxy, proxied
from tests.fleet_command import COMMAND, FleetCommand, Ran
from tests.ollama.sockets import Request, Script, always, in_turn, reply, serving
from tests.ollama.test_tls import folder, server_context
from tests.simulated import Simulated

__all__ = ["folder"]

BODY = b'{"version":"0.32.15"}'
VERSION = reply(BODY)
HEAD = len(VERSION) - len(BODY)
TAGS = reply({"models": [{"name": "llama3.2:1b", "digest": "a" * 64}]})
NOTHING = reply({"models": []})
MANIFEST = "{version: 1, models: {llama3.2:1b: {}}}"


def desired(name: str, port: int, prefix: str = "") -> HostDesired:
    """A host of which nothing is asked."""
    return HostDesired(Host(HostName(name), f"http://127.0.0.1:{port}{prefix}", Place("hosts.yaml", 1, 1)))


@contextmanager
def simulated_inside(inside: Sequence[str | Path], run_fleet: FleetCommand) -> Iterator[Path]:
    """Two hosts in that network, and the inventory that has them."""
    inventory = run_fleet.folder / "simulated.yaml"
    options = ("--hosts", "2", "--port", "0", "--registry-port", "0", "--control-port", "0")
    with run_fleet.start(
        "simulate", *options, "--write-inventory", str(inventory), command=(*inside, COMMAND)
    ) as simulation:
        assert simulation.stdout
        # The first words come when all of it listens, and the inventory is written before.
        assert simulation.stdout.readline()
        yield inventory


def ran(run_fleet: FleetCommand, inside: Sequence[str | Path], *arguments: str, **settings: str) -> tuple[Ran, float]:
    """The command in that network, and how many seconds it took."""
    begun = time.monotonic()
    environment = {f"OLLAMA_FLEET_{name.upper()}": value for name, value in settings.items()}
    with run_fleet.start(*arguments, environment=environment, command=(*inside, COMMAND)) as running:
        stdout, stderr = running.communicate(timeout=60)
    return Ran(running.returncode, stdout, stderr), time.monotonic() - begun


@pytest.mark.long
@pytest.mark.fault("N2", "N3")
def test_hosts_in_black_holes_and_names_that_hang_cost_a_run_one_connect_limit(run_fleet: FleetCommand) -> None:
    resolver = run_fleet.write("resolv.conf", f"nameserver {VANISHING[0]}\noptions timeout:30 attempts:3\n")
    manifest = run_fleet.write("models.yaml", MANIFEST)
    dead = {f"dead-{number}": f"http://dead-{number}.internal:1" for number in range(40)}
    dead |= {f"hole-{number}": f"http://{host}:1" for number, host in enumerate((VANISHING[0], f"[{VANISHING[1]}]"))}
    more = run_fleet.write("dead.yaml", json.dumps({"version": 1, "hosts": dead}))
    with network(resolv_conf=resolver) as inside, simulated_inside(inside, run_fleet) as inventory:
        applying = ("apply", "-i", str(inventory), "-f", str(manifest), "--yes", "-o", "json")
        live, without = ran(run_fleet, inside, *applying)
        applied, all_in_all = ran(
            run_fleet, inside, *applying, "-i", str(more), connect_timeout="500ms", parallelism="64"
        )
    assert live.code == 0, live.stdout + live.stderr
    assert applied.code == 7, applied.stdout + applied.stderr
    unseen = {each["host"]: each["code"] for each in json.loads(applied.stdout)["unobserved"]}
    assert unseen == dict.fromkeys(dead, "FLT-103")
    assert all_in_all - without < 0.5 + 2.5


@pytest.mark.long
@pytest.mark.fault("N15")
def test_a_dead_ipv6_address_beside_a_live_ipv4_one(run_fleet: FleetCommand) -> None:
    both = f"{VANISHING[1]} both.internal\n127.0.0.1 both.internal\n"
    names = run_fleet.write("hosts", both + "".join(f"{address} none.internal\n" for address in VANISHING))
    manifest = run_fleet.write("models.yaml", MANIFEST)
    more = run_fleet.write("dead.yaml", "{version: 1, hosts: {dead: 'http://none.internal:1'}}")
    with network(hosts=names) as inside, simulated_inside(inside, run_fleet) as inventory:
        text = inventory.read_text().replace("host-1: http://127.0.0.1", "host-1: http://both.internal")
        named = run_fleet.write("named.yaml", text)
        planning = ("plan", "-i", str(named), "-i", str(more), "-f", str(manifest), "-o", "json")
        planned, _ = ran(run_fleet, inside, *planning, connect_timeout="1500ms")
    assert "both.internal" in text
    assert planned.code == 7, planned.stdout + planned.stderr
    (unseen,) = json.loads(planned.stdout)["unobserved"]
    assert unseen["host"] == "dead"
    assert unseen["message"].startswith("no connection in time at ")
    assert all(address in unseen["message"] for address in VANISHING)


@pytest.fixture
def token(tmp_path: Path) -> Credentials:
    """A bearer token in a file of its own."""
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("hunter2")
    return Credentials("bearer", file=str(file))


def failing(script: Script, *, credentials: Credentials | None = None, retries: Retries = NO_RETRIES) -> HostError:
    """The error that asking for the version ends in."""

    async def run() -> HostError:
        async with serving(script) as served, served.client(retries=retries, credentials=credentials) as client:
            with pytest.raises(HostError) as failed:
                await client.version()
            return failed.value

    return asyncio.run(run())


@pytest.mark.fault("N7")
def test_a_credential_that_is_not_enough_is_no_reason_to_ask_again(token: Credentials) -> None:
    asked: list[str] = []

    async def refusing(request: Request, writer: asyncio.StreamWriter) -> bool:
        asked.append(request.headers["authorization"])
        writer.write(reply("<h1>Forbidden for hunter2</h1>", status=403, kind="text/html"))
        await writer.drain()
        return True

    error = failing(refusing, credentials=token, retries=Retries(first=0))
    assert (error.code, error.code.retry) == (Code.UNAUTHORIZED, "never")
    assert asked == ["Bearer hunter2"]


@pytest.mark.fault("N8")
def test_a_host_that_refuses_the_name_it_is_called_by_gets_a_remedy() -> None:
    error = failing(always(reply("", status=403)), retries=Retries(first=0))
    assert (error.code, error.code.retry) == (Code.ORIGIN_REFUSED, "never")
    assert error.hint
    assert "Host" in error.hint
    assert "OLLAMA_HOST" in error.hint


@pytest.mark.fault("N7", "N9")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere_and_takes_nothing_along(status: int, token: Credentials) -> None:
    async def run(elsewhere: Proxy) -> list[HostError]:
        moved = reply("", status=status, headers=[f"Location: {elsewhere.url}/api/version?key=hunter2"])
        errors: list[HostError] = []
        async with serving(always(moved)) as served, served.client(credentials=token) as client:
            for ask in (client.version(), client.copy("a", "b"), anext(client.pull("m"))):
                with pytest.raises(HostAnswered) as failed:
                    await ask
                errors += [failed.value]
        return errors

    with proxied(0, Fault(black_hole=True)) as elsewhere:
        errors = asyncio.run(run(elsewhere))
        assert elsewhere.connections == 0
    for error in errors:
        assert error.code is Code.REDIRECTED
        assert f"redirects to {elsewhere.url}, which is not followed" in str(error)
        assert "hunter2" not in str(error)


@pytest.mark.fault("N11")
def test_nothing_of_the_environment_is_asked_or_sent(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {models: {llama3.2:1b: {}}}}")
    run_fleet.write(".netrc", "default login me password hunter2\n").chmod(0o600)
    bundle = run_fleet.write("nobody.pem", "no certificate")
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    with proxied(0, Fault(black_hole=True)) as listener:
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), listener.url)
        environment = {**proxies, "SSL_CERT_FILE": str(bundle), "NETRC": f"{run_fleet.folder}/.netrc"}
        applied = run_fleet("apply", "-i", inventory, "--yes", manifest=MANIFEST, environment=environment)
        assert (applied.code, listener.connections) == (0, 0), applied.stdout + applied.stderr
    assert not [request for request in fleet.requests() if "hunter2" in json.dumps(request)]


@pytest.mark.fault("N12")
def test_a_reply_that_breaks_off_anywhere_is_asked_for_again_and_then_no_reply() -> None:
    async def run(proxy: Proxy) -> None:
        endpoint = Endpoint.parse(proxy.url)
        for place in range(len(VERSION)):
            proxy.fault = Fault(answer=place, end=End.HALF_CLOSE if place % 8 == 0 else End.RESET)
            before = proxy.connections
            async with Client(endpoint, retries=Retries(tries=2, first=0), limits=Limits(answer=5)) as client:
                with pytest.raises(HostUnreachable) as failed:
                    await client.version()
            assert failed.value.code is Code.UNREACHABLE
            assert proxy.connections - before == 2

    async def served_by() -> None:
        async with serving(always(VERSION)) as served:
            with proxied(served.port) as proxy:
                await run(proxy)

    asyncio.run(served_by())


@pytest.mark.fault("N12")
def test_a_reply_that_breaks_off_once_is_read_at_the_next_try() -> None:
    async def run() -> tuple[str, int]:
        async with serving(always(VERSION)) as served:
            with proxied(served.port, Fault(answer=HEAD + 3)) as proxy:

                async def mended(_seconds: float) -> None:
                    proxy.fault = WHOLE

                async with Client(Endpoint.parse(proxy.url), pause=mended) as client:
                    return str(await client.version()), proxy.connections

    assert asyncio.run(run()) == ("0.32.15", 2)


@pytest.mark.fault("N13")
def test_a_host_that_asks_for_time_gets_it_and_keeps_no_other_waiting() -> None:
    """One place for all hosts: the busy one is to leave it while it waits, or nobody would ever be seen."""
    seen: list[str] = []
    waited: list[float] = []

    async def run() -> dict[HostName, Observation]:
        busy = reply("", status=429, headers=["Retry-After: 300"])
        both = asyncio.Event()

        async def until_the_other_was_seen(seconds: float) -> None:
            waited.append(seconds)
            await both.wait()

        def told(name: HostName, _observation: Observation) -> None:
            seen.append(name)
            both.set()

        async with (
            serving(in_turn(busy, VERSION, TAGS, NOTHING)) as first,
            serving(in_turn(VERSION, TAGS, NOTHING)) as second,
        ):
            hosts = [desired("busy", first.port), desired("calm", second.port)]
            async with asyncio.timeout(20):
                return await observe_all(
                    hosts,
                    Settings(parallelism=1),
                    told,
                    reach=lambda host, _: Client(Endpoint.parse(host.url), pause=until_the_other_was_seen),
                )

    observations = asyncio.run(run())
    assert seen == ["calm", "busy"]
    assert waited == [300]
    assert all(isinstance(each, Observed) for each in observations.values())


@pytest.mark.fault("N13")
def test_a_host_gets_five_minutes_in_all_however_often_it_asks() -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    async def run() -> None:
        busy = always(reply("", status=503, headers=["Retry-After: 200"]))
        async with (
            serving(busy) as served,
            served.client(retries=Retries(tries=3, first=1, cap=1), pause=pause) as client,
        ):
            for _ in range(3):
                with pytest.raises(HostAnswered):
                    await client.version()

    asyncio.run(run())
    assert waited[0] == 200
    assert max(waited[1:]) <= 1


@pytest.mark.fault("N14")
@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_host_that_fails_a_few_times_is_asked_once_more_than_it_failed(bad: int, status: int) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    async def run() -> tuple[str, int]:
        script = in_turn(*[reply("", status=status)] * bad, VERSION)
        async with serving(script) as served, served.client(pause=pause, retries=Retries()) as client:
            return str(await client.version()), len(served.asked)

    assert asyncio.run(run()) == ("0.32.15", bad + 1)
    assert len(waited) == bad
    assert all(0 <= wait <= 1 for wait in waited)


@pytest.mark.invariant("E11")
@pytest.mark.fault("N17")
def test_a_very_slow_host_is_slow_alone() -> None:
    order: list[str] = []

    async def run() -> dict[HostName, Observation]:
        many = reply({"models": [{"name": f"m{number}", "digest": "a" * 64} for number in range(1000)]})
        async with serving(in_turn(VERSION, many)) as slow:
            with proxied(slow.port, Fault(rate=1024)) as proxy:
                async with asyncio.timeout(30), asyncio.TaskGroup() as others:
                    quick = asyncio.Event()
                    ports: list[int] = []

                    async def serve() -> None:
                        async with AsyncExitStack() as stack:
                            for _ in range(20):
                                script = in_turn(VERSION, TAGS, NOTHING)
                                ports.append((await stack.enter_async_context(serving(script))).port)
                            quick.set()
                            await done.wait()

                    done = asyncio.Event()
                    others.create_task(serve())
                    await quick.wait()
                    hosts = [desired("slow", proxy.port), *(desired(f"host-{port}", port) for port in ports)]
                    found = await observe_all(
                        hosts, Settings(answer_deadline=1.0, parallelism=4), lambda name, _: order.append(name)
                    )
                    done.set()
                    return found

    observations = asyncio.run(run())
    assert order[-1] == "slow"
    slow = observations.pop(HostName("slow"))
    assert isinstance(slow, Unobserved)
    assert slow.code is Code.NO_ANSWER
    assert all(isinstance(each, Observed) for each in observations.values())


@pytest.mark.invariant("E5")
@pytest.mark.long
@pytest.mark.fault("N18")
def test_a_thousand_hosts_are_seen_over_few_connections_and_without_a_stall() -> None:
    open_now = most = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1]
                writer.write(VERSION if path.endswith(b"version") else TAGS if path.endswith(b"tags") else NOTHING)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_now -= 1
            writer.close()

    async def run() -> tuple[dict[HostName, Observation], float]:
        longest, over = 0.0, asyncio.Event()

        async def ticking() -> None:
            nonlocal longest
            while not over.is_set():
                begun = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - begun)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        async with server:
            ticker = asyncio.create_task(ticking())
            hosts = [desired(f"host-{number}", port, f"/{number}") for number in range(1000)]
            found = await observe_all(hosts, Settings(), lambda *_: None)
            over.set()
            await ticker
        return found, longest

    observations, longest = asyncio.run(run())
    assert len(observations) == 1000
    assert all(isinstance(each, Observed) for each in observations.values())
    assert most <= Settings().parallelism <= 64
    assert longest < 2


@pytest.mark.fault("N5")
def test_hosts_that_are_not_to_be_trusted_are_not_spoken_to_and_the_others_are(
    folder: Path, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {models: {llama3.2:1b: {}}}}")
    shown = ("expired", "elsewhere", "server")
    tls = {
        "expired": str(folder / "ca.pem"),
        "elsewhere": str(folder / "ca.pem"),
        "server": str(folder / "stranger.pem"),
    }

    async def run() -> tuple[Ran, list[Request]]:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with AsyncExitStack() as stack:
            served = {
                name: await stack.enter_async_context(serving(always(VERSION), tls=server_context(folder, name)))
                for name in shown
            }
            hosts = {
                name: {"url": f"https://127.0.0.1:{each.port}", "tls": {"ca_file": tls[name]}}
                for name, each in served.items()
            }
            more = run_fleet.write("tls.yaml", json.dumps({"version": 1, "hosts": hosts}))
            files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-i", str(more))
            applying = partial(run_fleet, environment={"OLLAMA_FLEET_CREDENTIALS_DIR": str(folder)})
            applied = await asyncio.to_thread(applying, "apply", *files, "--yes", "-o", "json", manifest=MANIFEST)
            return applied, [request for each in served.values() for request in each.asked]

    applied, asked = asyncio.run(run())
    assert applied.code == 7, applied.stdout + applied.stderr
    assert asked == []
    told = {each["host"]: (each["code"], each["message"]) for each in json.loads(applied.stdout)["unobserved"]}
    assert {host: code for host, (code, _) in told.items()} == dict.fromkeys(shown, "FLT-104")
    for host, reason in (("expired", "expired"), ("elsewhere", "127.0.0.1"), ("server", "issuer certificate")):
        assert reason in told[host][1]
        assert re.search(r"valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", told[host][1])


@contextmanager
def accepting_nobody(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that says no to the certificate of one client, as TLS has it, and waits until it is gone."""

    def one_client() -> None:
        connection, _ = listening.accept()
        with connection:
            # The alert goes out by itself; what the wrapping takes over is the same connection.
            with suppress(ssl.SSLError), context.wrap_socket(connection.dup(), server_side=True) as secure:
                secure.recv(1)
            while connection.recv(1 << 16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=one_client, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


@pytest.mark.fault("N5")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_ours_that_is_not_accepted_is_a_matter_of_trust(version: ssl.TLSVersion, folder: Path) -> None:
    context = server_context(folder, "server")
    context.load_verify_locations(folder / "stranger.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    ours = Trust(str(folder / "ca.pem"), str(folder / "client.pem"), str(folder / "client.key"))

    async def run(port: int) -> HostError:
        async with Client(Endpoint.parse(f"https://127.0.0.1:{port}"), tls=ours, retries=NO_RETRIES) as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.version()
            return failed.value

    with accepting_nobody(context) as port:
        error = asyncio.run(run(port))
    assert (error.code, error.code.retry) == (Code.TLS_FAILED, "never")
    assert "UNKNOWN_CA" in str(error)


@pytest.mark.fault("N12")
@pytest.mark.parametrize("place", [20, 150])
def test_a_change_whose_request_breaks_off_may_have_been_made_and_is_not_asked_for_again(place: int) -> None:
    async def run() -> tuple[HostError, int]:
        async with serving(always(reply({}))) as served:
            with proxied(served.port, Fault(request=place)) as proxy:
                async with Client(Endpoint.parse(proxy.url)) as client:
                    with pytest.raises(HostError) as failed:
                        await client.copy("a", "b")
                    return failed.value, proxy.connections

    error, connections = asyncio.run(run())
    assert (type(error), connections) == (OutcomeUnknown, 1)
