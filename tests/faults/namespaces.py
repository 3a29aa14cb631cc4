"""A network of a test's own: a namespace of Linux in which nothing but what the test lays out can be reached."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

VANISHING = ("10.9.0.2", "fd09::2")
"""Addresses at which packets are taken, and nobody answers."""
_LAYOUT = """
ip link set lo up
ip link add here type veth peer name there
ip address add 10.9.0.1/24 dev here
ip -6 address add fd09::1/64 dev here nodad
ip link set here up
ip link set there up
ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev here
ip -6 neighbour add fd09::2 lladdr 02:00:00:00:00:02 dev here
"""


@contextmanager
def network(**files: Path) -> Iterator[Sequence[str | Path]]:
    """What to put before a command so that it runs there, until the block ends. Loopback is there, and `VANISHING`.

    `files` are seen in place of those of the same names in /etc; `_` stands for a dot. Skips the test where this
    machine has no such namespaces.
    """
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "mount"))):
        pytest.skip("unshare, nsenter, ip or mount is missing")
    places = {f"/etc/{name.replace('_', '.')}": path for name, path in files.items()}
    mounts = "\n".join(f"mount --bind '{path}' {place}" for place, path in places.items())
    script = f"set -e\n{_LAYOUT}{mounts}\necho ready\nexec cat"
    with subprocess.Popen(
        ["unshare", "-Urnm", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as keeper:
        try:
            if keeper.stdout is None or keeper.stdout.readline() != "ready\n":
                keeper.kill()
                pytest.skip(f"no namespaces here: {keeper.communicate()[1].strip()}")
            yield ("nsenter", "--target", str(keeper.pid), "-U", "-n", "-m", "--preserve-credentials")
        finally:
            keeper.kill()
