"""Pages of `docs/` that are made from tables, and the verbs that show the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.render.codes import codes_page
from fleet.render.settings import settings_page
from fleet.settings import defaults
from tests.fleet_command import FleetCommand

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "made"), [("errors.md", codes_page), ("settings.md", settings_page)])
def test_pages_are_as_made(page: str, made: Callable[[], str], same_as_file: Callable[[Path, str], None]) -> None:
    same_as_file(DOCS / page, made())


def test_codes_are_unique_and_sorted() -> None:
    numbers = [code.value.number for code in Code]
    assert numbers == sorted(set(numbers))
    assert {code.retry for code in Code} == {"later", "never", "observe"}


def test_every_code_can_come() -> None:
    sources = [path for path in (DOCS.parent / "fleet").rglob("*.py") if path.name != "codes.py"]
    named = {name for path in sources for name in re.findall(r"\bCode\.([A-Z_]+)\b", path.read_text(encoding="utf-8"))}
    assert [code.name for code in Code if code.name not in named] == []


@pytest.mark.parametrize("text", ["FLT-204", "204", "flt-204"])
def test_explain_takes_a_code_in_any_form(run_fleet: FleetCommand, text: str) -> None:
    ran = run_fleet("explain", text)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        "FLT-204: the download moved fewer bytes than the floor\n\n"
        "cause: The server keeps saying the same number: its connection to the registry hangs.\n"
        "cure: The next run goes on where it stopped. `stall_window` and `stall_floor` are settings.\n"
        "trying again: only a new look at the host tells; the next run takes it\n"
    )


def test_explain_lists_all_codes(run_fleet: FleetCommand) -> None:
    ran = run_fleet("explain")
    assert all(f"{code.id}  {code.title}\n" in ran.stdout for code in Code)


def test_explain_for_machines(run_fleet: FleetCommand) -> None:
    one = json.loads(run_fleet("explain", "204", "-o", "json").stdout)
    assert (one["type"], one["format"], one["code"], one["retry"]) == ("code", 1, "FLT-204", "observe")
    every = json.loads(run_fleet("explain", "-o", "json").stdout)
    assert [each["code"] for each in every["codes"]] == [code.id for code in Code]


def test_explain_an_unknown_code(run_fleet: FleetCommand) -> None:
    ran = run_fleet("explain", "FLT-999")
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr.startswith("error: there is no code `FLT-999`\n\nhint: ")


def test_settings_tell_their_source(run_fleet: FleetCommand) -> None:
    run_fleet.write("config/ollama-fleet/settings.yaml", "grace: 5s\nwait: 1m\n")
    ran = run_fleet("settings", "--wait", "2m", environment={"OLLAMA_FLEET_SILENCE": "3m"})
    assert (ran.code, ran.stderr) == (0, "")
    path = run_fleet.folder / "config/ollama-fleet/settings.yaml"
    for line in (
        "parallelism = 32  (default)",
        f"grace = 5s  ({path}:1:1)",
        "silence = 3m  (OLLAMA_FLEET_SILENCE)",
        "wait = 2m  (--wait)",
        f"state_dir = {run_fleet.folder}/state/ollama-fleet  ($XDG_STATE_HOME)",
        "credentials_dir = (none)  (default)",
    ):
        assert line in ran.stdout.splitlines()
    assert all(each.about.split()[0] in ran.stdout for each in defaults())


def test_settings_for_machines(run_fleet: FleetCommand) -> None:
    run_fleet.write("my.yaml", "stall_floor: 5MB\n")
    ran = run_fleet("settings", "-o", "json", environment={"OLLAMA_FLEET_SETTINGS": "my.yaml"})
    document = json.loads(ran.stdout)
    assert (document["type"], document["format"]) == ("settings", 1)
    (floor,) = [each for each in document["settings"] if each["name"] == "stall_floor"]
    assert (floor["value"], floor["source"], floor["variable"]) == ("5MB", "my.yaml:1:1", "OLLAMA_FLEET_STALL_FLOOR")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("grac: 5s", "my.yaml:1:1: `grac` is no setting; did you mean `grace`?"),
        ("grace: [5s]", "my.yaml:1:1: grace: a setting is one value"),
        ("grace:", "my.yaml:1:1: grace: a setting is one value"),
        ("grace: 5s\ngrace: 6s", "grace"),
        ("- 5s", "my.yaml:1:1: settings are written as `name: value`"),
        ("a: 1\n---\nb: 2", "my.yaml: one document is wanted, and there are 2"),
        ("a: [", "my.yaml:"),
        ("", "my.yaml:"),
    ],
)
def test_wrong_settings_files(run_fleet: FleetCommand, text: str, fault: str) -> None:
    run_fleet.write("my.yaml", text)
    ran = run_fleet("settings", "--settings", "my.yaml")
    assert (ran.code, ran.stdout) == (4, "")
    assert ran.stderr.startswith("error: ")
    assert fault in ran.stderr


def test_a_missing_settings_file(run_fleet: FleetCommand) -> None:
    ran = run_fleet("settings", "--settings", "none.yaml")
    assert (ran.code, ran.stdout) == (4, "")
    assert ran.stderr.startswith("error: none.yaml: ")


def test_errors_reach_machines_too(run_fleet: FleetCommand) -> None:
    ran = run_fleet("settings", "-o", "json", environment={"OLLAMA_FLEET_WAT": "1"})
    assert ran.code == 4
    document = json.loads(ran.stdout)
    assert (document["type"], document["code"], document["exit_code"]) == ("error", "FLT-402", 4)
    assert ran.stderr.startswith("error: OLLAMA_FLEET_WAT: ")
