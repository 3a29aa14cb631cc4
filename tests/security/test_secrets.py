"""No secret comes out: not by what fleet says, not by what it keeps, not by what it sends to others."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon_process import DaemonProcess
from tests.fleet_command import FleetCommand
from tests.security.hostile import SIGNED
from tests.security.leaks import Secrets
from tests.security.secret_world import SECRETS, World, world
from tests.simulated import Simulated

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificate")
Simulate = Callable[[str], Simulated]
GOOD = "hosts: {good: {version: 0.32.15}}"
INVENTORY = ("-i", "hosts.yaml")


def test_the_search_finds_every_form() -> None:
    """What finds nothing proves something only if it would find it."""
    secrets = Secrets({"a": "mT4xQ9zLr7VbN2cYw8Kd"})
    for told in (b"xx4xQ9zLyy", b"bVQ0eFE5ekxyN1ZiTjJjWXc4S2Q=", b"Om1UNHhROXpMcjdWYk4yY1l3OEtk", b"Vw=%3Ar7VbN2"):
        assert secrets.found(told) == {"a"}, told
    assert not secrets.found(b"mT4xQ nothing 9zLr7")


@pytest.mark.invariant("E14")
def test_a_plan_and_an_apply_tell_nothing(run_fleet: FleetCommand, simulate: Simulate) -> None:
    """The short form of what follows."""
    with world(run_fleet, simulate(GOOD).urls["good"]) as seen:
        assert seen.run("apply", "--yes", "-v", "-o", "json", *INVENTORY).code == 3
        assert_all_were_used(seen)
        assert seen.leaks() == []


def assert_all_were_used(seen: World) -> None:
    """Hosts had what they are to have, told it back, and nobody else heard anything."""
    for name in ("bearer_file", "bearer_env", "header", "command"):
        sent = [value for heard in seen.origins[name].heard for _, value in heard.headers]
        assert any(SECRETS[name] in value for value in sent), name
    assert any(value.startswith("Basic ") for heard in seen.origins["basic"].heard for _, value in heard.headers)
    assert seen.origins["elsewhere"].heard == seen.origins["proxy"].heard == []
    told = b"\n".join(told for _, told in seen.told)
    assert b"[hidden]" in told
    assert SIGNED.encode() not in told


@pytest.mark.long
@pytest.mark.invariant("E14")
def test_no_command_tells_anything_in_any_form(run_fleet: FleetCommand, simulate: Simulate) -> None:
    with world(run_fleet, simulate(GOOD).urls["good"]) as seen:
        metrics = str(run_fleet.folder / "m.prom")
        for form in ("text", "json", "jsonl", "markdown"):
            seen.run("plan", "-v", "-o", form, "--show-content", *INVENTORY)
            seen.run("apply", "--yes", "-v", "-o", form, "--show-content", *INVENTORY, "--metrics-file", metrics)
        seen.run("plan", "--save", "a.plan", *INVENTORY)
        for form in ("text", "json"):
            for arguments in (
                ("show", "a.plan"),
                ("status", "-v", *INVENTORY),
                ("doctor", "-v", *INVENTORY),
                ("history", "-v", *INVENTORY),
                ("snapshot", "--out", "fleet.snapshot", "--show-content", *INVENTORY),
                ("why", "-v", "--show-content", *INVENTORY, "command", "qwen3:8b"),
                ("validate", *INVENTORY, "-f", "ollama-fleet.yaml"),
                ("outdated", *INVENTORY),
                ("settings",),
            ):
                seen.run(*arguments, "-o", form)
        seen.run("apply", "--yes", "a.plan")
        seen.run("daemon", "--once", "-v", *INVENTORY, "-f", "ollama-fleet.yaml")
        asked = ("bearer_file", "basic", "command")
        seen.run("import", *(f"{n}={seen.origins[name].url}" for n, name in enumerate(asked)), "--out", "found")
        assert_all_were_used(seen)
        assert seen.leaks() == []
        assert (run_fleet.folder / "fleet.snapshot").is_file()
        assert Path(metrics).is_file()
        assert not list((run_fleet.folder / "tmp").iterdir())


@pytest.mark.invariant("E14")
@pytest.mark.parametrize(
    "inventory",
    [
        "hosts: {a: 'http://me:@SECRET@127.0.0.1:9'}",
        "hosts: {a: {url: 'https://@SECRET@gpu.lan/x'}}",
        "hosts: {a: http://127.0.0.1:9}\nregistries: {reg.lan: {url: 'https://me:@SECRET@127.0.0.1:9'}}",
        "hosts: {a: http://127.0.0.1:9}\nregistries: {'me:@SECRET@reg.lan': {insecure: true}}",
    ],
)
def test_credentials_in_addresses_are_refused_and_not_repeated(inventory: str, run_fleet: FleetCommand) -> None:
    secret = SECRETS["userinfo"]
    run_fleet.write("hosts.yaml", f"version: 1\n{inventory.replace('@SECRET@', secret + '@')}\n")
    for form in ("text", "json"):
        ran = run_fleet("plan", *INVENTORY, "-o", form, manifest="version: 1\nmodels: {a: }\n")
        assert ran.code == 4
        assert not Secrets({"a": secret}).found(f"{ran.stdout}{ran.stderr}".encode())


@pytest.mark.invariant("E14")
@pytest.mark.parametrize("variable", ["OLLAMA_HOST", "OLLAMA_FLEET_GIT_URL"])
def test_nor_where_the_environment_has_them(variable: str, run_fleet: FleetCommand) -> None:
    secret = SECRETS["userinfo"]
    verb = ("daemon", "--once") if "GIT" in variable else ("plan",)
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {a: }\n")
    ran = run_fleet(*verb, environment={variable: f"https://me:{secret}@127.0.0.1:9"})
    assert ran.code == 4
    assert not Secrets({"a": secret}).found(f"{ran.stdout}{ran.stderr}".encode())


@pytest.mark.long
@pytest.mark.invariant("E14")
def test_a_daemon_tells_nothing_by_log_page_metrics_or_argv(run_fleet: FleetCommand, simulate: Simulate) -> None:
    with world(run_fleet, simulate(GOOD).urls["good"]) as seen:
        arguments = ("-i", str(run_fleet.folder / "hosts.yaml"), "-f", str(run_fleet.folder / "ollama-fleet.yaml"))
        environment = {**seen.environment, "OLLAMA_FLEET_BACK_OFF": "50ms"}
        with DaemonProcess(
            run_fleet.installed(), *arguments, "-v", "--interval", "200ms", environment=environment, listen=True
        ) as daemon:
            daemon.until(lambda status: status["fleet"]["passes"] and len(seen.origins["command"].heard) > 8)
            assert daemon._process is not None
            for path in (
                "/",
                "/models",
                "/metrics",
                "/api/status",
                "/api/history",
                "/hosts/command",
                "/hosts/basic",
                "/readyz",
            ):
                seen.told.append((path, asked(f"{daemon.url}{path}")))
            seen.told.append(("wrong token", asked(f"{daemon.url}/api/reconcile", b"{}", "Bearer x")))
            seen.told.append(("status", str(daemon.status()).encode()))
            seen.told.append(("argv", Path(f"/proc/{daemon._process.pid}/cmdline").read_bytes()))
            files = [path for path in daemon.state.rglob("*") if path.is_file()]
            assert files
            seen.told += [(path.name, path.read_bytes()) for path in files]
        seen.told.append(("log", daemon.stderr.encode()))
        assert_all_were_used(seen)
        assert seen.leaks() == []


def asked(url: str, body: bytes | None = None, token: str = "") -> bytes:
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=10) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return bytes(error.read())


@pytest.mark.invariant("E14")
def test_credentials_of_a_repository_leave_nothing_behind(run_fleet: FleetCommand, simulate: Simulate) -> None:
    with world(run_fleet, simulate(GOOD).urls["good"]) as seen:
        # It speaks no TLS: what matters is what `git` was given to reach it.
        url = seen.origins["tls"].url.replace("http:", "https:")
        programs = run_fleet.folder / "bin"
        programs.mkdir()
        record = f'for word; do echo "$word"; done >> "{programs}/argv"; env >> "{programs}/env"; exec {shutil.which("git")} "$@"'
        (programs / "git").write_text(f"#!/bin/sh\n{record}\n")
        (programs / "git").chmod(0o755)
        git = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "OLLAMA_FLEET_GIT_URL": f"{url}/fleet.git",
            "OLLAMA_FLEET_GIT_CREDENTIALS_FILE": str(run_fleet.folder / "git.secret"),
        }
        ran = seen.run("daemon", "--once", "-v", *INVENTORY, more=git)
        assert ran.code != 0
        assert (programs / "argv").read_text()
        assert seen.leaks() == []
