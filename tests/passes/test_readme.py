"""What the README shows is run: its files are written, its commands given in order, its outputs compared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
MASKS = (
    (re.compile(r"(?<= )\d+s$", re.MULTILINE), "[AGE]"),
    (re.compile(r"\b\d+\.\d+s\b"), "[TIME]"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "[DIGEST]"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00"), "[DATE]"),
    (re.compile(r"/\S+(?=/ollama-fleet\.yaml)"), "[FOLDER]"),
    (re.compile(r"\b\d+(?:\.\d)? [kKMG]B\b"), "[SIZE]"),
)
SYSTEM_CHOOSES = ("--port", "0", "--registry-port", "0", "--control-port", "0")


def masked(text: str) -> list[str]:
    """The lines of an output, with what varies masked and columns closed up."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return [re.sub(r" {2,}", "  ", line.rstrip()) for line in text.strip("\n").split("\n") if line.strip()]


def shown(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that stand below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, masked(output) if output.strip() else []


def agree(expected: list[str], lines: list[str]) -> bool:
    """Whether an output is as shown; `...` stands for any lines, and an output is never shown as nothing else."""
    parts: list[list[str]] = [[]]
    for line in expected:
        if line.strip() == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) == 1:
        return lines == expected
    if not any(parts):
        return False
    first, *middle, last = parts
    if lines[: len(first)] != first or lines[len(lines) - len(last) :] != last:
        return False
    between = lines[len(first) : len(lines) - len(last)]
    for part in middle:
        places = (at for at in range(len(between) - len(part) + 1) if between[at : at + len(part)] == part)
        at = next(places, None)
        if at is None:
            return False
        between = between[at + len(part) :]
    return len(first) + len(last) <= len(lines)


@pytest.mark.parametrize(
    ("expected", "lines", "agreed"),
    [
        ("ab", "ab", True),
        ("ab", "abc", False),
        ("", "", True),
        ("", "a", False),
        ("a.", "abc", True),
        (".c", "abc", True),
        (".b", "abc", False),
        ("a.c.e", "abcde", True),
        ("a.d.c", "abcdc", True),
        ("a.x.e", "abcde", False),
        ("a.a", "a", False),
        (".", "abc", False),
        ("..", "abc", False),
    ],
)
def test_what_agreement_means(expected: str, lines: str, agreed: bool) -> None:
    assert agree(["..." if letter == "." else letter for letter in expected], list(lines)) == agreed


def test_every_command_does_what_the_readme_says(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    local = simulate("hosts: {here: {version: 0.32.15}}")
    environment = {"OLLAMA_HOST": local.urls["here"]}
    ran = []
    with ExitStack() as background:
        for block in BLOCK.finditer(README):
            if block["file"]:
                run_fleet.write(block["file"], block["text"])
            if block["kind"] != "console":
                continue
            for command, expected in shown(block["text"]):
                ran.append(command)
                words = shlex.split(command, comments=True)
                if words[-1] == "&":
                    background.enter_context(serving(run_fleet, *words[1:-1]))
                    continue
                target = None
                if ">" in words:
                    words, target = words[: words.index(">")], words[-1]
                assert words[0] == "fleet", command
                done = run_fleet(*words[1:], environment=environment)
                assert done.code == 0, f"$ {command}\n{done.stdout}{done.stderr}"
                if target is not None:
                    run_fleet.write(target, done.stdout)
                else:
                    assert agree(expected, masked(done.stdout)), f"$ {command}\n{done.stdout}"
    assert len(ran) > 10


def test_the_quick_start_is_two_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target} " in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(r"^(?:exec )?make test$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@contextmanager
def serving(run_fleet: FleetCommand, *arguments: str) -> Iterator[None]:
    """A command of the README that stays: `fleet simulate`, on ports that are free."""
    assert arguments[0] == "simulate"
    process = run_fleet.start(*arguments, *SYSTEM_CHOOSES)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("registry "), "the simulator tells where it listens when ready"
        yield
    finally:
        process.terminate()
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0, told
