"""Settings for people: each value with its source and meaning, and the page `docs/settings.md`."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from fleet.foreign import clean
from fleet.render.paint import PLAIN, Paint
from fleet.render.writing import FORMAT
from fleet.settings import Described, Kind, Resolved, defaults, described, variable

_NONE = "(none)"
_FLAGS = {
    "parallelism": "--parallelism",
    "allow_unreachable": "--allow-unreachable",
    "wait": "--wait",
    "lock_timeout": "--lock-timeout",
}
_UNITS = {
    Kind.COUNT: "a whole number",
    Kind.DURATION: "a duration in Go's form, always with its unit: `500ms`, `90s`, `1h30m`",
    Kind.SIZE: "a size with its unit, `GB` in thousands or `GiB` in 1024s: `512KiB`, `1.5GB`",
    Kind.SHARE: "a number, or a percentage: `2`, `10%`",
    Kind.FOLDER: "an absolute path",
    Kind.FILE: "the absolute path of a file",
    Kind.PATHS: "absolute paths, parted by `:`",
    Kind.TEXT: "a text",
    Kind.COMMAND: "the absolute path of a program and its arguments, quoted as a shell wants them",
    Kind.FLAG: "`true` or `false`",
}


def settings_text(resolved: Resolved, *, paint: Paint = PLAIN, width: int = 100) -> str:
    """`name = value  (source)`, then what it means, at most `width` columns wide."""
    blocks = []
    for each in described(resolved):
        value = clean(each.value, limit=4096) if each.value is not None else _NONE
        head = f"{paint.strong(each.name)} = {value}  {paint.faint(f'({clean(each.source)})')}"
        blocks.append(f"{head}\n{fill(each.about, width, initial_indent='    ', subsequent_indent='    ')}")
    return "\n".join(blocks) + "\n"


def settings_document(resolved: Resolved) -> dict[str, Any]:
    return {"type": "settings", "format": FORMAT, "settings": [_part(each) for each in described(resolved)]}


def settings_page() -> str:
    """`docs/settings.md`; a test compares."""
    lines = [
        "# Settings",
        "",
        "How fleet works, as opposed to what it is to achieve. Each value is taken from the first of these that names it:",
        "",
        "1. a flag of the command line,",
        "2. an environment variable: `OLLAMA_FLEET_` and the name in capitals,",
        "3. the settings file: `--settings FILE`, else `$OLLAMA_FLEET_SETTINGS`, else, if it is there,",
        "   `ollama-fleet/settings.yaml` in `$XDG_CONFIG_HOME` (by default `~/.config`),",
        "4. the default.",
        "",
        "The file is YAML, one `name: value` a line:",
        "",
        "```yaml",
        "parallelism: 64",
        "stall_window: 5m",
        "allow_unreachable: 10%",
        "```",
        "",
        "Unknown names are errors in the file, and unknown variables that begin with `OLLAMA_FLEET_` are too; all that is",
        "wrong is told at once, with exit code 4. `fleet settings` shows each value and where it is from.",
    ]
    for each in defaults():
        flag = f", `{_FLAGS[each.name]}`" if each.name in _FLAGS else ""
        lines += [
            "",
            f"## `{each.name}`",
            "",
            each.about,
            "",
            f"- Written as {_UNITS[each.kind]}",
            f"- Also as `{variable(each.name)}`{flag}",
        ]
        if each.value is not None:
            lines.append(f"- Default: `{each.value}`")
    return "\n".join(lines) + "\n"


def _part(each: Described) -> dict[str, Any]:
    return {
        "name": each.name,
        "value": each.value,
        "source": each.source,
        "written_as": str(each.kind),
        "variable": variable(each.name),
        "about": each.about,
    }
