"""`fleet apply` and `fleet plan` as they are used: consent, saved plans, streams, signals, the lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import IO

import pytest

from fleet.state.lock import RunLock
from tests.fleet_command import COMMAND, FleetCommand
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts: {alpha: {models: [qwen3:0.6b, "old:1b"]}, beta: {}}
registry: {models: {qwen3:0.6b: {size: 1MB}, "old:1b": {size: 1MB}, "new:1b": {size: 1MB}}}
"""
SLOW = """
hosts: {alpha: {}}
registry: {models: {"new:1b": {size: 50MB}}, bandwidth: 100KB}
"""
MANIFEST = """
version: 1
models:
  new:1b:
  qwen3:0.6b:
  old:1b: {absent: true}
"""
FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    """Two hosts; on the first a model that must go, on both one that is missing."""
    return prepared(run_fleet, simulate, SCENARIO)


def prepared(run_fleet: FleetCommand, simulate: Simulate, scenario: str) -> Simulated:
    fleet = simulate(scenario)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", MANIFEST)
    return fleet


def test_without_a_terminal_somebody_has_to_say_yes(run_fleet: FleetCommand, fleet: Simulated) -> None:
    ran = run_fleet("apply", *FILES)
    assert ran.code == 6
    assert "Plan: 3 to pull, 1 to delete on 2 hosts" in ran.stdout
    assert ran.stderr.startswith(
        "error: the plan was not carried out: there is no terminal to ask on\n\nhint: say `--yes`"
    )
    assert fleet.changing() == 0


def test_apply_shows_plan_and_outcome(run_fleet: FleetCommand, fleet: Simulated) -> None:
    ran = run_fleet("apply", *FILES, "--yes", "-v")
    assert ran.code == 0
    assert ran.stdout.index("Deleted or replaced:") < ran.stdout.index("Done: 3 pulled, 1 deleted on 2 hosts in ")
    assert "alpha: seen, Ollama " in ran.stderr
    assert "alpha: delete old:1b: done in " in ran.stderr
    assert fleet.names("alpha") == {"new:1b", "qwen3:0.6b"}

    again = run_fleet("apply", *FILES)
    assert (again.code, again.stderr) == (0, "")
    assert again.stdout == "Nothing to do: 4 items as desired on 2 hosts\n"


@pytest.mark.parametrize("answer", ["yes", "1"])
def test_on_a_terminal_the_answer_decides(run_fleet: FleetCommand, fleet: Simulated, answer: str) -> None:
    code, shown = run_fleet.on_terminal("apply", *FILES, prompt="goes on: ", answer=answer)
    assert code == 0, shown
    assert (
        "Carry this plan out? Only `yes`, or the number of models that are deleted (4 steps, 1 model deleted)" in shown
    )
    assert fleet.names("alpha") == {"new:1b", "qwen3:0.6b"}


@pytest.mark.parametrize("answer", ["no", "y", "", "2"])
def test_any_other_answer_changes_nothing(run_fleet: FleetCommand, fleet: Simulated, answer: str) -> None:
    code, shown = run_fleet.on_terminal("apply", *FILES, prompt="goes on: ", answer=answer)
    assert code == 6
    assert "error: the plan was not carried out: the answer was not `yes`" in shown
    assert fleet.changing() == 0


def test_a_plan_without_deletes_takes_yes_alone(run_fleet: FleetCommand, fleet: Simulated) -> None:
    code, shown = run_fleet.on_terminal("apply", *FILES, "--host", "beta", prompt="goes on: ", answer="0")
    assert code == 6
    assert "Carry this plan out? Only `yes` goes on: " in shown
    assert fleet.changing() == 0


def test_who_is_asked_sees_the_plan_in_every_format(run_fleet: FleetCommand, fleet: Simulated) -> None:
    code, shown = run_fleet.on_terminal("apply", *FILES, "-o", "json", prompt="goes on: ", answer="yes")
    assert code == 0
    assert shown.index("Plan: 3 to pull") < shown.index("Carry this plan out?") < shown.index('"type": "report"')
    assert fleet.names("beta") == {"new:1b", "qwen3:0.6b"}


