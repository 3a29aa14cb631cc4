"""`make audit`: whether advisories are known against what is locked. What was not looked up is no pass.

    python -m tests.security.audit PIP_AUDIT FILE ...

Ends with 0 if every dependency was looked up and none has an advisory, 1 if one has, 3 if one could not be looked up.
`pip-audit` itself says that nothing is known and ends with 0 where its service answers for no dependency at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

WITHIN = 600
"""Seconds for one file."""


@dataclass(frozen=True, slots=True)
class Audited:
    """`known`: lines about advisories. `skipped`: dependencies that nobody looked up. `error`: why there was no audit."""

    looked_up: int = 0
    known: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    error: str | None = None


def audited(document: str, words: str) -> Audited:
    """What came of one run of `pip-audit`, by its JSON and by what it said beside it."""
    try:
        dependencies = json.loads(document)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audited(error=words.strip().rpartition("\n")[2] or "it said nothing")
    known = [
        f"{each['name']} {each['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for each in dependencies
        for found in each.get("vulns", ())
    ]
    skipped = tuple(each["name"] for each in dependencies if "skip_reason" in each)
    return Audited(len(dependencies) - len(skipped), tuple(known), skipped)


def verdict(of_files: Iterable[tuple[str, Audited]]) -> tuple[int, list[str]]:
    """The exit code, and what is to be said."""
    code, lines = 0, []
    for file, each in of_files:
        lines += [f"{file}: {line}" for line in each.known]
        if each.known:
            code = 1
        if each.error is not None:
            lines.append(f"NOT AUDITED: {file}: {each.error}")
        elif each.skipped:
            lines.append(
                f"NOT AUDITED: {file}: {len(each.skipped)} dependencies, of which the service of advisories could not be asked"
            )
        elif not each.looked_up:
            lines.append(f"NOT AUDITED: {file}: it has no dependencies")
        else:
            lines.append(f"{file}: {each.looked_up} dependencies looked up, {len(each.known)} advisories")
            continue
        code = code or 3
    return code, lines


def run(program: str, file: str) -> Audited:
    command = [
        program,
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "-r",
        file,
    ]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False)
    except subprocess.TimeoutExpired:
        return Audited(error=f"no answer within {WITHIN} s")
    return audited(ended.stdout, ended.stderr)


def main(arguments: list[str]) -> int:
    program, *files = arguments
    code, lines = verdict((file, run(program, file)) for file in files)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
