"""fleet's own process and machine: signals, locks, full disks, files and memory that run out, faults of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.loading import desired_of
from fleet.codes import Code
from fleet.errors import ExitCode, HostUnreachable
from fleet.manifest.desired import fingerprint
from fleet.manifest.inventory import Host
from fleet.ollama.client import Client
from fleet.ollama.credentials import Credentials
from fleet.reconcile.connection import connect
from fleet.reconcile.places import at_once
from fleet.reconcile.report import Outcome, Report
from fleet.reconcile.run import Pass, carry_out, make_plan
from fleet.reconcile.step import Plan
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.state.folder import StateError
from fleet.state.lock import RunLock
from fleet.state.mounts import unlocked_mount
from fleet.weights.hashing import hash_files
from fleet.weights.local import Format, LocalFile, Stamp
from tests.faults.broken_tasks import BrokenTasks
from tests.fleet_command import COMMAND, FleetCommand
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms"}
FILES = ("-i", "hosts.yaml", "-f", "m.yaml")

MANY = """
version: 1
models:
  new:1b: {warm: true}
  chat: {alias: new:1b}
  made: {create: {from: new:1b, system: Short.}}
  old:1b: {absent: true}
"""
"""One step of each common kind."""
AFTER = {"new:1b", "chat:latest", "made:latest"}


def hosts(*names: str) -> str:
    """A scenario of hosts that all have something to be deleted."""
    each = {name: {"version": "0.32.15", "models": {"old:1b": {"size": 4096}}} for name in names}
    return json.dumps({"hosts": each, "registry": {"models": {"new:1b": {"size": 4096}}}})


def prepared(run_fleet: FleetCommand, fleet: Simulated, manifest: str) -> None:
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("m.yaml", manifest)


def work_of(folder: Path, fleet: Simulated, manifest: str = MANY) -> Pass:
    """What a pass in this process is told."""
    inventory = fleet.inventory(folder / "hosts.yaml")
    (folder / "m.yaml").write_text(manifest, encoding="utf-8")
    settings = Settings(state_dir=str(folder / "s"), ask_registries=False, retry_wait=0.001)
    desired = desired_of([str(folder / "m.yaml")], [inventory], None, {}, settings)
    return Pass(desired, fingerprint(desired), settings)


async def applied(work: Pass) -> tuple[Plan, Report]:
    plan = await make_plan(work)
    return plan, await carry_out(work, plan, Stop())


# Asked to end.


@pytest.mark.invariant("E17")
@pytest.mark.long
@pytest.mark.fault("K1")
@pytest.mark.parametrize("nth", range(1, 6))
def test_a_signal_at_any_step_ends_in_order_and_the_next_run_finishes(
    nth: int, run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate(hosts("alpha"))
    # Each step takes long enough for the signal to come in its middle.
    fleet.fault("alpha", *({"fault": "slow", "endpoint": each, "delay": 0.3} for each in SLOW))
    prepared(run_fleet, fleet, MANY)
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl", environment=QUICK) as process:
        assert process.stdout is not None
        lines, begun = [], 0
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["type"] == "step-begun":
                begun += 1
                if begun == nth:
                    process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=25)
    assert process.returncode == ExitCode.TERMINATED, told
    assert "stopping: nothing new is begun" in told
    outcomes = [each["outcome"] for each in lines[-1]["results"]]
    assert len(outcomes) == 5
    assert outcomes[: nth - 1] == ["done"] * (nth - 1), "what was done before counts"
    assert set(outcomes[nth:]) <= {"not-tried"}, "nothing is begun any more"
    fleet.heal("alpha")
    assert run_fleet("apply", *FILES, "--yes", environment=QUICK).code == 0
    assert fleet.names("alpha") == AFTER, "neither a backup nor anything half made is left"
    again = run_fleet("plan", *FILES, "--detailed-exitcode")
    assert (again.code, again.stderr) == (0, "")


@pytest.mark.fault("K1")
@pytest.mark.parametrize(
    ("endpoint", "asked"), [("copy", "chat: {alias: old:1b}"), ("delete", "old:1b: {absent: true}")]
)
def test_a_host_that_says_nothing_keeps_nobody_beyond_the_grace(
    endpoint: str, asked: str, tmp_path: Path, simulate: Simulate
) -> None:
    fleet = simulate(hosts("alpha"))
    fleet.fault("alpha", {"fault": "silence", "endpoint": endpoint})
    work = work_of(tmp_path, fleet, f"{{version: 1, models: {{{asked}}}}}")
    work = replace(work, settings=replace(work.settings, grace=0.0))

    async def scene() -> Report:
        stop, plan = Stop(), await make_plan(work)
        running = asyncio.ensure_future(carry_out(work, plan, stop))
        while not await asyncio.to_thread(lambda: fleet.get("/counters")["total"].get(endpoint)):
            assert not running.done()
        stop.request(ExitCode.TERMINATED)
        return await asyncio.wait_for(running, 30)

    (result,) = asyncio.run(scene()).results
    assert (result.outcome, result.failure and result.failure.code) == (Outcome.UNKNOWN, Code.INTERRUPTED)


SLOW = ("pull", "create", "copy", "generate", "delete")


# Locks.


@pytest.mark.fault("K5")
def test_a_lock_is_the_kernels_and_no_number_of_a_process_counts(tmp_path: Path) -> None:
    living = {"pid": os.getppid(), "machine": os.uname().nodename, "since": "2026-11-01T09:30:12+00:00"}
    (tmp_path / "fleet.lock").write_text(json.dumps(living), encoding="utf-8")
    with RunLock(str(tmp_path), "fleet"):
        # The number in it may be anybody's by now: who holds it holds it all the same.
        (tmp_path / "fleet.lock").write_text(json.dumps(living | {"pid": 2**22 + 1}), encoding="utf-8")
        with pytest.raises(Exception, match="another run is at work"):
            RunLock(str(tmp_path), "fleet").__enter__()


@pytest.mark.fault("K5")
def test_a_lock_that_everybody_gets_is_none(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="the lock keeps nobody out: the file system granted it twice") as fault:
        RunLock(str(tmp_path), "fleet", 3600, lambda *_: None).__enter__()
    assert fault.value.hint == "name a folder on a local disk by `state_dir`, or mount this one with locks that work"


@pytest.mark.fault("K5")
def test_a_lock_that_other_machines_do_not_know_is_none(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="on nfs4 it is not known to other machines"):
        RunLock(str(tmp_path), "fleet", unlocked=lambda _: "nfs4").__enter__()


@pytest.mark.fault("K5")
@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("nfs4", "rw,vers=4.2,local_lock=none,addr=10.0.0.1", None),
        ("nfs", "rw,vers=3,nolock,local_lock=all", "nfs"),
        ("nfs", "rw,vers=3,local_lock=flock", "nfs"),
        ("nfs", "rw,vers=3,local_lock=posix", None),
        ("cifs", "rw,vers=3.1.1,nobrl", "cifs"),
        ("cifs", "rw,vers=3.1.1", None),
        ("fuse.sshfs", "rw,user_id=0", "fuse.sshfs"),
        ("ext4", "rw,nolock", None),
    ],
)
def test_which_network_file_systems_keep_other_machines_out(
    kind: str, options: str, found: str | None, tmp_path: Path
) -> None:
    here = tmp_path.stat().st_dev
    mounts = (
        "21 1 0:9999 / /proc rw,nosuid shared:5 - nfs proc rw,nolock\n"
        f"36 21 {os.major(here)}:{os.minor(here)} / /var/lib rw,noatime shared:1 master:2 - {kind} nas:/x {options}\n"
        "a line of another kind\n"
    )
    assert unlocked_mount(tmp_path, mounts) == found


def test_the_folder_of_this_test_has_locks(tmp_path: Path) -> None:
    assert unlocked_mount(tmp_path) is None
    assert unlocked_mount(tmp_path / "not there") is None


# Disks.


NAMESPACES = shutil.which("unshare") is not None and (
    subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.long
@pytest.mark.skipif(not NAMESPACES, reason="this machine allows no namespaces of one's own")
@pytest.mark.fault("K6")
def test_a_disk_that_gets_full_in_the_middle_stops_the_run_and_costs_nothing(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate(
        json.dumps(
            {
                "hosts": {"alpha": {"version": "0.32.15"}},
                "registry": {"models": {f"{name}:1b": {"size": 4096} for name in ("a", "b", "c")}},
            }
        )
    )
    prepared(run_fleet, fleet, "version: 1\nmodels: {a:1b: , b:1b: , c:1b: }\n")
    state = run_fleet.folder / "s"
    state.mkdir(mode=0o700)
    script = Path(__file__).with_name("on_a_full_disk.py")
    command = [str(COMMAND), "apply", *FILES, "--yes", "-o", "jsonl"]
    ran = subprocess.run(
        ["unshare", "-Urm", sys.executable, script, state, "b:1b", *command],
        cwd=run_fleet.folder,
        env=run_fleet.environment({"OLLAMA_FLEET_STATE_DIR": str(state)}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    filled, full, roomy = json.loads(ran.stdout)
    results = {each["model"]: each for each in filled["lines"][-1]["results"]}
    assert {name: each["outcome"] for name, each in results.items()} == {
        "a:1b": "done",
        "b:1b": "failed",
        "c:1b": "not-tried",
    }
    assert filled["code"] == ExitCode.COULD_NOT_RUN
    assert "the disk is full" in filled["stderr"]
    assert "space, quota" in filled["stderr"]
    assert full["code"] == ExitCode.COULD_NOT_RUN
    assert all(each["type"] != "step-begun" for each in full["lines"]), "while there is no room nothing is changed"
    assert fleet.names("alpha") == {"a:1b", "b:1b", "c:1b"}
    ended = {each["model"]: each["outcome"] for each in roomy["lines"][-1]["results"]}
    assert (roomy["code"], ended) == (0, {"c:1b": "done"}), "what was done before is known, nothing is done twice"
    assert roomy["stderr"] == "", "nothing was damaged"


# Faults of its own, and what runs out.


def broken_at(wait: int, folder: Path, simulate: Simulate) -> tuple[Simulated, Report, int]:
    """A pass over three hosts in which a task of `alpha` fails at this wait; how many waits it had."""
    folder.mkdir()
    fleet = simulate(hosts("alpha", "beta", "gamma"))
    work, tasks = work_of(folder, fleet), BrokenTasks("alpha", wait)

    async def run() -> Report:
        asyncio.get_running_loop().set_task_factory(tasks)
        return (await applied(work))[1]

    return fleet, asyncio.run(run()), tasks.waits


def others_are_done(fleet: Simulated, report: Report) -> None:
    assert fleet.names("beta") == fleet.names("gamma") == AFTER
    assert {each.host for each in report.failures} | {each.host for each in report.unobserved} <= {"alpha"}
    if fleet.names("alpha") != AFTER:
        assert Code.INTERNAL in {each.code for each in report.failures} | {each.code for each in report.unobserved}


@pytest.mark.invariant("E11")
@pytest.mark.fault("K11")
@pytest.mark.parametrize("wait", [1, 25, 50])
def test_a_fault_in_one_hosts_work_leaves_the_others_to_be_done(wait: int, tmp_path: Path, simulate: Simulate) -> None:
    fleet, report, _ = broken_at(wait, tmp_path / "one", simulate)
    others_are_done(fleet, report)
    assert [*report.failures, *report.unobserved], "and is told"


@pytest.mark.long
@pytest.mark.fault("K11")
@pytest.mark.parametrize("part", range(4))
def test_a_fault_at_any_wait_of_one_hosts_work_leaves_the_others_to_be_done(
    part: int, tmp_path: Path, simulate: Simulate
) -> None:
    *_, waits = broken_at(0, tmp_path / "0", simulate)
    assert waits > 50
    for wait in range(1 + part, waits + 1, 4):
        fleet, report, _ = broken_at(wait, tmp_path / str(wait), simulate)
        others_are_done(fleet, report)


@pytest.mark.fault("K9")
def test_fewer_hosts_at_once_where_the_process_may_open_few_files() -> None:
    assert [at_once(32, limit) for limit in (1024, 80, 40, 20, 3)] == [32, 32, 12, 2, 1]
    assert at_once(32, -1) == 32, "without any limit"


@pytest.mark.long
@pytest.mark.fault("K9")
def test_with_few_files_every_host_is_served_all_the_same(run_fleet: FleetCommand, simulate: Simulate) -> None:
    names = [f"h{number:02}" for number in range(16)]
    fleet = simulate(hosts(*names))
    prepared(run_fleet, fleet, "version: 1\nmodels: {old:1b: {absent: true}}\n")
    with run_fleet.start("apply", *FILES, "--yes", command=("prlimit", "--nofile=22", COMMAND)) as process:
        told, error = process.communicate(timeout=60)
    assert (process.returncode, "FLT" in told + error) == (0, False), told + error
    assert {frozenset(fleet.names(name)) for name in names} == {frozenset()}


@pytest.mark.fault("K9")
@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (OSError(24, "Too many open files"), "Too many open files"),
        (OSError(23, "Too many open files in system"), "Too many open files in system"),
        (MemoryError(), "no more memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
    ],
)
def test_what_this_machine_lacks_makes_no_host_empty(
    lacking: Exception, words: str, tmp_path: Path, simulate: Simulate
) -> None:
    fleet = simulate(hosts("alpha", "beta"))

    def reach(host: Host, settings: Settings) -> Client:
        if host.name == "alpha":
            raise lacking
        return connect(host, settings)

    plan, report = asyncio.run(applied(replace(work_of(tmp_path, fleet), reach=reach)))
    assert {step.host for step in plan.steps} == {"beta"}
    ((code, message, hint),) = {(each.code, each.message, each.hint) for each in report.unobserved}
    assert (code, code.retry, message) == (Code.NO_ROOM_HERE, "later", f"this machine has no room for it ({words})")
    assert "`parallelism`" in (hint or "")
    assert (fleet.names("alpha"), fleet.names("beta")) == ({"old:1b"}, AFTER)


@pytest.mark.fault("K9")
def test_what_runs_out_in_the_middle_fails_a_step_and_is_told_as_this_machines(
    tmp_path: Path, simulate: Simulate
) -> None:
    fleet = simulate(hosts("alpha"))
    reached = 0

    def reach(host: Host, settings: Settings) -> Client:
        nonlocal reached
        reached += 1
        if reached > 1:
            raise MemoryError
        return connect(host, settings)

    _, report = asyncio.run(applied(replace(work_of(tmp_path, fleet), reach=reach)))
    assert {(result.outcome, result.failure.code) for result in report.results if result.failure} == {
        (Outcome.NOT_TRIED, Code.NO_ROOM_HERE)
    }
    assert [each.code for each in report.unobserved] == [Code.NO_ROOM_HERE]
    assert fleet.names("alpha") == {"old:1b"}


class NoThreads(ThreadPoolExecutor):
    """What the system refuses to begin."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise RuntimeError("can't start new thread")