@pytest.mark.parametrize("columns", ["40", "120"])
def test_the_terminal_is_given_back(run_fleet: FleetCommand, fleet: Simulated, columns: str) -> None:
    code, shown = run_fleet.on_terminal("apply", *FILES, "--yes", environment={"COLUMNS": columns})
    assert code == 0, shown
    assert 0 < shown.rindex("\x1b[?25l") < shown.rindex("\x1b[?25h") < shown.index("Done: ")
    assert "\x1b[1mDone: 3 pulled, 1 deleted on 2 hosts in " in shown
    assert fleet.names("beta") == {"new:1b", "qwen3:0.6b"}


@pytest.mark.parametrize(("arguments", "environment"), [(("--no-color",), {}), ((), {"NO_COLOR": "1"})])
def test_colour_can_be_refused(
    run_fleet: FleetCommand, fleet: Simulated, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert fleet.names("beta") == set()
    assert "\x1b[" in run_fleet.on_terminal("plan", *FILES)[1]
    assert "\x1b[" not in run_fleet.on_terminal("plan", *FILES, *arguments, environment=environment)[1]


def test_json_names_host_model_outcome_and_why(run_fleet: FleetCommand, fleet: Simulated) -> None:
    fleet.fault("beta", {"fault": "error-then-success", "endpoint": "pull", "model": "new:1b"})
    ran = run_fleet("apply", *FILES, "--yes", "-o", "json")
    assert ran.code == 3
    report = json.loads(ran.stdout)
    assert (report["type"], report["format"], report["exit_code"]) == ("report", 1, 3)
    (failure,) = report["failures"]
    assert (failure["host"], failure["model"], failure["action"]) == ("beta", "new:1b", "pull")
    assert (failure["outcome"], failure["code"]) == ("failed", "FLT-202")
    assert failure["told"] == "an error was encountered while running the operation"
    assert report["counts"]["failed"] == 1
    assert report["counts"]["done"] == 3
    assert [(step["host"], step["model"]) for step in report["remaining"]] == [("beta", "new:1b")]

    text = run_fleet("apply", *FILES, "--yes")
    assert text.code == 3
    assert "beta, step 1, pull new:1b: failed: " in text.stdout
    assert text.stdout.count("an error was encountered while running the operation") == 1
    assert text.stdout.endswith("hint: `fleet explain FLT-202` tells cause and cure\n")


def test_json_lines_tell_the_pass_and_end_with_the_report(run_fleet: FleetCommand, fleet: Simulated) -> None:
    ran = run_fleet("apply", *FILES, "--yes", "-o", "jsonl")
    assert (ran.code, ran.stderr) == (0, "")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    types = [line["type"] for line in lines]
    assert types[:3] == ["host-seen", "host-seen", "planned"]
    assert types[-1] == "report"
    assert (types.count("step-begun"), types.count("step-ended")) == (4, 4)
    assert {line["format"] for line in lines} == {1}
    assert lines[-1]["exit_code"] == 0
    assert fleet.names("beta") == {"new:1b", "qwen3:0.6b"}


def test_markdown_for_a_merge_request(run_fleet: FleetCommand, fleet: Simulated) -> None:
    planned = run_fleet("plan", *FILES, "-o", "markdown").stdout
    assert planned.startswith(
        "<!-- ollama-fleet: plan of default -->\n### fleet: Plan: 3 to pull, 1 to delete on 2 hosts"
    )
    assert "| 2 | - | delete | `old:1b` |" in planned
    applied = run_fleet("apply", *FILES, "--yes", "-o", "markdown").stdout
    assert applied.splitlines()[1].startswith("### fleet: Done: 3 pulled, 1 deleted on 2 hosts in ")
    assert fleet.names("alpha") == {"new:1b", "qwen3:0.6b"}


def test_a_saved_plan_is_shown_and_carried_out_once(run_fleet: FleetCommand, fleet: Simulated) -> None:
    saved = run_fleet("plan", *FILES, "--save", "the.plan")
    assert (saved.code, saved.stderr) == (0, "saved: `fleet apply the.plan` carries it out\n")
    shown = run_fleet("show", "the.plan")
    assert shown.code == 0
    assert "Plan: 3 to pull, 1 to delete on 2 hosts" in shown.stdout
    assert json.loads(run_fleet("show", "the.plan", "-o", "json").stdout)["type"] == "saved-plan"

    applied = run_fleet("apply", "the.plan")
    assert applied.code == 0, applied.stderr
    assert fleet.names("alpha") == {"new:1b", "qwen3:0.6b"}

    stale = run_fleet("apply", "the.plan")
    assert stale.code == 6
    assert stale.stderr.startswith("error: the saved plan no longer fits")


def test_a_plan_that_is_none(run_fleet: FleetCommand) -> None:
    run_fleet.write("the.plan", "{}")
    for arguments in (("show", "the.plan"), ("apply", "the.plan"), ("apply", "none.plan")):
        ran = run_fleet(*arguments)
        assert ran.code in {4, 6}
        assert ran.stderr.startswith(("error: the plan ", "error: this is no saved plan: the.plan\n"))


@pytest.mark.fault("K3")
def test_another_run_has_the_lock(run_fleet: FleetCommand, fleet: Simulated) -> None:
    with RunLock(f"{run_fleet.folder}/state/ollama-fleet", "default"):
        ran = run_fleet("apply", *FILES, "--yes", "-o", "json")
    assert ran.code == 5
    assert ran.stderr.startswith("error: another run is at work")
    assert ", the lock of the fleet `default`\n" in ran.stderr
    assert "`name:`" in ran.stderr
    assert json.loads(ran.stdout)["code"] == "FLT-601"
    assert fleet.changing() == 0


def test_exit_codes_of_a_plan(run_fleet: FleetCommand, fleet: Simulated) -> None:
    assert run_fleet("plan", *FILES).code == 0
    assert run_fleet("plan", *FILES, "--detailed-exitcode").code == 2
    fleet.post("/hosts/beta/down")
    quick = {"OLLAMA_FLEET_RETRY_TRIES": "1"}
    ran = run_fleet("plan", *FILES, environment=quick)
    assert ran.code == 7
    assert "Not observed, so nothing is planned there:\n  beta: " in ran.stdout
    assert run_fleet("plan", *FILES, "--allow-unreachable", "50%", environment=quick).code == 0
    lines = run_fleet("plan", *FILES, "-o", "jsonl", environment=quick).stdout.splitlines()
    assert json.loads(lines[-1])["type"] == "plan"


def test_status_shows_every_model(run_fleet: FleetCommand, fleet: Simulated) -> None:
    ran = run_fleet("status", *FILES)
    assert (ran.code, ran.stderr) == (0, "")
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert ["alpha", "new:1b", "missing", "-", "-", "-", "-", "the", "host", "does", "not", "list", "it"] in rows
    assert ["alpha", "qwen3:0.6b", "current", "-"] in [row[:4] for row in rows]
    assert ["alpha", "old:1b", "to-be-deleted", "-"] in [row[:4] for row in rows]
    document = json.loads(run_fleet("status", *FILES, "-o", "json").stdout)
    assert [host["host"] for host in document["hosts"]] == ["alpha", "beta"]
    assert {item["model"]: item["state"] for item in document["hosts"][0]["items"]} == {
        "new:1b": "missing",
        "qwen3:0.6b": "current",
        "old:1b": "to-be-deleted",
    }
    assert fleet.changing() == 0


def test_why_names_the_entry(run_fleet: FleetCommand, fleet: Simulated) -> None:
    ran = run_fleet("why", "alpha", "NEW:1b", *FILES)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        "new:1b\n  declared: pulled from its registry\n  by: ollama-fleet.yaml:4:3\n"
        "  for: all hosts (no selector)\n  is: not as desired: missing\n"
    )
    assert "is: not as desired: old:1b is listed" in run_fleet("why", "alpha", *FILES).stdout
    assert json.loads(run_fleet("why", "alpha", *FILES, "-o", "json").stdout)["absent"][0]["listed"] == ["old:1b"]
    none = run_fleet("why", "alpha", "other", *FILES)
    assert none.stdout == "other:latest is not declared for alpha, so it is left as it is; no entry names it\n"
    unknown = run_fleet("why", "alpah", *FILES)
    assert unknown.code == 64
    assert unknown.stderr == "error: the inventory has no host `alpah`\n\nhint: did you mean `alpha`?\n"
    assert fleet.changing() == 0


