"""The unit files of the repository, read as systemd reads them: sections, assignments in order, empty ones that reset."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
DROP_INS = UNITS / "drop-ins"
PROGRAM = "/opt/ollama-fleet/bin/fleet"
"""Where the units expect fleet."""

SERVICES = ("ollama-fleet.service", "ollama-fleet-apply.service")


@dataclass(frozen=True, slots=True)
class Unit:
    """Assignments in the order of the file."""

    assignments: tuple[tuple[str, str, str], ...]

    def all(self, section: str, key: str) -> list[str]:
        """Every value of a key that may be given several times; an empty one takes those before it away."""
        found: list[str] = []
        for where, name, value in self.assignments:
            if (where, name) == (section, key):
                found = [*found, value] if value else []
        return found

    def one(self, section: str, key: str) -> str:
        """The last value of a key; empty where there is none."""
        return next((value for where, name, value in reversed(self.assignments) if (where, name) == (section, key)), "")

    def commands(self) -> list[tuple[str, list[str]]]:
        """What the service runs, in words, with the key that says when; prefixes such as `-` left out."""
        keys = ("ExecStartPre", "ExecStart", "ExecReload", "ExecStartPost", "ExecStop", "ExecStopPost")
        return [(key, shlex.split(value.lstrip("-@:+!"))) for key in keys for value in self.all("Service", key)]

    def environment(self) -> dict[str, str]:
        """What `Environment=` says, with `%d` as systemd writes it out for `ollama-fleet.service`."""
        words = [word for value in self.all("Service", "Environment") for word in shlex.split(value)]
        pairs = (word.partition("=") for word in words)
        return {name: value.replace("%d", "/run/credentials/ollama-fleet.service") for name, _, value in pairs}


def read_units(*paths: Path) -> Unit:
    """A unit file and its drop-ins, later ones after earlier ones."""
    assignments: list[tuple[str, str, str]] = []
    for path in paths:
        section = ""
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            text = line.strip()
            if not text or text[0] in "#;":
                continue
            if text.startswith("["):
                assert text.endswith("]"), f"{path.name}: {text}"
                section = text[1:-1]
                continue
            key, equals, value = text.partition("=")
            assert section, f"{path.name}: {text}"
            assert equals, f"{path.name}: {text}"
            assignments.append((section, key.strip(), value.strip()))
    return Unit(tuple(assignments))


def seconds(text: str) -> float:
    """A time span of a unit: `45s`, `6h`, `1h 30min`."""
    units = {"s": 1, "min": 60, "h": 3600}
    total = 0.0
    for word in text.replace("min", "min ").replace("h", "h ").split():
        number = word.rstrip("sminh")
        total += float(number) * units[word[len(number) :]]
    return total
