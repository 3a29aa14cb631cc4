"""`make soak`: a fleet that is changed, broken, restarted and killed for days on end, judged by what really is there.

A pass every quarter of a second stands for one every minute. Each turn is a storm, in which 5 % of calls fail, manifests
and registry move, hosts restart or go away and fleet itself is killed now and then; and a calm, in which everything has
to come out as it is wanted, by the simulator's own word.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.simulated import simulated
from tests.soak.steady import Trend, means, trend
from tests.soak.world import HOSTS, World, agreed, scenario

INTERVAL = 0.25
STORM = 5.0
CALM = 60.0
"""Seconds in which everything has to be as desired after a storm."""
RESTLESS = 1 / 3
"""The part of the time in which fleet itself is restarted and killed; then one process lives to the end."""


@dataclass(slots=True)
class Tally:
    """What came of it."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    """Of fleet itself, when nobody asked it to end."""
    waits: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    descriptors: list[tuple[float, float]] = field(default_factory=list)
    threads: list[tuple[float, float]] = field(default_factory=list)


def _storm(world: World, tally: Tally, *, restless: bool) -> None:
    random = world.random
    world.storm()
    end = time.monotonic() + STORM
    while time.monotonic() < end:
        happens = random.choice(("edit", "edit", "edit", "publish", "host restart", "host down", "fleet", "nothing"))
        match happens:
            case "edit":
                world.wanted.changes()
                world.write()
            case "publish":
                world.publish()
            case "host restart":
                world.restart_a_host()
            case "host down":
                world.a_host_goes_down()
            case "fleet" if restless:
                happens = random.choice(("fleet killed", "fleet ended"))
                world.daemon.end(signal.SIGKILL if happens == "fleet killed" else signal.SIGTERM)
                world.daemon.begin()
            case _:
                happens = "nothing"
        tally.counts[happens] += 1
        time.sleep(random.uniform(0.1, 0.8))


def _calm(world: World, tally: Tally) -> None:
    world.calm()
    world.daemon.reconcile()
    begun = time.monotonic()
    since = time.time() + 1
    while (hosts := agreed(world.daemon.status(), since)) is None:
        if time.monotonic() - begun > CALM:
            status = world.daemon.status() or {"hosts": []}
            told = [
                f"{host['name']} {host.get('message', '')}: {item}"
                for host in status["hosts"]
                for item in host.get("items", [])
                if item["condition"] != "ready"
            ]
            tally.lost += told or [f"no word of it: {status.get('fleet', {})}"]
            break
        time.sleep(0.1)
    else:
        tally.waits.append(time.monotonic() - begun)
        tally.counts["hosts waiting for memory"] += len(HOSTS) - len(hosts)
        tally.false += [f"{host}: {told}" for host, all_told in world.untrue(hosts).items() for told in all_told]
    tally.unasked += world.unasked_deletes()
    tally.unasked += [f"something of somebody else's on {host}" for host in world.harmed()]
    world.wanted.looked()


def _measure(world: World, tally: Tally, at: float) -> None:
    code = world.daemon.died()
    if code is not None:
        tally.deaths.append(f"it ended by itself with {code} after {at:.0f} s")
        return
    tally.memory.append((at, world.daemon.memory()))
    tally.descriptors.append((at, world.daemon.descriptors()))
    tally.threads.append((at, world.daemon.threads()))


def _told(what: str, of: Trend, unit: str) -> str:
    return (
        f"{what}: {of.first:.1f} to {of.last:.1f} {unit}, {of.slope:+.2f} {unit} an hour,"
        f" below {of.bound:+.2f} with 95 % certainty"
    )


def main(seconds: float, seed: int) -> int:
    """0 where nothing was lost, deleted unasked or told falsely, and nothing grows."""
    # The hosts' server warns of each connection that a fault cuts.
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    tally, begun = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak") as folder, simulated(scenario()) as fleet:
        world = World(fleet, Path(folder), Random(seed), f"{int(INTERVAL * 1000)}ms")
        world.daemon.begin()
        try:
            _calm(world, tally)
            while (past := time.monotonic() - begun) < seconds:
                restless = past < RESTLESS * seconds
                _storm(world, tally, restless=restless)
                _calm(world, tally)
                tally.counts["storms"] += 1
                if not restless:
                    _measure(world, tally, time.monotonic() - begun)
                if tally.counts["storms"] % 20 == 0:
                    print(f"{past:6.0f} s: {dict(tally.counts)}", file=sys.stderr, flush=True)
            status = world.daemon.status() or {}
            passes = status.get("fleet", {}).get("passes", [])
            requests = fleet.get("/counters")["total"]
        finally:
            world.daemon.end()
        log = world.daemon.log.read_text()
    return _report(tally, passes[0]["number"] if passes else 0, requests, log)


def _report(tally: Tally, passes: int, requests: dict[str, int], log: str) -> int:
    print(f"{len(HOSTS)} hosts, {passes} passes: {passes / 1440:.1f} days of one a minute")
    print("happened: " + ", ".join(f"{count} x {what}" for what, count in sorted(tally.counts.items())))
    print("requests: " + ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items())))
    if tally.waits:
        waits = sorted(tally.waits)
        print(f"as desired after a storm: {waits[len(waits) // 2]:.1f} s in the middle, {waits[-1]:.1f} s at most")
    print(
        f"lost updates: {len(tally.lost)}, unasked deletes: {len(tally.unasked)}, false `converged`: {len(tally.false)}"
    )
    for told in (*tally.lost, *tally.unasked, *tally.false, *tally.deaths):
        print(f"  {told}")
    grows = False
    if len(tally.memory) >= 10:
        memory, descriptors = trend(tally.memory), trend(tally.descriptors)
        print(_told("memory", memory, "MiB"))
        # The bound of `reliability.md` is for a daemon that makes a pass a minute; one here makes hundreds.
        there = passes / 60 / (tally.memory[-1][0] / 3600)
        slope, bound = memory.slope / there, memory.bound / there
        print(f"  in an hour of one pass a minute: {slope:+.3f} MiB, below {bound:+.3f} with 95 % certainty")
        print("memory by tenths of the time: " + " ".join(f"{mean:.1f}" for mean in means(tally.memory, 10)))
        print(_told("descriptors", descriptors, "files"))
        print(_told("threads", trend(tally.threads), "threads"))
        grows = memory.last - memory.first > 8 or bound > 0.5 or descriptors.last - descriptors.first > 5
    crashes = log.count("fleet.fault") + log.count("Traceback")
    print(f"faults of fleet's own in its log: {crashes}")
    return int(bool(tally.lost or tally.unasked or tally.false or tally.deaths or grows or crashes))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