@pytest.mark.usefixtures("fleet")
def test_why_of_what_a_glob_would_delete(run_fleet: FleetCommand) -> None:
    run_fleet.write("ollama-fleet.yaml", 'version: 1\nmodels:\n  new:1b:\n  "gone-*": {absent: true}\n')
    ran = run_fleet("why", "alpha", "gone-by:2b", *FILES)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        "gone-*\n  declared: absent\n  by: ollama-fleet.yaml:4:3\n  for: all hosts (no selector)\n"
        "  is: as desired: gone-by:2b is not there; would be deleted if it appeared, by ollama-fleet.yaml:4:3\n"
    )
    (absent,) = json.loads(run_fleet("why", "alpha", "gone-by:2b", *FILES, "-o", "json").stdout)["absent"]
    assert (absent["pattern"], absent["listed"]) == ("gone-*", [])


@pytest.mark.usefixtures("fleet")
def test_what_a_guard_holds_back_says_so(run_fleet: FleetCommand) -> None:
    hosts = run_fleet.folder / "hosts.yaml"
    hosts.write_text(f'{hosts.read_text(encoding="utf-8")}policy: {{protect: ["old"]}}\n', encoding="utf-8")
    ran = run_fleet("status", *FILES)
    assert ran.code == 6
    (row,) = [line for line in ran.stdout.splitlines() if "old:1b" in line and line.startswith("alpha")]
    assert row.split()[2] == "held-back"
    assert row.endswith("a protected model would have been deleted (FLT-502)")
    assert "Refused by a guard:\n  `policy.protect` covers `old:1b` on `alpha`" in ran.stdout
    why = run_fleet("why", "alpha", "old:1b", *FILES)
    assert why.code == 6
    assert "protected: `policy.protect` has `old`, so it is not deleted (FLT-502)" in why.stdout
    assert "held back: `policy.protect` covers" in why.stdout
    assert run_fleet("why", "alpha", "new:1b", *FILES).code == 0
    assert run_fleet("why", "alpha", *FILES).code == 6
    document = json.loads(run_fleet("why", "alpha", "old:1b", *FILES, "-o", "json").stdout)
    assert document["absent"][0]["held_back"] == ["old:1b"]


