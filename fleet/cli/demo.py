"""`fleet demo`: three simulated hosts and a registry, and on them what fleet does: plan, apply, status, plan again."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.settings import PREFIX

if TYPE_CHECKING:
    from fleet.simulate.server import Simulation

_SUSPENDED = "http://127.0.0.1:9"
"""The discard port: nothing answers there, as on a machine in repair."""
_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY")
"""Variables that lead to the user's settings, memory and credentials; without them, all of these are in `HOME`."""


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = subparsers.add_parser(
        "demo",
        allow_abbrev=False,
        help="see fleet at work",
        description="Simulates three hosts of different ages and a registry on this machine, and shows plan, apply"
        " and status of the tour's manifests on them. Touches nothing else, and takes some seconds.",
    )
    parser.add_argument(
        "--keep",
        metavar="FOLDER",
        help="leave manifests, inventory and scenario there, to read and to try; the simulated hosts end with the demo,"
        " and `fleet simulate FOLDER/scenario.yaml` serves the same again",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when every part went as it should; else the exit code of the first that did not."""
    from fleet.simulate.scenario import load_scenario
    from fleet.simulate.thread import simulated

    package = Path(__file__).parents[1] / "simulate"
    scenario = load_scenario(package / "tour.yaml")
    with _folder(arguments.keep) as folder, _on_its_own():
        shutil.copytree(package / "tour", folder / "tour", dirs_exist_ok=True)
        if arguments.keep is not None:
            shutil.copyfile(package / "tour.yaml", folder / "scenario.yaml")
        with simulated(scenario) as simulation:
            _write_inventory(simulation, folder / "hosts.yaml")
            code = _show(folder)
        if arguments.keep is not None:
            _on_default_ports(simulation, folder / "hosts.yaml")
            _say(
                f"\nThe simulated hosts are gone. In {folder}, `fleet simulate scenario.yaml` serves the same again, as"
                "\nthey were before, and `fleet plan -i hosts.yaml -f tour` looks at them from another terminal."
            )
        return code


def _show(folder: Path) -> int:
    files = ("-i", "hosts.yaml", "-f", "tour")
    _say("Three simulated hosts run Ollama 0.5.4, 0.9.6 and 0.32.15; a fourth is in repair.")
    for about, expected, argv in (
        ("What would change? Nothing is done yet.", 0, ("plan", *files)),
        ("Carry it out, and prove it by looking again.", 0, ("apply", *files, "--yes")),
        ("How does every model stand on every host?", 0, ("status", *files)),
        ("And now? With nothing left to do, the exit code says so too.", 0, ("plan", *files, "--detailed-exitcode")),
    ):
        code = _verb(about, argv, folder)
        if code != expected:
            return code
    return 0


def _verb(about: str, argv: Sequence[str], folder: Path) -> int:
    from fleet.cli.command import run as run_command
    from fleet.cli.streams import data

    data(f"\n# {about}\n$ fleet {' '.join(argv)}\n")
    with _inside(folder):
        code = run_command(argv)
    data(f"(exit code {code})\n")
    return code


def _say(text: str) -> None:
    from fleet.cli.streams import data

    data(f"{text}\n")


def _write_inventory(simulation: Simulation, path: Path) -> None:
    """What the simulation says of its hosts, with the name of the fleet and the one host that is not there."""
    simulation.write_inventory(path)
    path.write_text(
        f"name: tour\n{path.read_text(encoding='utf-8')}"
        f"  gpu-d: {{url: '{_SUSPENDED}', labels: {{tier: prod}}, suspend: in repair}}\n",
        encoding="utf-8",
    )


def _on_default_ports(simulation: Simulation, path: Path) -> None:
    """The inventory for the ports on which `fleet simulate` serves the scenario."""
    from fleet.cli.simulate import DEFAULT_PORT, DEFAULT_REGISTRY_PORT

    ports = {host.url: DEFAULT_PORT + number for number, host in enumerate(simulation.hosts.values())}
    for number, url in enumerate(simulation.registry_urls().values(), start=1):
        ports[url] = DEFAULT_REGISTRY_PORT + number
    text = path.read_text(encoding="utf-8")
    for url, port in ports.items():
        text = text.replace(f"{url}\n", f"http://127.0.0.1:{port}\n")
    text = text.replace(f"{simulation.registry_name}:\n", f"localhost:{DEFAULT_REGISTRY_PORT}:\n")
    path.write_text(text, encoding="utf-8")


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is not None:
        folder = Path(keep)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="fleet-demo-") as made:
        yield Path(made)


@contextmanager
def _on_its_own() -> Iterator[None]:
    """Without the user's settings, and with a home that goes away: nothing reaches a demo, nothing is left of it."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="fleet-demo-home-") as home:
        for name in before:
            if name.startswith(PREFIX) or name in _FOLDERS:
                del os.environ[name]
        os.environ["HOME"] = home
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
