"""`fleet simulate`: simulated Ollama hosts and a registry on loopback, until interrupted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.simulate.scenario import Scenario
    from fleet.simulate.server import Simulation

DEFAULT_PORT = 11500
DEFAULT_REGISTRY_PORT = 11490
DEFAULT_CONTROL_PORT = 11480
_MOST_HOSTS = 1000


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = subparsers.add_parser(
        "simulate",
        allow_abbrev=False,
        help="serve simulated Ollama hosts and a registry on loopback",
        description="Serves simulated Ollama hosts, a registry and a control port on loopback, until interrupted. "
        "They answer as a real server of that version does, and infer nothing.",
    )
    parser.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.yaml", help="what to simulate")
    parser.add_argument(
        "--hosts", type=_count, metavar="N", help="how many hosts, if no scenario names them; default 1"
    )
    parser.add_argument("--ollama", metavar="VERSION", help="version of the hosts that name none; default the newest")
    port = "default %(default)s; 0 lets the system choose"
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="P", help=f"of the first host, the others follow; {port}"
    )
    parser.add_argument(
        "--registry-port", type=_port, default=DEFAULT_REGISTRY_PORT, metavar="R", help=f"of the registry; {port}"
    )
    parser.add_argument(
        "--control-port",
        type=_port,
        default=DEFAULT_CONTROL_PORT,
        metavar="C",
        help=f"of state, counters and faults; {port}",
    )
    parser.add_argument(
        "--write-inventory", type=Path, metavar="FILE", help="write a `hosts:` document that names them"
    )
    parser.add_argument(
        "-o", dest="output", choices=("text", "json"), default="text", help="form of the addresses told when ready"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulates until SIGINT or SIGTERM, then returns 0.

    Raises `InputError` for the scenario, `UsageError`, and `FleetError` where a port is in use.
    """
    import asyncio

    return asyncio.run(_simulate(arguments, _scenario(arguments)))


def _scenario(arguments: argparse.Namespace) -> Scenario:
    from fleet.codes import Code
    from fleet.errors import InputError, UsageError
    from fleet.simulate.scenario import Scenario, load_scenario
    from fleet.simulate.scenario_yaml import ScenarioError

    try:
        scenario = load_scenario(arguments.scenario) if arguments.scenario else Scenario()
        if arguments.ollama:
            scenario = scenario.with_version(arguments.ollama)
    except ScenarioError as fault:
        raise InputError(str(fault), code=Code.MANIFEST_WRONG, hint="see `docs/simulator.md`") from fault
    if scenario.hosts and arguments.hosts:
        raise UsageError("`--hosts` and a scenario that names hosts exclude each other", code=Code.USAGE)
    return scenario if scenario.hosts else scenario.with_hosts(arguments.hosts or 1)


async def _simulate(arguments: argparse.Namespace, scenario: Scenario) -> int:
    import asyncio
    import signal

    from fleet.codes import Code
    from fleet.errors import FleetError
    from fleet.simulate.server import Simulation

    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    simulation = Simulation(
        scenario,
        port=arguments.port,
        registry_port=arguments.registry_port,
        control_port=arguments.control_port,
    )
    try:
        async with simulation:
            if arguments.write_inventory:
                simulation.write_inventory(arguments.write_inventory)
            _tell(simulation, arguments.output)
            await interrupted.wait()
    except OSError as fault:
        hint = "`--port 0`, `--registry-port 0` and `--control-port 0` let the system choose"
        raise FleetError(
            f"the simulator could not start: {fault.strerror or fault}{_named(fault)}",
            code=Code.SIMULATION_NOT_STARTED,
            hint=hint,
        ) from fault
    return 0


def _named(fault: OSError) -> str:
    """The port or the file that it is about."""
    return f": {fault.filename}" if fault.filename else ""


def _tell(simulation: Simulation, output: str) -> None:
    """The addresses, once everything listens: who started the simulator waits for this."""
    addresses = simulation.addresses()
    if output == "json":
        print(json.dumps(addresses), flush=True)
        return
    lines = [f"registry {addresses['registry']}", f"control {addresses['control']}"]
    lines += [f"host {name} {url}" for name, url in addresses["hosts"].items()]
    print("\n".join(lines), flush=True)


def _count(text: str) -> int:
    return _between(text, 1, _MOST_HOSTS)


def _port(text: str) -> int:
    return _between(text, 0, 65535)


def _between(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"`{text}` is no number from {least} to {most}")
    return int(text)
