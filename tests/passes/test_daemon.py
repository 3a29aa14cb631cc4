"""The installed daemon beside simulated hosts: what it does when something changes, and how it begins and ends."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.daemon.source.repositories import Remote
from tests.daemon_process import DaemonProcess, conditions
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

ONE = "version: 1\nmodels: {qwen3:8b: }\n"
TWO = "version: 1\nmodels: {qwen3:8b: , llama3.2:3b: }\n"
BROKEN = "version: 1\nmodels: {qwen3:8b: {pul: {}}}\n"
RARELY = ("--interval", "1h")
"""Whatever happens in a test is then not because of time."""

Simulate = Callable[[str], Simulated]


def ready(*hosts: str) -> Callable[[dict[str, object]], bool]:
    return lambda status: conditions(status) == dict.fromkeys(hosts, "ready")


def in_force(revision: str) -> Callable[[dict[str, object]], bool]:
    """All as this commit has it."""

    def judged(status: dict[str, object]) -> bool:
        source = status["fleet"]["source"]  # type: ignore[index]
        return source["revision"] == revision and set(conditions(status).values()) == {"ready"}

    return judged


@pytest.mark.fault("D13", "D15")
def test_commits_flow_to_hosts_and_a_broken_one_changes_nothing(
    run_fleet: FleetCommand, simulate: Simulate, tmp_path: Path
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.5.4}}")
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    remote = Remote(tmp_path / "git")
    first = remote.push({"prod/models.yaml": ONE})
    git = {
        "OLLAMA_FLEET_GIT_URL": remote.url,
        "OLLAMA_FLEET_GIT_PATH": "prod",
        "OLLAMA_FLEET_GIT_INTERVAL": "100ms",
    }
    with DaemonProcess(run_fleet, "-i", inventory, *RARELY, environment=git) as daemon:
        daemon.until(in_force(first))
        assert fleet.names("alpha") == fleet.names("beta") == {"qwen3:8b"}

        second = remote.push({"prod/models.yaml": TWO})
        daemon.until(in_force(second))
        assert fleet.names("beta") == {"qwen3:8b", "llama3.2:3b"}

        fleet.reset()
        remote.push({"prod/models.yaml": BROKEN})
        status = daemon.until(lambda status: status["fleet"]["source"]["state"] == "broken")
        assert status["fleet"]["source"]["revision"] == second
        assert "models.yaml:2:21" in "\n".join(status["fleet"]["source"]["faults"])
        assert daemon.ask("GET", "/metrics")[1].count('ollama_fleet_source_broken{fleet="default"} 1') == 1

        # The daemon goes on by what was good, over a restart too.
        fleet.post("/hosts/alpha/remove", {"model": "llama3.2:3b"})
        daemon.restart()
        daemon.until(in_force(second))
        daemon.until(lambda _: fleet.names("alpha") == {"qwen3:8b", "llama3.2:3b"})

        healed = remote.push({"prod/models.yaml": TWO})
        daemon.until(in_force(healed))
        triggers = {word for each in daemon.status()["fleet"]["passes"] for word in each["triggers"]}
    assert {"start"} <= triggers
    assert daemon.code == 0


def test_a_push_that_is_announced_is_taken_at_once(run_fleet: FleetCommand, simulate: Simulate, tmp_path: Path) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    remote = Remote(tmp_path / "git")
    first = remote.push({"models.yaml": ONE})
    secret = run_fleet.write("secret", "between us\n")
    secret.chmod(0o600)
    git = {
        "OLLAMA_FLEET_GIT_URL": remote.url,
        "OLLAMA_FLEET_GIT_INTERVAL": "1h",
        "OLLAMA_FLEET_HOOK_SECRET_FILE": str(secret),
    }
    with DaemonProcess(run_fleet, "-i", inventory, *RARELY, environment=git, listen=True) as daemon:
        daemon.until(in_force(first))
        second = remote.push({"models.yaml": TWO})
        body = json.dumps({"ref": "refs/heads/main", "after": second}).encode()
        for key, answer in ((b"a guess", 401), (b"between us", 202)):
            signature = hmac.new(key, body, hashlib.sha256).hexdigest()
            headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
            assert post(f"{daemon.url}/hooks/git", body, headers) == answer
        daemon.until(in_force(second))


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer."""
    request = urllib.request.Request(url, body, {**headers, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_host_that_comes_back_catches_up(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15, down: true}}")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(run_fleet.write("m.yaml", ONE)))
    with DaemonProcess(run_fleet, *files, *RARELY, environment={"OLLAMA_FLEET_BACK_OFF": "50ms"}) as daemon:
        status = daemon.until(lambda status: conditions(status) == {"alpha": "ready", "beta": "unknown"})
        (beta,) = (host for host in status["hosts"] if host["name"] == "beta")
        assert beta["code"] == "FLT-101"
        fleet.post("/hosts/beta/up")
        daemon.until(ready("alpha", "beta"))
    assert fleet.names("beta") == {"qwen3:8b"}


def test_a_changed_file_is_enough_and_a_long_download_holds_up_nobody(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate(
        "hosts: {alpha: {version: 0.32.15}, slow: {version: 0.32.15, faults: [{fault: silence, endpoint: pull}]}}"
    )
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    with DaemonProcess(run_fleet, *files, *RARELY, environment={"OLLAMA_FLEET_GRACE": "0s"}) as daemon:
        daemon.until(lambda status: conditions(status) == {"alpha": "ready", "slow": "progressing"})
        manifest.write_text(TWO, encoding="utf-8")
        daemon.until(lambda _: fleet.names("alpha") == {"qwen3:8b", "llama3.2:3b"})
        assert fleet.names("slow") == set()


def test_a_suspended_host_is_left_alone_without_a_commit(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15}}")
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    with DaemonProcess(run_fleet, *files, *RARELY) as daemon:
        daemon.until(ready("alpha", "beta"))
        suspended = run_fleet("suspend", "beta", "--reason", "a new disk", environment=daemon.environment)
        assert suspended.code == 0, suspended.stderr
        daemon.until(lambda status: conditions(status)["beta"] == "suspended")
        manifest.write_text(TWO, encoding="utf-8")
        daemon.until(lambda _: fleet.names("alpha") == {"qwen3:8b", "llama3.2:3b"})
        assert fleet.names("beta") == {"qwen3:8b"}
        shown = run_fleet("status", environment=daemon.environment)
        assert (shown.code, shown.stderr) == (0, "")
        assert re.search(r"^beta +llama3.2:3b +suspended ", shown.stdout, re.MULTILINE)
        assert re.search(r"^1 of 2 hosts ready; 1 suspended; pass \d+ ", shown.stdout, re.MULTILINE)
        told = json.loads(run_fleet("status", "-o", "json", environment=daemon.environment).stdout)
        assert (told["type"], told["exit_code"], conditions(told)["beta"]) == ("daemon-status", 0, "suspended")
        assert run_fleet("resume", "beta", environment=daemon.environment).code == 0
        daemon.until(ready("alpha", "beta"))
        listed = run_fleet("history", "-o", "json", environment=daemon.environment)
    assert fleet.names("beta") == {"qwen3:8b", "llama3.2:3b"}
    assert json.loads(listed.stdout)["passes"][0]["triggers"] == ["request"]


@pytest.mark.fault("R1")
def test_what_a_person_has_to_mend_is_stalled_and_not_tried_all_the_time(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    manifest = run_fleet.write("m.yaml", "version: 1\nmodels: {qwen3:8b: , nobody/has-this:1b: }\n")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    with DaemonProcess(run_fleet, *files, "--interval", "50ms") as daemon:
        status = daemon.until(
            lambda status: conditions(status) == {"alpha": "stalled"} and len(status["fleet"]["passes"]) > 4
        )
        (host,) = status["hosts"]
        (stalled,) = (item for item in host["items"] if item["condition"] == "stalled")
        assert (stalled["model"], stalled["code"]) == ("nobody/has-this:1b", "FLT-207")
        assert stalled["next_try"]
        pulls = [r for r in fleet.requests() if r["kind"] == "pull" and r["model"].startswith("nobody")]
        assert len(pulls) == 1

        daemon.restart()
        daemon.until(lambda status: conditions(status) == {"alpha": "stalled"})
        pulls = [r for r in fleet.requests() if r["kind"] == "pull" and r["model"].startswith("nobody")]
        assert len(pulls) == 1, "a restart is no reason to try again"

        manifest.write_text(ONE, encoding="utf-8")
        daemon.until(ready("alpha"))


def test_the_service_manager_hears_all_of_its_life(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    watched = {"WATCHDOG_USEC": "400000"}
    with DaemonProcess(run_fleet, *files, *RARELY, environment=watched) as daemon:
        daemon.until(ready("alpha"))
        daemon.manager.until(lambda told: told.get("STATUS", "").startswith("1 of 1 hosts ready"))
        for _ in range(3):
            daemon.manager.field("WATCHDOG", "1", within=5)
        daemon.send(signal.SIGHUP)
        reloading = daemon.manager.field("RELOADING", "1")
        assert int(reloading["MONOTONIC_USEC"]) > 0
        daemon.manager.field("READY", "1")
        assert daemon.end() == 0
        daemon.manager.field("STOPPING", "1")


@pytest.mark.fault("K16")
def test_a_loop_that_is_blocked_gives_no_sign_of_life(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    told = {
        "OLLAMA_FLEET_MANIFESTS": str(run_fleet.write("m.yaml", ONE)),
        "OLLAMA_FLEET_INVENTORY": fleet.inventory(run_fleet.folder / "hosts.yaml"),
        "WATCHDOG_USEC": "400000",
    }
    with DaemonProcess(run_fleet, environment=told, driven="blocked") as daemon:
        daemon.until(ready("alpha"))
        daemon.manager.field("WATCHDOG", "1")
        daemon.send(signal.SIGUSR1)
        # Those that were sent just before come at once, and then none for as long as it is blocked.
        waited = [seconds(lambda: daemon.manager.field("WATCHDOG", "1")) for _ in range(12)]
        assert max(waited) > 2
        assert waited[-1] < 1


def seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.fault("T1")
def test_a_wall_clock_that_is_set_back_silences_nothing(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15, down: true}}")
    told = {
        "OLLAMA_FLEET_MANIFESTS": str(run_fleet.write("m.yaml", TWO)),
        "OLLAMA_FLEET_INVENTORY": fleet.inventory(run_fleet.folder / "hosts.yaml"),
        "OLLAMA_FLEET_INTERVAL": "200ms",
        "OLLAMA_FLEET_BACK_OFF": "200ms",
    }
    with DaemonProcess(run_fleet, environment=told, driven="set-back") as daemon:
        status = daemon.until(lambda status: conditions(status) == {"alpha": "ready", "beta": "unknown"})
        last = status["fleet"]["passes"][0]
        daemon.send(signal.SIGUSR1)
        status = daemon.until(lambda status: status["fleet"]["passes"][0]["number"] > last["number"] + 3)
        assert status["fleet"]["passes"][0]["begun"] < last["begun"]
        # What was to be tried again is, and by the interval alone nothing was lost.
        fleet.post("/hosts/beta/up")
        fleet.post("/hosts/alpha/remove", {"model": "qwen3:8b"})
        daemon.until(lambda _: fleet.names("alpha") == fleet.names("beta") == {"qwen3:8b", "llama3.2:3b"})


def test_one_pass_by_itself_has_the_exit_codes_of_an_apply(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15, down: true}}")
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    looked = run_fleet("daemon", "--once", "--dry-run", *files)
    assert (looked.code, fleet.changing()) == (7, 0)
    assert run_fleet("daemon", "--once", *files).code == 7
    assert fleet.names("alpha") == {"qwen3:8b"}
    manifest.write_text(BROKEN, encoding="utf-8")
    broken = run_fleet("daemon", "--once", *files)
    assert broken.code == 4
    assert "m.yaml:2:" in broken.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "nothing says where manifests come from"),
        ({"OLLAMA_FLEET_CALENDAR": "at noon", "OLLAMA_FLEET_MANIFESTS": "/m.yaml"}, "`calendar`: `at noon`"),
        ({"OLLAMA_FLEET_INTERVAL": "soon"}, "OLLAMA_FLEET_INTERVAL: interval: `soon`"),
    ],
)
def test_wrong_settings_end_it_at_once(environment: dict[str, str], said: str, run_fleet: FleetCommand) -> None:
    ended = run_fleet("daemon", environment=environment)
    assert ended.code == 4
    assert said in ended.stderr


