"""The GitLab template: its jobs run as a runner runs them, their comments sent to a server that keeps notes as GitLab does."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fleet_command import FleetCommand
from tests.gitops.services import GITOPS, PIPELINE, TEMPLATE, loaded, shell
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

BASE = loaded(TEMPLATE)[".fleet"]
SCRIPT = "\n".join(BASE["before_script"] + BASE["script"])
TOKEN = "glpat-example"
MINE, ANOTHER = 5, 6


class Notes:
    """The notes of one merge request, and who may write them."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.refused = 0

    def answer(self, method: str, path: str, token: str | None, body: dict[str, Any]) -> tuple[int, Any]:
        if token != TOKEN:
            self.refused += 1
            return 401, {"message": "401 Unauthorized"}
        if path == "/api/v4/user":
            return 200, {"id": MINE}
        notes = "/api/v4/projects/12/merge_requests/7/notes"
        if method == "GET" and (page := re.fullmatch(rf"{notes}\?per_page=100&page=(\d+)", path)):
            first = 100 * (int(page[1]) - 1)
            return 200, self.kept[first : first + 100]
        if method == "POST" and path == notes:
            self.add(MINE, body["body"])
            return 201, self.kept[-1]
        if method == "PUT" and (number := re.fullmatch(rf"{notes}/(\d+)", path)):
            self.kept[int(number[1]) - 1]["body"] = body["body"]
            return 200, {}
        return 404, {"message": "404 Not Found"}

    def add(self, author: int, body: str) -> None:
        self.kept.append({"id": len(self.kept) + 1, "author": {"id": author}, "body": body})


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def url(notes: Notes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, told = notes.answer(
                self.command, self.path, self.headers.get("PRIVATE-TOKEN"), json.loads(sent or b"{}")
            )
            raw = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v4"
        server.shutdown()
        thread.join()


def job(command: str, **more: str) -> dict[str, str]:
    """The variables of a job in a merge request: the service's own, the template's, then the job's."""
    template = loaded(TEMPLATE)
    variables = {
        "CI_BUILDS_DIR": "/builds",
        "CI_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_JOB_NAME": f"fleet {command}",
        **template[".fleet"]["variables"],
        **template[f".fleet-{command}"]["variables"],
        **more,
    }
    return {name: value.replace("$CI_JOB_NAME", variables["CI_JOB_NAME"]) for name, value in variables.items()}


@pytest.mark.parametrize("command", ["validate", "plan", "rehearse"])
def test_each_kind_of_job_extends_the_one(command: str) -> None:
    kind = loaded(TEMPLATE)[f".fleet-{command}"]
    assert (kind["extends"], kind["variables"]) == (".fleet", {"FLEET_COMMAND": command})
    assert all(each.startswith("set -euo pipefail\n") for each in BASE["before_script"] + BASE["script"])


def test_every_variable_of_the_template_is_used() -> None:
    text = "\n".join(BASE["before_script"] + BASE["script"])
    assert all(re.search(rf'\$\{{?{name}\b|"{name}"', text) for name in BASE["variables"])
    told = set(re.findall(r"^#   (FLEET_[A-Z_]+)", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {*BASE["variables"], "FLEET_COMMENT_TOKEN"}


def test_the_pipeline_uses_what_there_is() -> None:
    pipeline, template = loaded(PIPELINE), loaded(TEMPLATE)
    assert pipeline["include"] == [{"local": "gitlab/fleet.gitlab-ci.yml"}]
    jobs = {name: each for name, each in pipeline.items() if isinstance(each, dict) and "stage" in each}
    assert {each["extends"] for each in jobs.values()} == {
        ".fleet",
        ".fleet-validate",
        ".fleet-rehearse",
        ".fleet-plan",
    }
    for each in jobs.values():
        assert each["extends"] in template
        assert each["stage"] in pipeline["stages"]
        for name, value in each.get("variables", {}).items():
            assert name in {*BASE["variables"], "OLLAMA_FLEET_CREDENTIALS_DIR"}
            for environment in ("staging", "production"):
                path = value.replace("$ENVIRONMENT", environment)
                assert name not in {"FLEET_MANIFESTS", "FLEET_INVENTORY", "FLEET_SNAPSHOT"} or (GITOPS / path).exists()
    assert jobs["plan"]["before_script"][0] == (".fleet", "before_script")


def test_a_plan_becomes_a_comment_that_is_replaced(
    run_fleet: FleetCommand, simulate: Simulate, notes: Notes, url: str
) -> None:
    fleet = simulate("hosts: {alpha: {}}")
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("models/a.yaml", "version: 1\nmodels: {qwen3:8b: }\n")
    notes.add(ANOTHER, "<!-- fleet: plan of staging -->\nnot the bot's")
    for number in range(120):
        notes.add(ANOTHER, f"talk {number}")
    variables = job(
        "plan", FLEET_MANIFESTS="models", FLEET_INVENTORY="hosts.yaml", FLEET_TOPIC="plan of staging",
        FLEET_ARGS="--host\nal*", FLEET_COMMENT_TOKEN=TOKEN, CI_API_V4_URL=url,
    )  # fmt: skip
    first = shell(SCRIPT, run_fleet, variables)
    assert first.returncode == 0, first.stdout + first.stderr
    told = (run_fleet.folder / "fleet.md").read_text(encoding="utf-8")
    assert "### fleet: Plan: 1 to pull on 1 host" in told
    assert told in first.stdout, "who has no comment has the log"
    assert (len(notes.kept), notes.kept[-1]["body"]) == (122, f"<!-- fleet: plan of staging -->\n{told}")

    run_fleet.write("models/a.yaml", "version: 1\nmodels: {qwen3:8b: {warn: true}}\n")
    second = shell(SCRIPT, run_fleet, variables)
    assert second.returncode == 4
    assert len(notes.kept) == 122, "an error takes the place of the plan"
    assert "`models/a.yaml:2:21: models.qwen3:8b.warn: unknown key`" in notes.kept[-1]["body"]
    assert notes.kept[0]["body"].endswith("not the bot's")
    assert fleet.changing() == 0


def test_without_a_token_or_a_merge_request_there_is_no_comment(
    run_fleet: FleetCommand, notes: Notes, url: str
) -> None:
    run_fleet.write("m.yaml", "version: 1\nmodels: {qwen3:8b: }\n")
    sound = job("validate", FLEET_MANIFESTS="m.yaml", CI_API_V4_URL=url)
    assert shell(SCRIPT, run_fleet, sound).returncode == 0
    assert shell(SCRIPT, run_fleet, {**sound, "FLEET_COMMENT_TOKEN": TOKEN, "CI_MERGE_REQUEST_IID": ""}).returncode == 0
    assert (notes.kept, notes.refused) == ([], 0)
    wrong = shell(SCRIPT, run_fleet, {**sound, "FLEET_COMMENT_TOKEN": "glpat-old"})
    assert wrong.returncode != 0, "a comment that could not be made is not passed over"
    assert "401" in wrong.stderr
    assert "glpat-old" not in wrong.stdout + wrong.stderr


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"FLEET_COMMAND": "apply"}, 64),
        ({"FLEET_MANIFESTS": "$(touch pwned)\n'; touch pwned #"}, 4),
        ({"FLEET_ARGS": "--nonsense"}, 64),
        ({"FLEET_TOPIC": "-->\n$(touch pwned)"}, 4),
    ],
)
def test_variables_are_never_commands(
    run_fleet: FleetCommand, notes: Notes, url: str, variables: dict[str, str], code: int
) -> None:
    settings = job("validate", FLEET_MANIFESTS="none.yaml", FLEET_COMMENT_TOKEN=TOKEN, CI_API_V4_URL=url)
    ran = shell(SCRIPT, run_fleet, {**settings, **variables})
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert not (run_fleet.folder / "pwned").exists()
    assert all(note["body"].splitlines()[0].count("-->") == 1 for note in notes.kept)


def test_a_rehearsal_in_the_example(run_fleet: FleetCommand) -> None:
    variables = loaded(PIPELINE)["rehearse"]["variables"]
    here = {name: str(GITOPS / path) for name, path in variables.items()}
    ran = shell(SCRIPT, run_fleet, job("rehearse", **here, FLEET_ARGS="--offline"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "converges: nothing is left to do" in ran.stdout


def test_the_lock_file_is_checked(run_fleet: FleetCommand) -> None:
    (script,) = loaded(PIPELINE)["lock"]["script"]
    ran = shell(f"cd {GITOPS} && {script}", run_fleet, {})
    assert ran.returncode == 0, ran.stdout + ran.stderr
