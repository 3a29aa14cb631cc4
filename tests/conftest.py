"""What tests of all parts share: the installed command in a sealed surrounding, and long outputs kept in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fleet_command import FleetCommand
from tests.preloaded import Preloaded

if TYPE_CHECKING:
    from tests.simulated import Simulated

CASES = Path(__file__).parent / "cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write expected outputs and made pages anew, for review")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what tests measured: their processes have no terminal of their own."""
    for report in terminalreporter.getreports("passed"):
        for line in (text for name, text in report.user_properties if name == "told"):
            terminalreporter.write_line(str(line))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tells `make faults` which rows of the matrix a test proves, also where it runs in another process."""
    for mark in item.iter_markers("fault"):
        item.user_properties.extend(("fault", str(row)) for row in mark.args)


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Has a line shown after the tests, if this one passes."""
    return lambda line: record_property("told", line)


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded | None]:
    """The command, loaded once; not where `COMMAND=installed` asks for real starts, nor where coverage is measured."""
    if os.environ.get("COMMAND") == "installed" or "COVERAGE_PROCESS_CONFIG" in os.environ:
        yield None
        return
    running = Preloaded()
    yield running
    running.close()


@pytest.fixture
def run_fleet(tmp_path: Path, preloaded: Preloaded | None) -> FleetCommand:
    """Runs the command in a folder of its own; what it gives is exit code, stdout and stderr."""
    return FleetCommand(tmp_path, preloaded)


@pytest.fixture
def simulate() -> Iterator[Callable[[str], Simulated]]:
    """Serves scenarios, given as texts, until the test ends."""
    from tests.simulated import simulated  # loaded by the tests that need a server alone

    with ExitStack() as stack:
        yield lambda scenario: stack.enter_context(simulated(scenario))


@pytest.fixture
def same_as_file(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a file, or writes it there with `--rewrite`."""
    rewrite = bool(request.config.getoption("--rewrite"))

    def compare(path: Path, text: str) -> None:
        if rewrite:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name}: `pytest --rewrite` writes it anew"

    return compare
