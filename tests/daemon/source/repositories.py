"""Real repositories on disk, written to by the `git` program: what a daemon follows in tests."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.daemon.source.choosing import source_of
from fleet.daemon.source.reading import Snapshot
from fleet.daemon.source.source import Source
from fleet.settings import Settings

HOSTS = "version: 1\nhosts: {a: 'http://127.0.0.1:9'}\n"
ONE = "version: 1\nmodels: {one: }\n"
TWO = "version: 1\nmodels: {one: , two: }\n"
BROKEN = "version: 1\nmodels: {one: {pul: {}}}\n"


class Remote:
    """A bare repository, and a work tree beside it that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "remote.git"
        self.tree = folder / "tree"
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(self.bare), where=folder)
        self.git("init", "--quiet", "--template=", "--initial-branch=main", str(self.tree), where=folder)
        self.git("remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Into the work tree; nothing removes a file."""
        for name, content in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None] | None = None, *options: str) -> str:
        """Commits everything in the work tree, with these files in it; pushes nothing."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a change", *options)
        return self.git("rev-parse", "HEAD")

    def push(self, files: Mapping[str, str | bytes | None] | None = None, *options: str) -> str:
        """Commits and pushes to `main`."""
        commit = self.commit(files, *options)
        self.send()
        return commit

    def send(self, what: str = "HEAD:refs/heads/main") -> None:
        self.git("push", "--quiet", "--force", "origin", what)

    def git(self, *arguments: str, where: Path | None = None) -> str:
        author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _AUTHOR.items()}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
            **author,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=where or self.tree, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()


_AUTHOR = {"NAME": "tester", "EMAIL": "tester@example.invalid"}


def followed(folder: Path, url: str, **more: Any) -> tuple[Source, Settings]:
    """The source that follows a repository, the inventory beside it on disk, all that it keeps below `folder`."""
    if "git_inventory" not in more and "inventory" not in more:
        inventory = folder / "hosts.yaml"
        inventory.write_text(HOSTS)
        more["inventory"] = str(inventory)
    settings = Settings(state_dir=str(folder / "state"), settle=0, git_url=url, **{"git_interval": 0.05, **more})
    return source_of(settings), settings


def look(source: Source) -> Snapshot:
    return asyncio.run(source.look())


def models(found: Snapshot, host: str = "a") -> list[str]:
    """What is asked of a host."""
    return next(
        [str(item.name) for item in wanted.items] for name, wanted in found.desired.hosts.items() if name == host
    )


def kept_commits(settings: Settings) -> set[str]:
    """The commits whose files lie in the state folder."""
    return {path.name for path in Path(settings.state_dir).glob("git/*/commits/*")}


def fake_git(folder: Path, script: str) -> dict[str, str]:
    """A search path with a `git` of our own before the real one, which the script can run as `$REAL`."""
    folder.mkdir()
    real = shutil.which("git")
    program = folder / "git"
    program.write_text(f"#!/bin/sh\nREAL={real}\n{script}")
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