@pytest.mark.usefixtures("fleet")
def test_a_host_that_is_misspelt(run_fleet: FleetCommand) -> None:
    ran = run_fleet("plan", *FILES, "--host", "alpah")
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr == "error: `--host`: `alpah` matches no host\n\nhint: did you mean `alpha`?\n"


@pytest.mark.fault("K13")
def test_a_reader_that_went_away_changes_no_exit_code(run_fleet: FleetCommand, fleet: Simulated) -> None:
    reading, writing = subprocess.PIPE, subprocess.PIPE
    process = subprocess.Popen(
        [COMMAND, "plan", *FILES, "--detailed-exitcode"],
        cwd=run_fleet.folder,
        env=run_fleet.environment(),
        stdout=reading,
        stderr=writing,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (2, b"")
    assert fleet.changing() == 0


@pytest.mark.fault("K13")
def test_a_full_disk_is_told(run_fleet: FleetCommand, fleet: Simulated) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [COMMAND, "plan", *FILES],
            cwd=run_fleet.folder,
            env=run_fleet.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert process.returncode == 1
    assert process.stderr.startswith("error: the output could not be written: ")
    assert "Traceback" not in process.stderr
    assert fleet.changing() == 0


@pytest.mark.fault("K13")
def test_lines_that_cannot_be_written_break_nothing_off(run_fleet: FleetCommand, fleet: Simulated) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [COMMAND, "apply", *FILES, "--yes", "-o", "jsonl"],
            cwd=run_fleet.folder,
            env=run_fleet.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert process.returncode == 1
    assert process.stderr == "error: the output could not be written: No space left on device\n"
    assert fleet.names("alpha") == {"new:1b", "qwen3:0.6b"}
    assert fleet.names("beta") == {"new:1b", "qwen3:0.6b"}
    assert run_fleet("plan", *FILES, "--detailed-exitcode").code == 0


@pytest.mark.fault("K13")
def test_a_reader_of_lines_that_went_away_breaks_nothing_off(run_fleet: FleetCommand, fleet: Simulated) -> None:
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl") as process:
        until(process.stdout, '"type":"host-seen"')
        assert process.stdout is not None
        process.stdout.close()
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert fleet.names("beta") == {"new:1b", "qwen3:0.6b"}


@pytest.mark.parametrize("unseen", ["stdin", "stderr"])
def test_who_cannot_see_the_question_or_answer_it_is_not_asked(
    run_fleet: FleetCommand, fleet: Simulated, unseen: str
) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [COMMAND, "apply", *FILES, "-o", "json"],
        cwd=run_fleet.folder,
        env=run_fleet.environment({"TERM": "xterm"}),
        stdin=subprocess.PIPE if unseen == "stdin" else theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if unseen == "stderr" else theirs,
    ) as process:
        out, _ = process.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 6
    assert json.loads(out)["code"] == "FLT-507"
    assert "there is no terminal to ask on" in json.loads(out)["message"]
    assert fleet.changing() == 0


