"""What fleet opens: nothing outside the folders that it was given, and whatever it writes is for its user alone."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet_command import FleetCommand
from tests.private_file import private
from tests.simulated import Simulated

WATCHER = """
import json, os, sys
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[1] is None and os.sep not in arguments[0]:
        return  # below a folder that is open already, and was told of then
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        line = json.dumps([os.path.abspath(os.fsdecode(arguments[0])), int(arguments[2] or 0)])
    elif event in ("os.rename", "os.mkdir", "os.remove", "os.link", "os.symlink") and isinstance(arguments[0], (str, bytes)):
        line = json.dumps([os.path.abspath(os.fsdecode(arguments[1 if event == "os.rename" else 0])), os.O_WRONLY])
    else:
        return
    os.write(descriptor, line.encode() + b"\\n")
descriptor = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(watch)
"""
"""Writes down each path that Python opens, makes, moves to or removes, and how."""
_SYSTEM = ("/etc", "/usr", "/proc/self", "/proc/sys", "/dev/null", "/dev/urandom", "/lib", "/sys", "/run/systemd")


def opened(run_fleet: FleetCommand, *arguments: str) -> tuple[int, list[tuple[Path, int]]]:
    """Runs the command under a mask of nothing; what it opened outside the system's and Python's own files."""
    hook = run_fleet.folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(WATCHER)
    log = run_fleet.folder / "hook/log"
    log.unlink(missing_ok=True)
    environment = {
        "PYTHONPATH": str(hook),
        "WATCHED": str(log),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OLLAMA_FLEET_RETRY_WAIT": "1ms",
    }
    before = os.umask(0)
    try:
        with run_fleet.installed().start(*arguments, environment=environment) as process:
            _, stderr = process.communicate(timeout=60)
    finally:
        os.umask(before)
    assert process.returncode in {0, 2, 3}, stderr
    own = (*_SYSTEM, sys.prefix, sys.base_prefix, str(Path(__file__).parents[2] / "fleet"), str(hook))
    found = [(Path(path), flags) for path, flags in map(json.loads, log.read_text().splitlines())]
    return process.returncode, [(path, flags) for path, flags in found if not str(path).startswith(own)]


@pytest.mark.long
@pytest.mark.invariant("E16")
def test_only_its_own_folders_are_read_and_written_and_all_of_it_is_private(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.32.15}}")
    given = run_fleet.folder / "given"
    given.mkdir()
    private(given / "token", "a-token-of-its-own")
    (given / "hosts.yaml").write_text(
        f"version: 1\nhosts: {{alpha: {{url: '{fleet.urls['alpha']}', auth: {{bearer_file: token}}}}}}\n"
    )
    (given / "models.yaml").write_text(
        "version: 1\nmodels: {qwen3:8b: , made: {create: {from: 'qwen3:8b', system: {file: system.txt}}}}\n"
    )
    (given / "system.txt").write_text("Answer briefly.")
    state = run_fleet.folder / "state"
    files = ("-i", "given/hosts.yaml", "-f", "given/models.yaml")
    plan = run_fleet.folder / "out/a.plan"
    plan.parent.mkdir()
    snapshot = run_fleet.folder / "out/a.snapshot"
    for arguments in (
        ("plan", *files, "--save", str(plan)),
        ("apply", *files, "--yes"),
        ("status", *files),
        ("history", "-i", "given/hosts.yaml"),
        ("snapshot", *files, "--out", str(snapshot)),
        ("daemon", "--once", *files),
    ):
        _, seen = opened(run_fleet, *arguments)
        assert seen
        for path, flags in seen:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            allowed = [state, plan.parent] if writes else [state, plan.parent, given, run_fleet.folder / "config"]
            assert any(path == one or path.is_relative_to(one) for one in allowed), f"{arguments[0]}: {path}"
    for path in (state, *state.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path}: {mode:04o}"
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600


@pytest.mark.invariant("E16")
@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_stays(
    link: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    inventory = simulate("hosts: {alpha: {version: 0.32.15}}").inventory(run_fleet.folder / "hosts.yaml")
    victim = run_fleet.write("victim", "mine")
    plan = run_fleet.folder / "a.plan"
    plan.symlink_to(victim) if link == "symbolic" else plan.hardlink_to(victim)
    ran = run_fleet("plan", "-i", inventory, "--save", "a.plan", manifest="version: 1\nmodels: {qwen3:8b: }\n")
    assert ran.code == 0, ran.stderr
    assert victim.read_text() == "mine"
    assert not plan.is_symlink()
    assert plan.read_text() != "mine"


@pytest.mark.invariant("E16")
@pytest.mark.parametrize("where", ["../secret.txt", "/etc/hostname", "inside/link.txt"])
def test_no_manifest_has_a_file_outside_its_folder_read(where: str, run_fleet: FleetCommand) -> None:
    private(run_fleet.folder / "secret.txt", "of somebody else")
    inside = run_fleet.folder / "manifests/inside"
    inside.mkdir(parents=True)
    (inside / "link.txt").symlink_to(run_fleet.folder / "secret.txt")
    manifest = f"version: 1\nmodels: {{a: {{create: {{from: q, system: {{file: '{where}'}}}}}}}}\n"
    run_fleet.write("manifests/a.yaml", manifest)
    ran = run_fleet("validate", "-f", "manifests")
    assert ran.code == 4
    assert "of somebody else" not in ran.stdout + ran.stderr
