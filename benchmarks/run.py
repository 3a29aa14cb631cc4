"""`make bench`: how fast fleet is, as ratios measured side by side in one run, medians, with their targets.

A target that is missed is printed so and fails nothing: `docs/performance.md` tells what stands behind each figure.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from daemon import daemons
from figures import Figure, cpu, ratio, wall
from large import large_file
from manifests import ENTRIES, FILES
from sides import canned_hosts, side, start, work
from uploads import uploading

FLEET = str(Path(sys.executable).with_name("fleet"))
HOSTS = 1000

SMALL = """\
version: 1
hosts:
  alpha: http://10.0.0.11:11434
  beta: {url: "http://10.0.0.12:11434", labels: {role: rag}}
models:
  llama3.1:8b:
  qwen3:8b: {warm: true}
  nomic-embed-text: {where: role=rag}
  acme/assistant: {create: {from: qwen3:8b, system: Be brief., parameters: {temperature: 0.2}}}
  chat: {alias: acme/assistant}
"""


def starting() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, "manifest.yaml")
        manifest.write_text(SMALL)
        spent = start(
            {
                "bare": [sys.executable, "-c", "pass"],
                "help": [FLEET, "--help"],
                "validate": [FLEET, "validate", "-f", str(manifest)],
            },
            rounds=15,
        )
    bare = wall(spent["bare"])
    yield ratio("`fleet --help` / `python -c pass`, wall", wall(spent["help"]), bare, 4)
    yield ratio("`fleet validate` of a small manifest / `python -c pass`, wall", wall(spent["validate"]), bare, 25)


def reading() -> Iterator[Figure]:
    spent = work({"fleet": side("tree_fleet.py"), "pyyaml": side("tree_pyyaml.py")}, rounds=7)
    about = f"trees of {FILES} manifests of {ENTRIES} models / CSafeLoader, CPU"
    yield ratio(about, cpu(spent["fleet"]), cpu(spent["pyyaml"]), 0.5)


def observing() -> Iterator[Figure]:
    with canned_hosts(HOSTS) as ports:
        clients = {name: side(f"look_{name}.py", str(HOSTS)) for name in ("raw", "aiohttp", "fleet")}
        clients["few"] = side("look_fleet.py", str(HOSTS // 10))
        spent = work(clients, rounds=5, given=json.dumps(ports))
    fleet = spent["fleet"]
    yield ratio("observing 1,000 hosts / by hand on asyncio sockets, CPU", cpu(fleet), cpu(spent["raw"]), 25)
    yield ratio("observing 1,000 hosts / by aiohttp, CPU", cpu(fleet), cpu(spent["aiohttp"]), 4.5)
    yield ratio("observing 1,000 hosts / observing 100, wall", wall(fleet), wall(spent["few"]), 12)
    peak = median(each.peak for each in fleet) / 2**20
    yield Figure("highest memory of a process that observes 1,000 hosts", peak, 200, "MiB", "")


def planning() -> Iterator[Figure]:
    spent = work({name: side("plan_fleet.py", name) for name in ("settled", "bare")}, rounds=3)
    for name, steps in (("settled", "nothing to do"), ("bare", "45 steps a host")):
        yield Figure(f"planning 1,000 hosts of 40 items, {steps}, CPU", median(cpu(spent[name])), 2, "s", "")


def hashing(path: Path) -> Iterator[Figure]:
    spent = work({name: side(f"hash_{name}.py", str(path)) for name in ("fleet", "openssl")}, rounds=5)
    yield ratio("SHA-256 of 2 GiB / `openssl dgst -sha256`, wall", wall(spent["fleet"]), wall(spent["openssl"]), 1.05)


def weights() -> Iterator[Figure | str]:
    with large_file(2 << 30) as path:
        yield from hashing(path)
        yield from uploading(path)


PARTS = {
    "starting": starting,
    "reading": reading,
    "observing": observing,
    "planning": planning,
    "daemon": daemons,
    "weights": weights,
}


def main(wanted: list[str]) -> int:
    """All parts, or those named."""
    began, figures = time.monotonic(), list[Figure]()
    for name in wanted or PARTS:
        for figure in PARTS[name]():
            print(figure, flush=True)
            if isinstance(figure, Figure):
                figures.append(figure)
    met = sum(figure.met for figure in figures)
    print(f"{met} of {len(figures)} targets met, in {time.monotonic() - began:.0f} s")
    return 0


sys.exit(main(sys.argv[1:]))
