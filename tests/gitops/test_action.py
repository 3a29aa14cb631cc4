"""`action.yml` and the example's workflow: read as GitHub reads them, their shell steps run as its runners run them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet_command import FleetCommand
from tests.gitops.services import ACTION, GITOPS, ROOT, WORKFLOW, Runner, Step, loaded, program
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

_INPUT = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")


@pytest.fixture
def runner(run_fleet: FleetCommand) -> Runner:
    return Runner(run_fleet)


def step(name: str) -> dict[str, Any]:
    (found,) = [each for each in loaded(ACTION)["runs"]["steps"] if each["name"] == name]
    result: dict[str, Any] = found
    return result


def run_action(runner: Runner, **inputs: str) -> Step:
    """The step that runs fleet, with inputs as a workflow gives them and defaults for the rest."""
    declared = {name: each.get("default", "") for name, each in loaded(ACTION)["inputs"].items()}
    values = declared | inputs
    running = step("Run fleet")
    environment = {
        variable: _INPUT.sub(lambda match: values[match[1]], text) for variable, text in running["env"].items()
    }
    return runner(running["run"], environment)


def scripts() -> list[tuple[str, str]]:
    """Every shell script of the action and of the workflow, by what it is called."""
    found = [(each["name"], each["run"]) for each in loaded(ACTION)["runs"]["steps"]]
    for name, job in loaded(WORKFLOW)["jobs"].items():
        found += [(f"{name}: {each['name']}", each["run"]) for each in job["steps"] if "run" in each]
    return found


@pytest.mark.parametrize(("name", "script"), scripts(), ids=[name for name, _ in scripts()])
def test_nothing_is_put_into_a_script(name: str, script: str) -> None:
    assert "${{" not in script, name
    if script.count("\n") > 1:
        assert script.startswith("set -euo pipefail\n"), name


def test_every_input_is_used_and_every_output_is_made() -> None:
    action = loaded(ACTION)
    used = set(_INPUT.findall(ACTION.read_text(encoding="utf-8")))
    assert used == set(action["inputs"])
    steps = action["runs"]["steps"]
    assert all(each["shell"] == "bash" for each in steps)
    assert set(step("Run fleet")["env"]) <= set(re.findall(r"\$(INPUT_[A-Z]+)", step("Run fleet")["run"]))
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.fleet.outputs.{name} }}}}"


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    inputs = loaded(ACTION)["inputs"]
    uses = [each for job in loaded(WORKFLOW)["jobs"].values() for each in job["steps"] if "uses" in each]
    given = [each["with"] for each in uses if each["uses"].startswith("example/ollama-fleet@")]
    assert {each["command"] for each in given} == {"validate", "plan", "rehearse"}
    assert all(each.keys() <= inputs.keys() for each in given)
    for each in given:
        for path in (each.get("snapshot"), each["manifests"]):
            assert path is None or (GITOPS / path).exists()
    others = [each["uses"] for each in uses if not each["uses"].startswith("example/")]
    assert all(re.fullmatch(r"[a-z/-]+@[0-9a-f]{40}", name) for name in others), "named by commit"


def test_a_sound_repository(runner: Runner) -> None:
    inventories = "\n".join(str(GITOPS / f"inventories/{name}.yaml") for name in ("production",))
    ran = run_action(runner, command="validate", manifests=str(GITOPS / "models"), inventory=f"{inventories}\n")
    assert (ran.code, ran.outputs["exit-code"]) == (0, "0"), ran.log
    assert ran.outputs["markdown"] == (
        "<!-- ollama-fleet: validation of acme-production -->\n"
        "### fleet `acme-production`: no fault; 5 hosts, 4 models, 1 to be gone\n"
    )
    assert ran.summary == ran.outputs["markdown"] == Path(ran.outputs["markdown-file"]).read_text(encoding="utf-8")


def test_a_broken_manifest_fails_the_step_and_is_told(runner: Runner) -> None:
    (runner.folder / "m.yaml").write_text("version: 1\nmodels: {a: {warn: true}}\n")
    ran = run_action(runner, command="validate", manifests="m.yaml")
    assert (ran.code, ran.outputs["exit-code"]) == (4, "4")
    assert "- `m.yaml:2:14: models.a.warn: unknown key`\n" in ran.outputs["markdown"]


def test_a_plan_with_steps_is_no_failure(runner: Runner, run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {}, beta: {}}")
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    (runner.folder / "with space").mkdir()
    (runner.folder / "with space/a.yaml").write_text("version: 1\nmodels: {qwen3:8b: }\n")
    (runner.folder / "b.yaml").write_text("version: 1\nmodels: {phi4:14b: }\n")
    ran = run_action(
        runner, command="plan", manifests="with space\nb.yaml\n", inventory="hosts.yaml", args="--host\nbet*\n"
    )
    assert (ran.code, ran.outputs["exit-code"]) == (0, "2"), ran.log
    assert "### fleet: Plan: 2 to pull on 1 host; 2 downloads of unknown size\n" in ran.outputs["markdown"]
    assert fleet.changing() == 0


def test_a_rehearsal_needs_no_host(runner: Runner) -> None:
    ran = run_action(
        runner,
        command="rehearse",
        snapshot=str(GITOPS / "snapshots/production.json"),
        manifests=str(GITOPS / "models"),
        inventory=str(GITOPS / "inventories/production.yaml"),
        args="--offline",
    )
    assert (ran.code, ran.outputs["exit-code"]) == (0, "2"), ran.log
    assert "converges: nothing is left to do" in ran.outputs["markdown"]


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"command": "apply"}, 64),
        ({"command": "validate; touch pwned"}, 64),
        ({"command": "rehearse"}, 64),
        ({"command": "validate", "manifests": "$(touch pwned)\n`touch pwned`\n'; touch pwned"}, 4),
        ({"command": "validate", "manifests": "m.yaml\nexit-code=0\nmarkdown<<end\nfine\nend"}, 4),
        ({"command": "validate", "args": "--nonsense\n::set-output name=exit-code::0"}, 64),
    ],
)
def test_inputs_are_never_commands(runner: Runner, inputs: dict[str, str], code: int) -> None:
    ran = run_action(runner, **inputs)
    assert ran.code == code, ran.log
    assert not (runner.folder / "pwned").exists()
    assert ran.outputs.get("exit-code", str(code)) == str(code)
    assert ran.outputs.keys() <= {"exit-code", "markdown", "markdown-file"}


def test_what_fleet_could_not_tell_is_told(runner: Runner) -> None:
    ran = run_action(runner, command="validate", args="--nonsense")
    assert ran.outputs["markdown"] == "### fleet ended with exit code 64: the log of this step tells why\n"
    assert "error: unknown option `--nonsense`" in ran.log


PYTHON = f"""#!/bin/sh
case "$*" in
  "-c "*) exec {sys.executable} "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; printf '#!/bin/sh\\n' > "$3/bin/fleet"; chmod +x "$3/bin/fleet" ;;
