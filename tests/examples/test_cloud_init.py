"""`examples/cloud-init`: its manifest is sound, and its command brings a host up that is still starting."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.examples.shown import EXAMPLES, PROGRAM, read_yaml, reroot
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

USER_DATA = EXAMPLES / "cloud-init/user-data.yaml"
CLOUD_INIT = shutil.which("cloud-init")


def written(said: Any, root: Path) -> None:
    """The files of `write_files`, below another root."""
    for file in said["write_files"]:
        path = Path(f"{root}{file['path']}")
        path.parent.mkdir(parents=True)
        path.write_text(file["content"])


def test_a_new_machine_is_brought_to_its_state(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    said = read_yaml(USER_DATA)
    written(said, run_fleet.folder)
    (words,) = [words for words in said["runcmd"] if words[0] == PROGRAM]
    assert re.search(r" --self \S+ .*--wait 10m --deadline 45m --yes", " ".join(words))
    fleet = simulate("hosts: {here: {version: 0.12.6}}")
    fleet.fault("here", {"fault": "status", "endpoint": "version", "status": 503, "times": 4})
    ran = run_fleet(*reroot(words, run_fleet.folder), environment={"OLLAMA_HOST": fleet.urls["here"]})
    assert ran.code == 0, ran.stdout + ran.stderr
    assert "not yet" in ran.stderr
    # `role=rag` among the labels is what brings the second one.
    assert fleet.names("here") == {"llama3.2:3b", "nomic-embed-text:latest", "chat:latest"}


def test_one_that_fails_fails_the_whole() -> None:
    said = read_yaml(USER_DATA)
    assert said["runcmd"][0] == "set -e"
    assert USER_DATA.read_text().startswith("#cloud-config\n")  # without it, cloud-init takes it for a script


@pytest.mark.skipif(CLOUD_INIT is None, reason="cloud-init is not here (Debian: package cloud-init)")
def test_cloud_init_has_nothing_to_say() -> None:
    assert CLOUD_INIT is not None
    done = subprocess.run(
        [CLOUD_INIT, "schema", "--config-file", USER_DATA], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
