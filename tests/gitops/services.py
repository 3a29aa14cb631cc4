"""What GitHub and GitLab do with the files that they are given, as far as a test can: shells, variables, outputs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fleet_command import COMMAND, FleetCommand

ROOT = Path(__file__).parents[2]
GITOPS = ROOT / "examples/gitops"
ACTION = ROOT / "action.yml"
WORKFLOW = GITOPS / ".github/workflows/fleet.yaml"
TEMPLATE = GITOPS / "gitlab/fleet.gitlab-ci.yml"
PIPELINE = GITOPS / ".gitlab-ci.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with the one tag that GitLab adds."""


_Loader.add_constructor("!reference", lambda loader, node: tuple(loader.construct_sequence(node)))  # type: ignore[arg-type]


def loaded(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a safe one, and our own file


@dataclass(frozen=True, slots=True)
class Step:
    """How a step ended, and what it left for the service."""

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str
    path: str


class Runner:
    """Runs the shell steps of GitHub in a folder of their own, as its runners do."""

    def __init__(self, command: FleetCommand) -> None:
        self.folder = command.folder
        self.temporary = command.folder / "runner-temp"
        self.temporary.mkdir()
        self._environment = command.environment()

    def __call__(self, script: str, environment: Mapping[str, str], *, programs: Path | None = None) -> Step:
        """`programs` is a folder whose programs are found first."""
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
        for file in files.values():
            file.write_text("")
        found = [str(programs)] if programs is not None else []
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                **self._environment,
                "PATH": os.pathsep.join([*found, str(COMMAND.parent), os.environ["PATH"]]),
                "RUNNER_TEMP": str(self.temporary),
                **{name: str(file) for name, file in files.items()},
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        output, summary, path = (file.read_text(encoding="utf-8") for file in files.values())
        return Step(done.returncode, done.stdout + done.stderr, outputs(output), summary, path)


def outputs(written: str) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT: `name=value`, or `name<<END`, lines, `END`."""
    found: dict[str, str] = {}
    lines = iter(written.splitlines())
    for line in lines:
        name, heredoc, end = line.partition("<<")
        if heredoc and "=" not in name:
            found[name] = "".join(f"{each}\n" for each in iter(lambda: next(lines), end))
        else:
            name, _, found[name] = line.partition("=")
    return found


def shell(script: str, command: FleetCommand, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the joined script lines of a GitLab job in one shell."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=command.folder,
        env={
            **command.environment(),
            "PATH": os.pathsep.join([str(COMMAND.parent), os.environ["PATH"]]),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def program(folder: Path, name: str, text: str) -> Path:
    """A program of this text in a folder that is told."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return folder