esac
echo "$*" >> "$LOG"
"""


def test_fleet_is_installed_from_the_action_s_own_checkout_once(runner: Runner) -> None:
    programs = runner.folder / "programs"
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        program(programs, name, PYTHON)
    log = runner.folder / "log"
    log.touch()
    environment = {"GITHUB_ACTION_PATH": str(ROOT), "LOG": str(log)}
    install = step("Install ollama-fleet")["run"]
    assert runner(install, environment, programs=programs).code == 0
    ran = runner(install, environment, programs=programs)
    assert ran.code == 0, ran.log
    folder = Path(ran.path.strip())
    assert [path.name for path in folder.iterdir()] == ["fleet"], "the python of later steps stays what it was"
    made, installed = log.read_text().splitlines()
    assert made == f"-m venv {folder.parent / 'venv'}"
    assert installed == (
        f"-m pip install --quiet --disable-pip-version-check --constraint {folder.parent / 'versions.txt'} {ROOT}"
    )
    versions = (folder.parent / "versions.txt").read_text().splitlines()
    assert any(re.fullmatch(r"httpx2==[0-9.]+", line) for line in versions)
    assert all(re.match(r"[a-z0-9._-]+==[^ \\]+( ; .*[^\\])?$", line) for line in versions), (
        "no hashes: a folder has none"
    )


def test_a_runner_without_python_is_told_so(runner: Runner) -> None:
    programs = runner.folder / "programs"
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        program(programs, name, "#!/bin/sh\nexit 1\n")
    ran = runner(step("Install ollama-fleet")["run"], {"GITHUB_ACTION_PATH": str(ROOT)}, programs=programs)
    assert ran.code == 1
    assert "::error::ollama-fleet needs Python 3.11 or later" in ran.log


GH = """#!/usr/bin/env python3
import json, os, sys
comments = json.load(open("comments.json"))
arguments = sys.argv[1:]
body = next((a.removeprefix("body=@") for a in arguments if a.startswith("body=@")), None)
if body is None:
    wanted = [c for c in comments if c["login"] == "github-actions[bot]" and c["body"].startswith(os.environ["FIRST"])]
    assert 'env.FIRST' in arguments[-1] and "github-actions[bot]" in arguments[-1]
    print("\\n".join(str(c["id"]) for c in wanted))
