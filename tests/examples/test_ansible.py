"""`examples/ansible`: its templates make files that fleet and systemd take, its commands are fleet's own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from fleet.cli.configuration import read_file
from fleet.cli.parser import parse
from fleet.settings import resolve
from tests.examples.shown import EXAMPLES, PROGRAM, read_yaml
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated
from tests.systemd.unit_files import UNITS, read_units

PLAY = EXAMPLES / "ansible"
ROLE = PLAY / "roles/ollama_fleet"
PLAYBOOK = shutil.which("ansible-playbook")
HOSTS = read_yaml(PLAY / "hosts.yaml")["inference"]


def rendered(template: str, host: str, **given: Any) -> str:
    """What Ansible would write on one host of the example: defaults, then what all hosts have, then what it has itself."""
    # The filter is Ansible's; what is not defined is a fault there as here.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # these are no pages
    )
    environment.filters["to_json"] = json.dumps
    variables = {**read_yaml(ROLE / "defaults/main.yaml"), **HOSTS["vars"], **HOSTS["hosts"][host]}
    return environment.get_template(template).render(
        {
            **variables,
            "ansible_managed": "Ansible managed",
            "ollama_fleet_hosts": list(HOSTS["hosts"]),
            "hostvars": HOSTS["hosts"],
            "inventory_hostname": host,
            **given,
        }
    )


def test_all_of_it_is_yaml() -> None:
    for path in [*PLAY.glob("*.yaml"), *ROLE.rglob("*.yaml")]:
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_every_host_is_in_the_inventory_that_it_writes(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    inventory = run_fleet.write("inventory.yaml", rendered("inventory.yaml.j2", "gpu-a"))
    assert inventory.read_text() == rendered("inventory.yaml.j2", "gpu-b"), "all hosts have the same"
    fleet = simulate("hosts: {here: {version: 0.12.6}}")
    ran = run_fleet(
        *("apply", "--yes", "--self", "gpu-b", "-i", str(inventory), "-f", str(PLAY / "models")),
        environment={"OLLAMA_HOST": fleet.urls["here"]},
    )
    assert ran.code == 0, ran.stdout + ran.stderr
    assert fleet.names("here") == {"nomic-embed-text:latest"}


@pytest.mark.parametrize("token", ["", "secret"])
def test_the_settings_that_it_writes(tmp_path: Path, token: str) -> None:
    (tmp_path / "daemon.yaml").write_text(rendered("daemon.yaml.j2", "gpu-a", ollama_fleet_token=token))
    settings = resolve(environment={"HOME": "/"}, file=read_file(str(tmp_path / "daemon.yaml"))).settings
    assert (settings.self_name, settings.interval) == ("gpu-a", 600)
    assert (settings.token_file is not None) == bool(token)
    assert token not in (tmp_path / "daemon.yaml").read_text().split()


@pytest.mark.parametrize("name", ["ollama-fleet", "ollama-fleet-apply"])
def test_the_units_that_it_writes(tmp_path: Path, name: str) -> None:
    drop_in = tmp_path / "this-host.conf"
    drop_in.write_text(rendered(f"{name}.conf.j2", "gpu-b"))
    unit = read_units(UNITS / f"{name}.service", drop_in)
    assert unit.environment() == {"OLLAMA_HOST": "127.0.0.1:11434"}
    (words,) = [words for key, words in unit.commands() if key == "ExecStart"]
    chosen = parse(words[1:])
    # The daemon has its host from its settings, the one-shot from its command line.
    assert chosen.self_name == (None if name == "ollama-fleet" else "gpu-b")


def test_its_commands_are_fleets() -> None:
    tasks = read_yaml(ROLE / "tasks/main.yaml")
    commands = [task["ansible.builtin.command"]["argv"] for task in tasks if "ansible.builtin.command" in task]
    commands += [
        task["ansible.builtin.template"]["validate"].split()
        for task in tasks
        if "validate" in task.get("ansible.builtin.template", {})
    ]
    assert len(commands) == 2
    for program, *arguments in commands:
        assert program == PROGRAM
        parse(arguments)


def test_what_it_names_is_there() -> None:
    tasks, handlers = read_yaml(ROLE / "tasks/main.yaml"), read_yaml(ROLE / "handlers/main.yaml")
    assert {task["notify"] for task in tasks if "notify" in task} == {handler["name"] for handler in handlers}
    templates = {path.name for path in (ROLE / "templates").iterdir()}
    assert templates == {"inventory.yaml.j2", "daemon.yaml.j2", "ollama-fleet.conf.j2", "ollama-fleet-apply.conf.j2"}
    # The folder of the units is found from the role's own.
    default = read_yaml(ROLE / "defaults/main.yaml")["ollama_fleet_units"]
    assert Path(default.replace("{{ role_path }}", str(ROLE))).resolve() == UNITS
    copied = next(task["loop"] for task in tasks if task["name"] == "The units are those of the release")
    assert all((UNITS / name).is_file() for name in copied)


def test_every_variable_is_in_its_manual() -> None:
    used = set(re.findall(r"ollama_fleet_[a-z_]+", "".join(p.read_text() for p in ROLE.rglob("*.y*ml*"))))
    defaults = set(read_yaml(ROLE / "defaults/main.yaml"))
    manual = set(re.findall(r"`(ollama_fleet_[a-z_]+)`", (ROLE / "README.md").read_text()))
    assert defaults == used == manual


def test_secrets_stay_out_of_ansibles_output() -> None:
    tasks = read_yaml(ROLE / "tasks/main.yaml")
    assert all(task.get("no_log") for task in tasks if "ollama_fleet_token }}" in str(task))


@pytest.mark.skipif(PLAYBOOK is None, reason="ansible-playbook is not here (PyPI: ansible-core)")
def test_ansible_has_nothing_to_say(tmp_path: Path) -> None:
    assert PLAYBOOK is not None
    done = subprocess.run(
        [PLAYBOOK, "-i", "hosts.yaml", "playbook.yaml", "--syntax-check"],
        cwd=PLAY,
        env={"PATH": str(Path(PLAYBOOK).parent), "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
