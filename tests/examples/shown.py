"""Where examples lie, and the commands of fleet in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = "/opt/ollama-fleet/bin/fleet"


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def reroot(words: list[str], root: Path) -> list[str]:
    """A command's arguments with its files below another root, without the program."""
    assert words[0] == PROGRAM
    return [f"{root}{word}" if word.startswith("/etc/ollama-fleet") else word for word in words[1:]]
