"""`.pre-commit-hooks.yaml`: its entry run as pre-commit runs it, in a Git repository of its own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fleet_command import FleetCommand
from tests.gitops.services import GITOPS, HOOKS, loaded

(HOOK,) = loaded(HOOKS)
_KEYS = {"id", "name", "description", "entry", "language", "types", "pass_filenames", "require_serial"}


def hooked(run_fleet: FleetCommand, folder: Path, args: list[str]) -> tuple[int, str]:
    """Runs entry and arguments in the root of the repository, without names of files, as the hook asks for."""
    assert HOOK["pass_filenames"] is False
    program, *words = shlex.split(HOOK["entry"])
    assert program == "fleet"
    inside = FleetCommand(folder)
    ran = inside(*words, *args, environment=run_fleet.environment())
    return ran.code, ran.stdout + ran.stderr


@pytest.fixture
def repository(run_fleet: FleetCommand) -> Path:
    """The example as a Git repository with everything staged."""
    folder = run_fleet.folder / "repository"
    shutil.copytree(GITOPS, folder)
    for arguments in (("init", "--quiet"), ("add", ".")):
        subprocess.run(["git", *arguments], cwd=folder, env=run_fleet.environment(), check=True, timeout=60)
    return folder


def test_the_hook_is_one_that_pre_commit_takes() -> None:
    assert HOOK.keys() == _KEYS
    assert (HOOK["id"], HOOK["language"], HOOK["types"]) == ("fleet-validate", "python", ["text"])


def test_the_example_s_hooks_pass_and_fail_with_its_files(run_fleet: FleetCommand, repository: Path) -> None:
    (configured,) = loaded(GITOPS / ".pre-commit-config.yaml")["repos"]
    hooks = configured["hooks"]
    assert {hook["id"] for hook in hooks} == {HOOK["id"]}
    assert [hooked(run_fleet, repository, hook["args"])[0] for hook in hooks] == [0, 0]

    prompt = repository / "models/prompts/osaka.txt"
    prompt.unlink()
    ended = [hooked(run_fleet, repository, hook["args"]) for hook in hooks]
    assert [code for code, _ in ended] == [0, 4], "only production has a host in Osaka"
    assert "models/assistant.yaml:9:7: models.acme/assistant.create.system: for `osa-01`" in ended[1][1]
    for path in ("models/prompts/tokyo.txt", "models/everywhere.yaml", "inventories/staging.yaml"):
        assert all(re.search(hook["files"], path) for hook in hooks)
    assert not any(re.search(hook["files"], "README.md") for hook in hooks)


def test_pre_commit_itself_takes_the_files(run_fleet: FleetCommand) -> None:
    program = shutil.which("pre-commit")
    if program is None:
        pytest.skip("pre-commit is not there")
    for verb, path in (("validate-manifest", HOOKS), ("validate-config", GITOPS / ".pre-commit-config.yaml")):
        done = subprocess.run(
            [program, verb, str(path)], env=run_fleet.environment(), capture_output=True, text=True, check=False, timeout=60
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
