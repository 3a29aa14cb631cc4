"""Files on their way to hosts, and models that are made from them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from fleet.cli.loading import desired_of
from fleet.manifest.desired import fingerprint
from fleet.manifest.faults import Misread
from fleet.manifest.files import read_below
from fleet.manifest.inventory import Host, Place
from fleet.names import Digest, HostName
from fleet.reconcile.connection import connect
from fleet.reconcile.difference import LocalBlob
from fleet.reconcile.hashing import with_hashed_files
from fleet.reconcile.run import Pass, carry_out, make_plan
from fleet.reconcile.steps.uploads import Uploads
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.weights.blocks import BLOCK, Blocks, SharedReads
from fleet.weights.faults import ChangedWeights
from fleet.weights.local import Format, LocalFile, Stamp
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated
from tests.weights import making

QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms"}


@pytest.mark.fault("U12")
def test_once_a_hosts_disk_is_full_nothing_more_is_brought_there(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    here = {"kept:1b": {"size": 4096}, "old:1b": {"size": 4096}}
    fleet = simulate(
        json.dumps(
            {
                "hosts": {"full": {"models": here, "faults": [{"fault": "full-disk"}]}, "roomy": {"models": here}},
                "registry": {"models": {f"new:{number}b": {"size": 4096} for number in (1, 2)}},
            }
        )
    )
    run_fleet.write(
        "ollama-fleet.yaml",
        "version: 1\n"
        "models:\n"
        "  chat: {alias: made}\n"
        "  kept:1b: {warm: true}\n"
        "  'new:1b': {}\n"
        "  'new:2b': {}\n"
        "  made: {create: {from: kept:1b, system: One.}}\n"
        "  old:1b: {absent: true}\n",
    )
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    ran = run_fleet("apply", "-i", inventory, "--yes", "-o", "json", environment=QUICK)
    told = json.loads(ran.stdout)
    ended = {(each["action"], each["model"]): each["outcome"] for each in told["results"] if each["host"] == "full"}
    assert ended == {
        ("pull", "new:1b"): "failed",
        ("pull", "new:2b"): "not-tried",
        ("create", "made:latest"): "not-tried",
        ("copy", "chat:latest"): "not-tried",
        ("load", "kept:1b"): "done",
        ("delete", "old:1b"): "not-tried",
    }
    assert {each["message"] for each in told["failures"] if each["model"] == "new:2b"} == {
        "the host's disk is full, so nothing more is brought there in this run"
    }
    assert (ran.code, fleet.names("full")) == (3, {"kept:1b", "old:1b"})
    assert fleet.names("roomy") == {"chat:latest", "kept:1b", "made:latest", "new:1b", "new:2b"}


SMALL = 4096
"""Bytes of a block here."""
TURNS = [pytest.param(30, id="some"), pytest.param(1000, id="very many", marks=pytest.mark.long)]


def rewritten(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff")


def appended(path: Path, at: int) -> None:
    with path.open("ab") as file:
        file.write(bytes(at + 1))


def replaced(path: Path, at: int) -> None:
    other = path.with_name("other")
    other.write_bytes(os.urandom(at + 1))
    other.rename(path)


CHANGES: tuple[Callable[[Path, int], object], ...] = (rewritten, appended, replaced, os.truncate)


@pytest.mark.fault("U4")
@pytest.mark.parametrize("turns", TURNS)
def test_a_file_that_changes_at_any_moment_of_its_upload_leaves_nothing_on_the_host(
    turns: int, tmp_path: Path, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {}}")
    host, settings, chosen = (
        Host(HostName("alpha"), fleet.urls["alpha"], Place("f", 1, 1)),
        Settings(state_dir="/nowhere"),
        random.Random(4),
    )

    async def upload(file: LocalFile, digest: Digest, when: int) -> None:
        """It changes once so many blocks of it were sent."""

        def blocks(opened: Blocks) -> Iterator[memoryview]:
            for number, block in enumerate(chain([memoryview(b"")], opened)):
                yield block
                if number == when:
                    chosen.choice(CHANGES)(Path(file.path), chosen.randrange(opened.size))

        async with connect(host, settings) as client:
            with SharedReads(block=SMALL).open(file) as opened, pytest.raises(ChangedWeights):
                await client.upload_blob(digest, blocks(opened), opened.size)

    async def all_turns() -> None:
        for turn in range(turns):
            path = tmp_path / str(turn)
            content = os.urandom(chosen.randint(1, 5 * SMALL))
            path.write_bytes(content)
            os.utime(path, (0, 0))  # whatever happens to it happens later, however coarse the system's clock is
            file = LocalFile("a", str(path), "a", Stamp.of(path.stat()), Format.GGUF)
            await upload(file, Digest(hashlib.sha256(content).hexdigest()), chosen.randrange(-(-len(content) // SMALL)))
            path.unlink()

    asyncio.run(all_turns())
    state = fleet.state("alpha")
    assert (state["blobs"], state["orphans"], state["models"]) == ({}, {}, {})


SWAPPING = """
import os, sys
one, other, first, second = sys.argv[1:]
print(flush=True)
while True:
    for here, there in ((one, other), (first, second)):
        os.rename(here, here + "-aside")
        os.rename(there, here)
        os.rename(here + "-aside", there)