@pytest.mark.fault("K9")
def test_without_threads_no_name_is_looked_up_and_that_is_this_machines(tmp_path: Path, simulate: Simulate) -> None:
    fleet = simulate(hosts("alpha"))
    work = work_of(tmp_path, fleet)
    ((name, desired),) = work.desired.hosts.items()
    by_name = replace(desired, host=replace(desired.host, url=desired.host.url.replace("127.0.0.1", "localhost")))
    work = replace(work, desired=replace(work.desired, hosts={name: by_name}))

    async def run() -> Plan:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        return await make_plan(work)

    plan = asyncio.run(run())
    assert (plan.steps, [each.code for each in plan.unobserved]) == ((), [Code.NO_ROOM_HERE])


@pytest.mark.long
@pytest.mark.fault("K10")
def test_the_loop_turns_while_gigabytes_are_hashed_and_names_are_looked_up(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        path = tmp_path / f"{number}.gguf"
        with path.open("wb") as file:
            file.truncate(1 << 30)  # holds no block of the disk, and is read like any other
        files.append(LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF))
    turns: list[float] = []

    async def count() -> None:
        while True:
            turns.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def run() -> float:
        loop = asyncio.get_running_loop()
        counting = asyncio.create_task(count())
        hashing = asyncio.create_task(hash_files(files, None))
        looked_up = 0
        while not hashing.done():
            await asyncio.wait_for(loop.getaddrinfo("localhost", 80), 5)
            looked_up += 1
            await asyncio.sleep(0.05)
        counting.cancel()
        await hashing
        assert looked_up > 5, "hashing takes no thread from those who look up names"
        return max(after - before for before, after in pairwise(turns))

    # A tenth of a second on a machine of its own; this one has others to serve.
    assert asyncio.run(run()) < 1.0
    assert statistics.median(after - before for before, after in pairwise(turns)) < 0.1


# Credentials.


def secret(credentials: Credentials) -> bytes:
    ((_, value),) = credentials.headers()
    return value.reveal()


@pytest.mark.fault("K15")
def test_a_token_that_is_taken_away_serves_until_a_host_refuses_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("first")
    credentials = Credentials("bearer", file=str(file))
    assert secret(credentials) == b"Bearer first"
    file.unlink()
    # Another pass has objects of its own.
    assert secret(Credentials("bearer", file=str(file))) == b"Bearer first"
    credentials.refused()
    with pytest.raises(HostUnreachable) as gone:
        secret(credentials)
    assert (gone.value.code, gone.value.code.retry) == (Code.CREDENTIALS_UNREADABLE, "never")
    file.touch(mode=0o600)
    file.write_text("second")
    assert secret(credentials) == b"Bearer second"


@pytest.mark.fault("K15")
def test_a_token_that_is_emptied_or_opened_to_others_is_not_served_from_memory(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("first")
    credentials = Credentials("bearer", file=str(file))
    assert secret(credentials) == b"Bearer first"
    file.write_text("")
    with pytest.raises(HostUnreachable):
        secret(credentials)
    file.write_text("first")
    file.chmod(0o644)
    with pytest.raises(HostUnreachable):
        secret(credentials)
