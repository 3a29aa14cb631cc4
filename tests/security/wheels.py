"""`make reproducible`: two builds of one source, in two surroundings, are the same bytes.

python -m tests.security.wheels
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[2]
_PARTS = (
    "fleet",
    "docs",
    "examples",
    "systemd",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ".gitignore",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What must leave no trace: where and when, whose rights, and the environment."""

    folder: str
    mask: int
    moment: int
    environment: Mapping[str, str]


ONE = Surroundings("a", 0o022, 1_000_000_000, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"})
OTHER = Surroundings(
    "another folder/b", 0o077, 1_700_000_001, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}
)


def built(within: Path, where: Surroundings) -> dict[str, str]:
    """Names and digests of wheel and source distribution."""
    source = within / where.folder
    source.mkdir(parents=True)
    for part in _PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        given = SOURCE / part
        if given.is_dir():
            shutil.copytree(given, source / part, ignore=ignored, symlinks=True)
        else:
            shutil.copy(given, source / part)
    for path in source.rglob("*"):
        if not path.is_symlink():
            path.chmod((0o777 if path.is_dir() or os.access(path, os.X_OK) else 0o666) & ~where.mask)
            os.utime(path, (where.moment, where.moment))
    to = within / f"{len(list(within.iterdir()))}-built"
    environment = {"PATH": os.environ["PATH"], "HOME": str(within), **where.environment}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(to)]
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True, umask=where.mask)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(to.iterdir())}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        one, other = built(Path(folder), ONE), built(Path(folder), OTHER)
    for name, digest in one.items():
        print(f"{name}: {'the same' if other.get(name) == digest else 'DIFFERS'} in both builds: sha256:{digest}")
    return 0 if one == other else 1


if __name__ == "__main__":
    sys.exit(main())