@pytest.mark.fault("K3")
def test_of_two_daemons_of_one_fleet_the_second_says_so(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(run_fleet.write("m.yaml", ONE)))
    with DaemonProcess(run_fleet, *files, *RARELY) as daemon:
        second = run_fleet("daemon", *files, environment=daemon.environment)
        assert second.code == 5
        assert "another" in second.stderr
        # A one-shot of the same fleet gets its turn between two passes.
        daemon.until(ready("alpha"))
        assert run_fleet("apply", *files, "--yes", "--lock-timeout", "5s", environment=daemon.environment).code == 0


def test_the_end_begins_nothing_more_even_where_a_host_is_only_looked_at(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15, faults: [{fault: slow, endpoint: tags, delay: 3}]}}")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(run_fleet.write("m.yaml", ONE)))
    with DaemonProcess(run_fleet, *files, *RARELY) as daemon:
        daemon.until(lambda status: status["fleet"]["passes"][:1] != [])
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < 2
    assert fleet.changing() == 0


def test_a_changed_lock_file_counts_like_a_changed_manifest(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate(
        "registry: {models: {qwen3:8b: {size: 8KB, seed: one}}}\n"
        "hosts: {alpha: {version: 0.32.15, models: {qwen3:8b: {size: 8KB, seed: one}}}}"
    )
    manifest = run_fleet.write("m.yaml", "version: 1\nmodels: {qwen3:8b: {pull: {update: locked}}}\n")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    asking = {"OLLAMA_FLEET_ASK_REGISTRIES": "true"}
    assert run_fleet("lock", *files, environment=asking).code == 0
    with DaemonProcess(run_fleet, *files, *RARELY, environment=asking) as daemon:
        daemon.until(ready("alpha"))
        before = fleet.state("alpha")["models"]["qwen3:8b"]["digest"]
        fleet.post("/registry/add", {"model": "qwen3:8b", "size": 8192, "seed": "two"})
        assert run_fleet("lock", *files, "--upgrade", environment=asking).code == 0
        daemon.until(lambda _: fleet.state("alpha")["models"]["qwen3:8b"]["digest"] != before)


@pytest.mark.fault("D8")
def test_what_newer_manifests_protect_is_not_deleted_by_older_ones(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("registry: {bandwidth: 2MB}\nhosts: {alpha: {version: 0.32.15, models: {old:1b: {size: 4KB}}}}")
    manifest = run_fleet.write("m.yaml", "version: 1\nmodels: {qwen3:8b: , old:1b: {absent: true}}\n")
    inventory = Path(fleet.inventory(run_fleet.folder / "hosts.yaml"))
    with DaemonProcess(run_fleet, "-i", str(inventory), "-f", str(manifest), *RARELY) as daemon:
        daemon.until(lambda status: any("moving" in item for host in status["hosts"] for item in host["items"]))
        with inventory.open("a", encoding="utf-8") as file:
            file.write("\npolicy: {protect: ['old:*']}\n")
        status = daemon.until(lambda status: conditions(status) == {"alpha": "stalled"})
    assert "FLT-502" in status["hosts"][0]["refusals"][0]
    assert fleet.names("alpha") == {"old:1b", "qwen3:8b"}


@pytest.mark.invariant("E18")
def test_a_change_that_nobody_announced_is_found_at_the_next_look(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    deaf = {"OLLAMA_FLEET_WATCH": "false"}
    with DaemonProcess(run_fleet, *files, "--interval", "100ms", environment=deaf) as daemon:
        daemon.until(ready("alpha"))
        run_fleet.write("m.yaml", TWO)
        daemon.until(lambda _: fleet.names("alpha") == {"qwen3:8b", "llama3.2:3b"})


@pytest.mark.fault("K12", "K17")
def test_while_a_host_is_long_at_work_no_passes_pile_up(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15, faults: [{fault: silence, endpoint: pull}]}, beta: {}}")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(run_fleet.write("m.yaml", ONE)))
    with DaemonProcess(run_fleet, *files, "--interval", "50ms", environment={"OLLAMA_FLEET_GRACE": "0s"}) as daemon:
        status = daemon.until(lambda status: len(status["fleet"]["passes"]) > 5)
        running = [
            each["number"]
            for each in daemon.ask("GET", "/api/history?limit=100")[1]["passes"]
            if each["outcome"] == "running"
        ]
        assert running[-1] == 1
        assert len(running) <= 2
        assert status["fleet"]["source"]["state"] == "good"
        # A host that leaves the inventory while it is at work is not shown any more once it is done.
        hosts = (run_fleet.folder / "hosts.yaml").read_text(encoding="utf-8")
        (run_fleet.folder / "hosts.yaml").write_text(
            "\n".join(line for line in hosts.splitlines() if "alpha" not in line), encoding="utf-8"
        )
        fleet.post("/hosts/alpha/down")
        daemon.until(lambda status: conditions(status) == {"beta": "ready"})


@pytest.mark.long
@pytest.mark.fault("D13", "D1")
def test_a_reload_of_broken_manifests_keeps_the_last_good_ones_and_says_so(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    manifest = run_fleet.write("m.yaml", TWO)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    with DaemonProcess(run_fleet, *files, *RARELY, environment={"OLLAMA_FLEET_WATCH": "false"}) as daemon:
        good = daemon.until(ready("alpha"))["fleet"]["source"]["revision"]
        manifest.write_text(BROKEN, encoding="utf-8")
        daemon.send(signal.SIGHUP)
        daemon.manager.field("RELOADING", "1")
        daemon.manager.field("READY", "1")
        status = daemon.until(lambda status: "signal" in status["fleet"]["passes"][0]["triggers"])
        source = status["fleet"]["source"]
        assert (source["state"], source["revision"]) == ("broken", good)
        assert "m.yaml:2:" in "\n".join(source["faults"])
        metrics = daemon.ask("GET", "/metrics")[1]
        assert re.search(r"^ollama_fleet_source_broken\{[^}]*\} 1", metrics, re.MULTILINE), metrics
        # By those it still works: what somebody takes away comes back.
        fleet.post("/hosts/alpha/remove", {"model": "qwen3:8b"})
        daemon.send(signal.SIGHUP)
        daemon.until(lambda _: fleet.names("alpha") == {"qwen3:8b", "llama3.2:3b"})
        assert daemon.end() == 0
    assert run_fleet("daemon", *files, environment=NEW_STATE).code == 4, "one that never had good ones does not begin"


NEW_STATE = {"OLLAMA_FLEET_LISTEN": "none"}


@pytest.mark.long
@pytest.mark.fault("T3")
def test_a_machine_that_slept_looks_at_everything_first(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15, down: true}}")
    told = {
        "OLLAMA_FLEET_MANIFESTS": str(run_fleet.write("m.yaml", TWO)),
        "OLLAMA_FLEET_INVENTORY": fleet.inventory(run_fleet.folder / "hosts.yaml"),
        "OLLAMA_FLEET_INTERVAL": "1h",
        "OLLAMA_FLEET_BACK_OFF": "1h",
    }
    with DaemonProcess(run_fleet, environment=told, driven="asleep") as daemon:
        daemon.until(lambda status: conditions(status) == {"alpha": "ready", "beta": "unknown"})
        fleet.post("/hosts/beta/up")
        fleet.post("/hosts/alpha/remove", {"model": "qwen3:8b"})
        daemon.send(signal.SIGUSR1)
        status = daemon.until(ready("alpha", "beta"))
        assert fleet.names("alpha") == fleet.names("beta") == {"qwen3:8b", "llama3.2:3b"}
        assert status["fleet"]["passes"][0]["triggers"] == ["woke"]


@pytest.mark.long
@pytest.mark.fault("T2")
def test_a_wall_clock_that_is_set_forward_makes_one_pass_of_all_that_it_skips(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    told = {
        "OLLAMA_FLEET_MANIFESTS": str(run_fleet.write("m.yaml", ONE)),
        "OLLAMA_FLEET_INVENTORY": fleet.inventory(run_fleet.folder / "hosts.yaml"),
        "OLLAMA_FLEET_INTERVAL": "1h",
        # Twenty-four of these times are skipped, and the next one is far.
        "OLLAMA_FLEET_CALENDAR": f"{(datetime.now(UTC).minute + 30) % 60} * * * *",
        "OLLAMA_FLEET_ZONE": "UTC",
    }
    with DaemonProcess(run_fleet, environment=told, driven="set-forward") as daemon:
        daemon.until(ready("alpha"))
        daemon.send(signal.SIGUSR1)
        # The clock is looked at once a second.
        daemon.until(lambda status: status["fleet"]["passes"][0]["triggers"] == ["calendar"])
        daemon.send(signal.SIGHUP)
        status = daemon.until(lambda status: status["fleet"]["passes"][0]["triggers"] == ["signal"])
        assert [one["triggers"] for one in status["fleet"]["passes"]] == [["signal"], ["calendar"], ["start"]]