"""


@pytest.mark.fault("U6", "D19")
@pytest.mark.parametrize("turns", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_link_that_is_swapped_while_it_is_looked_at_leads_nowhere(turns: int, tmp_path: Path) -> None:
    """The file, or the folder that it lies in, is now itself and now a link to what is nobody's business."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    for folder in (outside, root / "inner", root / "kept"):
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(b"secret" if folder is outside else b"public")
    pairs = [(root / "inner", root / "out"), (root / "kept" / "a", root / "kept" / "b")]
    for one, other in pairs:
        other.symlink_to(outside / one.relative_to(one.parent) if one.is_file() else outside)
    command = [sys.executable, "-c", SWAPPING, *(str(path) for pair in pairs for path in pair)]
    seen: Counter[str] = Counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapping:
        assert swapping.stdout is not None
        swapping.stdout.readline()
        for turn in range(turns):
            path = root / ("inner", "kept")[turn % 2] / "a"
            try:
                seen[read_below(root, path).decode()] += 1
            except Misread as refused:
                seen[str(refused)] += 1
        swapping.kill()
    assert "secret" not in seen
    assert seen["public"], "it is read while it is itself"
    assert len(seen) > 1, "it was swapped"


@pytest.mark.invariant("E5")
@pytest.mark.fault("U15")
def test_one_file_for_very_many_hosts_is_sent_to_four_at_a_time_and_never_held(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.truncate(path, 4 * BLOCK)
    file = LocalFile("a", str(path), "a", Stamp.of(path.stat()), Format.GGUF)
    digest = Digest("a" * 64)
    blob = LocalBlob(digest, file.stamp.size, (file,))
    at_once = most = sent = 0

    async def host(uploads: Uploads) -> None:
        nonlocal at_once, most, sent
        async with uploads.place(digest):
            at_once += 1
            most = max(most, at_once)
            with await uploads.open(blob) as blocks:
                got = await asyncio.to_thread(lambda: sum(map(len, blocks)))
            sent += got
            at_once -= 1

    async def all_hosts() -> None:
        uploads = Uploads(4)
        await asyncio.gather(*(host(uploads) for _ in range(1000)))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(all_hosts())
    assert (most, sent) == (4, 1000 * 4 * BLOCK)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "in KiB"


@pytest.mark.fault("U9")
@pytest.mark.parametrize("turns", [10, pytest.param(100, marks=pytest.mark.long)])
def test_a_model_whose_file_the_server_wrote_anew_is_not_sent_again(
    turns: int, tmp_path: Path, simulate: Callable[[str], Simulated]
) -> None:
    """Of an adapter over safetensors and of quantized weights, servers keep nothing that was sent."""
    fleet = simulate("hosts: {alpha: {version: 0.32.15}, old: {version: 0.5.4}}")
    (tmp_path / "one.gguf").write_bytes(making.model())
    manifest = "version: 1\nmodels: {made: {create: {files: [one.gguf], quantize: q8_0}}}\n"
    inventory = fleet.inventory(tmp_path / "hosts.yaml")
    (tmp_path / "m.yaml").write_text(manifest, encoding="utf-8")
    settings = Settings(state_dir=str(tmp_path / "s"), ask_registries=False)
    desired = desired_of([str(tmp_path / "m.yaml")], [inventory], None, {}, settings)

    async def passes() -> list[int]:
        hashed = await with_hashed_files(desired, settings.state_dir)
        told = Pass(hashed, fingerprint(hashed), settings)
        found = []
        for _ in range(turns):
            plan = await make_plan(told)
            found.append(len(plan.steps))
            await carry_out(told, plan, Stop())
        return found

    assert asyncio.run(passes()) == [4] + [0] * (turns - 1)
    assert [list(fleet.uploads(host).values()) for host in ("alpha", "old")] == [[1], [1]]
