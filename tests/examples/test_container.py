"""`examples/container`: what it starts is fleet, as a user that is not root, and its health is that of the daemon."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fleet.cli.configuration import read_file
from fleet.cli.parser import parse
from fleet.quantities import duration
from fleet.settings import Settings, resolve
from tests.examples.shown import EXAMPLES, read_yaml
from tests.fleet_command import FleetCommand

CONTAINER = EXAMPLES / "container"
ETC = CONTAINER / "etc"
HADOLINT = shutil.which("hadolint")


def instructions() -> list[tuple[str, str]]:
    """Of the Containerfile, continued lines put together."""
    text = re.sub(r"^#.*\n", "", (CONTAINER / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def last(name: str) -> str:
    return [text for instruction, text in instructions() if instruction == name][-1]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(last("ENV")))


def health() -> list[str]:
    words: list[str] = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    return words


def test_what_it_starts_is_the_daemon() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["fleet"]
    parse(json.loads(last("CMD")))


def test_it_is_not_root_and_its_record_is_its_own() -> None:
    user = last("USER")
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user), "a number, which an orchestrator can judge"
    made = last("RUN")
    assert f"--uid {user.partition(':')[0]} " in made
    folder = environment()["OLLAMA_FLEET_STATE_DIR"]
    assert f"--mode=0700 {folder}" in made
    assert last("VOLUME") == folder
    order = [instruction for instruction, _ in instructions()]
    assert "RUN" not in order[order.index("USER") :]


def test_its_settings() -> None:
    given = {name: value for name, value in environment().items() if name.startswith("OLLAMA_FLEET_")}
    settings = resolve(environment={"HOME": "/", **given}, file=read_file(str(ETC / "daemon.yaml"))).settings
    assert settings.listen is not None
    port = settings.listen.rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/healthz" in health()[-1]
    assert last("EXPOSE") == port
    for path in (settings.manifests, settings.inventory):
        assert path is not None
        assert (ETC / Path(path).relative_to("/etc/ollama-fleet")).exists()


def test_its_files_have_no_fault(run_fleet: FleetCommand) -> None:
    ran = run_fleet("validate", "-i", str(ETC / "inventory.yaml"), "-f", str(ETC / "manifests"))
    assert (ran.code, ran.stdout) == (0, "fleet `compose`: no fault; 1 host, 2 models\n"), ran.stderr


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server of one answer on a port of its own."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # as the library calls it
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (404, False)])
def test_its_health_is_what_the_daemon_answers(status: int, well: bool) -> None:
    program, *arguments = health()
    assert program == "python"
    with answering(status) as port:
        words = [sys.executable, *(word.replace(":11433", f":{port}") for word in arguments)]
        assert (subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0) is well


def test_compose_gives_it_no_more_than_it_needs() -> None:
    compose = read_yaml(CONTAINER / "compose.yaml")
    fleet = compose["services"]["fleet"]
    assert duration(fleet["stop_grace_period"]) >= Settings().grace + 10
    assert fleet["read_only"] is True
    assert fleet["cap_drop"] == ["ALL"]
    assert fleet["security_opt"] == ["no-new-privileges:true"]
    # Only this machine reaches the page, since no token guards it.
    assert all(port.startswith("127.0.0.1:") for port in fleet["ports"])
    mounts = dict(volume.split(":")[:2] for volume in fleet["volumes"])
    assert mounts == {"./etc": "/etc/ollama-fleet", "record": environment()["OLLAMA_FLEET_STATE_DIR"]}
    assert (CONTAINER / fleet["build"]["context"]).resolve() == EXAMPLES.parent
    assert (EXAMPLES.parent / fleet["build"]["dockerfile"]).is_file()
    assert {"models", "record"} == set(compose["volumes"])
    assert read_yaml(ETC / "inventory.yaml")["hosts"].keys() <= compose["services"].keys()


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not here")
def test_hadolint_has_nothing_to_say() -> None:
    assert HADOLINT is not None
    # DL3008: pinned packages vanish from Debian's mirrors with the next fix of them.
    words = [HADOLINT, "--ignore", "DL3008", str(CONTAINER / "Containerfile")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
