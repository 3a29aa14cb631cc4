"""Command lines that are wrong, and what is answered without any host: help, version, completion."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from fleet.cli.main import VERBS
from tests.fleet_command import FleetCommand


def test_help_lists_every_verb_and_loads_nothing_heavy() -> None:
    heavy = ("dataclasses", "asyncio", "importlib.metadata", "httpx2", "pydantic", "rich", "yaml", "argparse")
    script = (
        "import sys; from fleet.cli.main import main; code = main(['--help'])\n"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    # Without the variables by which coverage follows subprocesses, since it loads some of these itself.
    ran = subprocess.run([sys.executable, "-c", script], env={}, capture_output=True, text=True, check=True)
    assert ran.stderr == "[] 0\n"
    for verb, does in VERBS:
        assert f"{verb} " in ran.stdout
        assert does in ran.stdout


def test_no_verb(run_fleet: FleetCommand) -> None:
    ran = run_fleet()
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr == "error: no verb\n\nhint: see `fleet --help`\n"


def test_unknown_verb_names_the_nearest(run_fleet: FleetCommand) -> None:
    ran = run_fleet("aply")
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr == "error: unknown verb `aply`\n\nhint: did you mean `apply`? See `fleet --help`\n"


def test_unknown_verb_unlike_any(run_fleet: FleetCommand) -> None:
    assert run_fleet("xyzzy").stderr == "error: unknown verb `xyzzy`\n\nhint: see `fleet --help`\n"


def test_option_before_the_verb(run_fleet: FleetCommand) -> None:
    ran = run_fleet("-v", "plan")
    assert ran.code == 64
    assert "`-v` stands before the verb" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("plan", "--paralelism", "3"), "unknown option `--paralelism`", "did you mean `--parallelism`?"),
        (("plan", "--detailed"), "unknown option `--detailed`", "did you mean `--detailed-exitcode`?"),
        (("apply", "--zzz=x", "--yes"), "unknown option `--zzz`", "see `fleet apply --help`"),
        (("plan", "extra"), "`fleet plan` takes no argument `extra`", "see `fleet plan --help`"),
        (("show",), "the following arguments are required: PLAN", "see `fleet show --help`"),
        (("plan", "-o", "xml"), "`-o`: invalid choice", "see `fleet plan --help`"),
        (("plan", "-f"), "`-f`: expected one argument", "see `fleet plan --help`"),
        (("plan", "--max-deletes", "-1"), "`--max-deletes`: `-1` is below 0", "see `fleet plan --help`"),
        (("plan", "--max-deletes", "many"), "`--max-deletes`: `many` is no whole number", "see `fleet plan --help`"),
        (("plan", "--label", "site"), "`--label`: `site` is no KEY=VALUE", "see `fleet plan --help`"),
        (("plan", "--label", "site=x"), "`--label` is about this machine, and needs `--self NAME`", ""),
        (("plan", "-l", "site in"), "`-l`:", ""),
        (("plan", "--model", "a/b/c/d"), "`--model`:", ""),
        (("plan", "--accept-emptied", "a b"), "`--accept-emptied`: `a b` is no host name", ""),
        (("plan", "--save", "p", "-f", "-"), "`--save` needs files that can be read again", ""),
        (("apply", "p", "-f", "x"), "`-f` does not go with a saved plan", "fleet plan --save"),
        (("why", "a", "b@sha256:00"), "a digest is no part of a model name", ""),
    ],
)
def test_wrong_command_line(run_fleet: FleetCommand, arguments: tuple[str, ...], error: str, hint: str) -> None:
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {a: }\n")
    ran = run_fleet(*arguments)
    assert (ran.code, ran.stdout) == (64, "")
    first, _, rest = ran.stderr.partition("\n")
    assert first.startswith("error: ")
    assert error in first
    assert hint in rest


@pytest.mark.parametrize("verb", [verb for verb, _ in VERBS])
def test_each_verb_has_help_in_plain_words(run_fleet: FleetCommand, verb: str) -> None:
    ran = run_fleet(verb, "--help")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"usage: fleet {verb} ")
    assert len(ran.stdout.split("\n\n")) > 1


def test_version(run_fleet: FleetCommand) -> None:
    ran = run_fleet("--version")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("fleet 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_verbs_and_options(run_fleet: FleetCommand, shell: str) -> None:
    ran = run_fleet("--print-completion", shell)
    assert (ran.code, ran.stderr) == (0, "")
    for word in ("simulate", "explain", "detailed-exitcode"):
        assert word in ran.stdout


def test_completion_for_an_unknown_shell(run_fleet: FleetCommand) -> None:
    ran = run_fleet("--print-completion=fish")
    assert ran.code == 64
    assert "there are bash, zsh, tcsh" in ran.stderr


def test_faults_of_manifests_come_first_and_are_counted(run_fleet: FleetCommand) -> None:
    ran = run_fleet("plan", manifest="version: 1\nmodel: {}\nmodels: {a: {warn: true}}\n")
    assert (ran.code, ran.stdout) == (4, "")
    assert ran.stderr.splitlines() == [
        "ollama-fleet.yaml:2:1: model: unknown key",
        "  hint: did you mean `models`?",
        "ollama-fleet.yaml:3:14: models.a.warn: unknown key",
        "  hint: did you mean `warm`?",
        "error: 2 faults in inventory and manifests",
    ]


def test_a_selection_that_matches_no_host(run_fleet: FleetCommand) -> None:
    manifest = 'version: 1\nhosts: {alpha: "http://127.0.0.1:9"}\nmodels: {a: }\n'
    ran = run_fleet("plan", "--host", "beta*", manifest=manifest)
    assert ran.code == 64
    assert ran.stderr == "error: `--host`: `beta*` matches no host\n\nhint: there are: alpha\n"


NAMES = """
version: 1
hosts: {alpha: "http://127.0.0.1:9", beta: {url: "http://127.0.0.1:1", suspend: true}}
models: {"qwen3:8b": , acme/chat: {where: name=alpha}, "old-*": {absent: true}}
"""


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("--model", "qwen:8b"), "`--model`: `qwen:8b` matches no entry of the desired state",
         "did you mean `qwen3:8b`?"),
        (("--model", "qwen3", "--model", "chat*"), "`--model`: `chat*` matches no entry of the desired state",
         "did you mean `acme/chat:latest`?"),
        (("--model", "zzz"), "`--model`: `zzz` matches no entry of the desired state",
         "there are: acme/chat:latest, old-*, qwen3:8b"),
        (("--accept-emptied", "alfa"), "`--accept-emptied`: the inventory has no host `alfa`", "did you mean `alpha`?"),
        (("--accept-emptied", "x"), "`--accept-emptied`: the inventory has no host `x`", "there are: alpha, beta"),
    ],
)  # fmt: skip
def test_a_name_that_the_desired_state_does_not_have(
    run_fleet: FleetCommand, arguments: tuple[str, ...], error: str, hint: str
) -> None:
    for verb in (("plan",), ("apply", "--yes")):
        ran = run_fleet(*verb, *arguments, manifest=NAMES)
        assert (ran.code, ran.stdout) == (64, "")
        assert ran.stderr == f"error: {error}\n\nhint: {hint}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "QWEN3"),
        ("--model", "acme/*"),
        ("--model", "old-1:7b"),
        ("--model", "o*"),
        ("--accept-emptied", "beta"),
    ],
)
def test_names_that_it_has_in_some_way(run_fleet: FleetCommand, arguments: tuple[str, ...]) -> None:
    quick = {"OLLAMA_FLEET_RETRY_TRIES": "1"}
    assert run_fleet("plan", *arguments, manifest=NAMES, environment=quick).code == 7, "one host is not there"


def test_a_model_of_a_fleet_without_any(run_fleet: FleetCommand) -> None:
    ran = run_fleet("plan", "--model", "x", manifest='version: 1\nhosts: {alpha: "http://127.0.0.1:9"}\n')
    assert ran.code == 64
    assert ran.stderr.endswith("hint: there is none at all\n")


def test_manifests_from_standard_input(run_fleet: FleetCommand) -> None:
    ran = run_fleet("plan", "-f", "-", stdin="version: 1\nmodels: {a: {warn: true}}\n")
    assert ran.code == 4
    assert ":2:14: models.a.warn: unknown key\n" in ran.stderr


def test_help_and_version_are_verbs_too(run_fleet: FleetCommand) -> None:
    assert run_fleet("help") == run_fleet("--help")
    assert run_fleet("help", "plan") == run_fleet("plan", "--help")
    assert run_fleet("help", "aply").code == 64
    assert run_fleet("version") == run_fleet("--version")


def test_a_verb_that_is_far_from_any_is_not_guessed(run_fleet: FleetCommand) -> None:
    assert run_fleet("destroy").stderr == "error: unknown verb `destroy`\n\nhint: see `fleet --help`\n"


def test_a_scenario_that_is_wrong_is_no_manifest(run_fleet: FleetCommand) -> None:
    run_fleet.write("wrong.yaml", "nonsense: 1\n")
    ran = run_fleet("simulate", "wrong.yaml")
    assert (ran.code, ran.stdout) == (4, "")
    assert ran.stderr.startswith("error: ")
    assert "inventory and manifests" not in ran.stderr


def test_a_port_in_use_is_named(run_fleet: FleetCommand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_fleet("simulate", "--port", str(port), "--registry-port", "0", "--control-port", "0")
    assert (ran.code, ran.stdout) == (1, "")
    assert f"error: the simulator could not start: Address already in use: 127.0.0.1:{port}\n" in ran.stderr