else:
    text = open(body).read()
    method, path = arguments[arguments.index("--method") + 1 :][:2]
    if method == "POST":
        assert path == "repos/acme/fleet-config/issues/7/comments", path
        comments.append({"id": len(comments) + 1, "login": "github-actions[bot]", "body": text})
    else:
        number = int(path.removeprefix("repos/acme/fleet-config/issues/comments/"))
        comments[number - 1]["body"] = text
    json.dump(comments, open("comments.json", "w"))
"""


def test_a_comment_replaces_its_former_one_and_no_other(runner: Runner) -> None:
    programs = program(runner.folder / "programs", "gh", GH)
    planted = {"id": 1, "login": "somebody", "body": "<!-- fleet: plan of staging -->\nmine"}
    comments = runner.folder / "comments.json"
    comments.write_text(json.dumps([planted]))
    (commenting,) = [
        each["run"] for each in loaded(WORKFLOW)["jobs"]["plan"]["steps"] if each.get("name", "").startswith("Comment")
    ]
    for environment, text in (("staging", "one"), ("production", "two"), ("staging", "three $(touch pwned)")):
        (runner.folder / "found.md").write_text(f"{text}\n")
        variables = {
            "ENVIRONMENT": environment,
            "MARKDOWN_FILE": "found.md",
            "NUMBER": "7",
            "GITHUB_REPOSITORY": "acme/fleet-config",
            "GH_TOKEN": "t",
        }
        ran = runner(commenting, variables, programs=programs)
        assert ran.code == 0, ran.log
    assert [comment["body"] for comment in json.loads(comments.read_text())] == [
        planted["body"],
        "<!-- fleet: plan of staging -->\nthree $(touch pwned)\n",
        "<!-- fleet: plan of production -->\ntwo\n",
    ]
    assert not (runner.folder / "pwned").exists()


def test_tokens_become_files_that_are_private(runner: Runner) -> None:
    steps = {each["name"]: each["run"] for each in loaded(WORKFLOW)["jobs"]["plan"]["steps"] if "run" in each}
    variables = {"STAGING_TOKEN": "one", "PRODUCTION_TOKEN": "two words", "GITHUB_ENV": "env"}
    assert runner(steps["Put the tokens where fleet finds them"], variables).code == 0
    folder = runner.temporary / "credentials"
    assert (runner.folder / "env").read_text() == f"OLLAMA_FLEET_CREDENTIALS_DIR={folder}\n"
    assert (folder / "production.token").read_text() == "two words"
    assert [path.stat().st_mode & 0o777 for path in (folder, *sorted(folder.iterdir()))] == [0o700, 0o600, 0o600]
    assert runner(steps["Take the tokens away"], {}).code == 0
    assert not folder.exists()


def test_the_manual_names_every_input_and_output() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/gitops.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [*loaded(ACTION)["inputs"], *loaded(ACTION)["outputs"]]