def test_a_plan_in_a_pipe_loads_no_terminal_library(run_fleet: FleetCommand, fleet: Simulated) -> None:
    script = (
        "import sys; from fleet.cli.main import main; code = main(sys.argv[1:])\n"
        "print([name for name in ('rich', 'starlette', 'uvicorn', 'shtab') if name in sys.modules], code, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "plan", *FILES],
        cwd=run_fleet.folder,
        env=run_fleet.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stderr == "[] 0\n"
    assert fleet.changing() == 0


def until(stream: IO[str] | None, words: str) -> None:
    """Reads up to the line that has the words."""
    assert stream is not None
    read: list[str] = []
    for line in stream:
        read.append(line)
        if words in line:
            return
    raise AssertionError(f"`{words}` never came; this did:\n{''.join(read)}")


def until_begun(stream: IO[str] | None, action: str, model: str) -> None:
    """Reads JSON lines up to the beginning of the step."""
    assert stream is not None
    for line in stream:
        event = json.loads(line)
        if event["type"] == "step-begun" and (event["action"], event["model"]) == (action, model):
            return
    raise AssertionError(f"{action} {model} never began")


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted: "), (signal.SIGTERM, 143, "Terminated: ")]
)
@pytest.mark.fault("K1")
def test_the_first_signal_ends_in_order(
    run_fleet: FleetCommand, simulate: Simulate, number: signal.Signals, code: int, word: str
) -> None:
    prepared(run_fleet, simulate, SLOW)
    with run_fleet.start("apply", *FILES, "--yes", environment={"OLLAMA_FLEET_GRACE": "0s"}) as process:
        until(process.stderr, "pull new:1b: begun")
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "stopping: nothing new is begun; downloads are left at once and keep their bytes" in error
    assert "anything else may take up to 0s to end" in error
    assert word in out
    assert "FLT-221" in out


@pytest.mark.fault("K1")
def test_the_second_signal_ends_at_once(run_fleet: FleetCommand, fleet: Simulated) -> None:
    # A download would be left at the first one.
    fleet.fault("alpha", {"fault": "silence", "endpoint": "delete"})
    patient = {"OLLAMA_FLEET_GRACE": "1h"}
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl", environment=patient) as process:
        until_begun(process.stdout, "delete", "old:1b")
        process.send_signal(signal.SIGINT)
        until(process.stderr, "stopping")
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 143
    assert error == "ended at once; the next run finds out how the last calls ended\n"
    assert "Terminated" not in out


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "error: terminated\n")],
)
def test_a_plan_can_be_interrupted(
    run_fleet: FleetCommand, fleet: Simulated, number: signal.Signals, code: int, told: str
) -> None:
    fleet.fault("beta", {"fault": "silence"})
    patient = {"OLLAMA_FLEET_ANSWER_DEADLINE": "1h"}
    with run_fleet.start("plan", *FILES, "-o", "jsonl", environment=patient) as process:
        until(process.stdout, '"host":"alpha"')
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (code, told)
