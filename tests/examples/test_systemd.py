"""The inference host of `examples/systemd`: its files are what fleet and systemd take, and a host is brought to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.cli.configuration import read_file
from fleet.settings import resolve
from tests.examples.shown import EXAMPLES
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated
from tests.systemd.test_systemd_analyze import ANALYZE, analyze, installed
from tests.systemd.unit_files import UNITS, read_units

HOST = EXAMPLES / "systemd/etc"
ETC = HOST / "ollama-fleet"
DROP_IN = HOST / "systemd/system/ollama-fleet.service.d/inference-host.conf"


def test_its_settings_are_settings_and_its_files_are_where_they_say() -> None:
    unit = read_units(UNITS / "ollama-fleet.service", DROP_IN)
    settings = resolve(
        environment={"HOME": "/", "STATE_DIRECTORY": "/var/lib/ollama-fleet", **unit.environment()},
        file=read_file(str(ETC / "daemon.yaml")),
    ).settings
    for path in (settings.manifests, settings.inventory):
        assert path is not None
        assert (HOST / Path(path).relative_to("/etc")).exists()
    # The name under which systemd hands the token over is one that the unit loads.
    assert settings.token_file is not None
    folder, _, name = settings.token_file.rpartition("/")
    assert folder == "/run/credentials/ollama-fleet.service"
    assert name in unit.all("Service", "LoadCredential")


def test_the_host_is_brought_to_its_manifests(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    fleet = simulate("hosts: {here: {version: 0.12.6}}")
    here = {"OLLAMA_HOST": fleet.urls["here"]}
    files = ("-i", str(ETC / "inventory.yaml"), "-f", str(ETC / "manifests"))
    daemon = resolve(environment={"HOME": "/"}, file=read_file(str(ETC / "daemon.yaml"))).settings
    assert daemon.self_name is not None
    ran = run_fleet("validate", "--settings", str(ETC / "daemon.yaml"), *files)
    assert (ran.code, ran.stdout) == (0, "fleet `acme-prod`: no fault; 2 hosts, 4 models, 1 to be gone\n"), ran.stderr
    ran = run_fleet("apply", "--yes", "--self", daemon.self_name, *files, environment=here)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert fleet.names("here") == {"llama3.2:3b", "acme/assistant:latest", "chat:latest"}


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here (Debian: package systemd)")
def test_its_drop_in_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = installed(tmp_path, "ollama-fleet.service", DROP_IN)
    done = analyze("verify", unit, folder=tmp_path)
    assert done.returncode == 0
    assert DROP_IN.name not in done.stdout + done.stderr
    assert analyze("security", "--offline=true", "--threshold=12", unit, folder=tmp_path).returncode == 0
