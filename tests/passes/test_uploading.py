"""Files of this machine on their way to hosts: each is read and sent as seldom as can be, and through every fault."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.names import Digest
from fleet.state.digests import Digests
from fleet.weights.local import Stamp
from tests.fleet_command import FleetCommand, Ran, Started
from tests.simulated import Simulated
from tests.weights import making

Simulate = Callable[[str], Simulated]

FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")
QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_GRACE": "0"}
ONE = making.model(general__name="one")
OTHER = making.model(general__name="two")
ONE_DIGEST = f"sha256:{hashlib.sha256(ONE).hexdigest()}"
MADE = 'version: 1\nmodels: {acme/made: {create: {files: [one.gguf], system: "New."}}}\n'
TINY = Path(__file__).parents[2] / "examples" / "manifests" / "modelfiles" / "weights" / "tiny.gguf"


def begin(run_fleet: FleetCommand, simulate: Simulate, hosts: object) -> Simulated:
    fleet = simulate(json.dumps({"hosts": hosts, "registry": {"models": {}}}))
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    (run_fleet.folder / "one.gguf").write_bytes(ONE)
    return fleet


def run(run_fleet: FleetCommand, verb: str, *more: str, manifest: str | None = None) -> Ran:
    return run_fleet(verb, *FILES, *more, manifest=manifest, environment=QUICK)


def report(run_fleet: FleetCommand, verb: str, *more: str, manifest: str | None = None) -> dict[str, Any]:
    ran = run(run_fleet, verb, *more, "-o", "json", manifest=manifest)
    assert ran.stdout, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["exit_code"] == ran.code
    return found


def large(path: Path, size: int = 24 << 20) -> None:
    """A model of about so many bytes, which take no room on this disk."""
    head = making.gguf(making.LLAMA, [making.Tensor("token_embd.weight", (1024, size >> 11))])
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) - (1 << 20) + size)


def read_by(process: Started) -> int:
    """Bytes that a command read from files until its end, which is waited for."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    told = Path(f"/proc/{process.pid}/io").read_text(encoding="ascii")
    return int(told.split()[1])


@pytest.mark.fault("U9", "U13")
def test_a_file_is_hashed_once_and_sent_once_to_each_host(run_fleet: FleetCommand, simulate: Simulate) -> None:
    hosts = {"old": {"version": "0.5.4"}, "middle": {"version": "0.9.6"}, "new": {"version": "0.32.15"}}
    fleet = begin(run_fleet, simulate, hosts)
    size = 8 << 20
    large(run_fleet.folder / "one.gguf", size)
    made = "{create: {files: [one.gguf]}}"
    run_fleet.write("ollama-fleet.yaml", f'version: 1\nmodels: {{"acme/made:1": {made}, "acme/made:2": {made}}}\n')
    with run_fleet.installed().start("validate", *FILES) as process:
        looked = read_by(process)
    with run_fleet.installed().start("apply", *FILES, "--yes") as process:
        read = read_by(process) - looked
        told = process.communicate()[0]
    assert "Done: 3 uploaded, 6 created on 3 hosts in " in told
    assert size <= read < (1 + len(hosts)) * size + size // 2, "once to be hashed, and once for each host at most"
    assert [list(fleet.uploads(host).values()) for host in hosts] == [[1], [1], [1]]

    fleet.reset()
    again = run(run_fleet, "apply", "--yes")
    assert (again.code, again.stdout) == (0, "Nothing to do: 6 items as desired on 3 hosts\n")
    assert fleet.changing() == 0


@dataclass(frozen=True, slots=True)
class Case:
    """A host with a fault: how often the file is sent to it in the first run, and the code that ends it, if one does."""

    fault: dict[str, object]
    sent: int
    code: str | None = None
    version: str = "0.32.15"


def at(kind: str, endpoint: str = "blob_post", **more: object) -> dict[str, object]:
    return {"fault": kind, "endpoint": endpoint, **more}


MIDDLE = len(ONE) // 2
CASES = {
    "answer-lost": Case(at("lost-answer", times=1), sent=1),
    "busy-once": Case(at("status", status=503, times=1), sent=2),
    "damaged": Case(at("corrupt", byte=MIDDLE), sent=2, code="FLT-212"),
    "damaged-once": Case(at("corrupt", byte=MIDDLE, times=1), sent=2),
    "disk-full": Case(at("full-disk"), sent=1, code="FLT-211"),
    "disk-full-on-the-way": Case(at("full-disk", bytes=MIDDLE), sent=1, code="FLT-211"),
    "fine": Case(at("slow", "push"), sent=1),
    "lost-before-create": Case(at("lost-upload", "create", times=1), sent=2),
    "lost-before-create-old": Case(at("lost-upload", "create", times=1), sent=2, version="0.5.4"),
    "lost-each-time": Case(at("lost-upload", "create"), sent=2, code="FLT-222"),
    "proxy-with-a-limit": Case(at("status", status=413, body="<html>Too Large</html>"), sent=1, code="FLT-201"),
    "reset-at-first": Case(at("reset", bytes=0, times=1), sent=2),
    "reset-at-last": Case(at("reset", bytes=len(ONE), times=1), sent=2, version="0.5.4"),
    "reset-each-time": Case(at("reset", bytes=MIDDLE), sent=3, code="FLT-203"),
    "reset-in-the-middle": Case(at("reset", bytes=MIDDLE, times=1), sent=2, version="0.9.6"),
    "restarted": Case(at("restart-before", "create", idle="2h"), sent=2),
    "restarted-old": Case(at("restart-before", "create"), sent=2, version="0.9.6"),
    "said-there-each-time": Case(at("early-success", bytes=MIDDLE), sent=2, code="FLT-206"),
    "said-there-once": Case(at("early-success", bytes=MIDDLE, times=1), sent=2),
}


@pytest.mark.fault("U1", "U2", "U3", "U7", "U8", "U12")
def test_an_upload_ends_well_or_says_why_not(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = begin(
        run_fleet, simulate, {name: {"version": case.version, "faults": [case.fault]} for name, case in CASES.items()}
    )
    first = report(run_fleet, "apply", "--yes", manifest=MADE)
    failures = {each["host"]: each for each in first["failures"] if each["outcome"] != "not-tried"}
    ended = {name: (fleet.uploads(name)[ONE_DIGEST], failures.get(name, {}).get("code")) for name in CASES}
    assert ended == {name: (case.sent, case.code) for name, case in CASES.items()}
    for name, case in CASES.items():
        assert fleet.names(name) == ({"acme/made:latest"} if case.code is None else set()), name
    assert {name for name in failures if not failures[name]["message"].startswith("one.gguf: ")} == {"lost-each-time"}
    assert {name for name in failures if failures[name]["outcome"] == "unknown"} == {"reset-each-time"}

    (orphan,) = fleet.state("damaged")["orphans"]
    assert failures["damaged"]["message"] == (
        f"one.gguf: the host received something else than was sent, and holds 3.1 KB that nothing uses: {orphan[:19]}"
    )
    assert failures["damaged"]["told"] == f'digest mismatch, expected "{ONE_DIGEST}", got "{orphan}"'
    assert "no space left on device" in failures["disk-full"]["message"]
    assert fleet.state("disk-full-on-the-way")["blobs"] == {}

    for name in CASES:
        fleet.heal(name)
    fleet.reset()
    second = report(run_fleet, "apply", "--yes")
    assert (second["exit_code"], second["failures"]) == (0, [])
    made = {name for name, case in CASES.items() if case.code is not None}
    assert {name for name in CASES if fleet.uploads(name)} == made, "what is there is not sent again"
    assert {step["host"] for step in second["steps"]} == made


@pytest.mark.fault("U3", "U14")
def test_what_is_remembered_of_a_file_is_doubted_where_a_host_says_otherwise(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    """The same size and times as before, and another content: only the host notices (`reliability.md` U14)."""
    fleet = begin(run_fleet, simulate, {"alpha": {}})
    inventory = run_fleet.folder / "hosts.yaml"
    inventory.write_text(f"{inventory.read_text()}file_roots: [{TINY.parent}]\n")
    with Digests(str(run_fleet.folder / "state" / "ollama-fleet")) as digests:
        digests.put(Stamp.of(TINY.stat()), Digest("1" * 64))
    manifest = MADE.replace("one.gguf", str(TINY))
    ran = run(run_fleet, "apply", "--yes", manifest=manifest)
    actual = hashlib.sha256(TINY.read_bytes()).hexdigest()[:12]
    assert ran.code == 3
    assert f"tiny.gguf cannot be sent: it is sha256:{actual}, and was remembered as sha256:111111111111" in ran.stdout
    assert "hint: `--rehash` reads local files anew" in ran.stdout
    assert fleet.names("alpha") == set()
    assert run(run_fleet, "apply", "--yes", "--rehash").code == 0
    assert fleet.names("alpha") == {"acme/made:latest"}


@pytest.mark.fault("U4")
def test_a_file_that_is_written_to_meanwhile_is_not_made_a_model_of(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    models = {f"acme/{name}": {"size": 4096, "system": "Former."} for name in ("a", "b", "c")}
    fleet = begin(run_fleet, simulate, {"alpha": {"models": models}})
    before = fleet.state("alpha")["models"]
    fleet.fault("alpha", at("trickle", part=0, bytes="1MB", interval="250ms", times=1))
    first, second, third = (run_fleet.folder / f"{name}.gguf" for name in ("first", "second", "third"))
    large(first)
    second.write_bytes(ONE)
    third.write_bytes(OTHER)
    entries = [
        f"  acme/{name}: {{create: {{files: [{path.name}], system: New.}}}}\n"
        for name, path in zip("abc", (first, second, third), strict=True)
    ]
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels:\n" + "".join(entries))
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl", environment=QUICK) as process:
        assert process.stdout is not None
        events = (json.loads(line) for line in process.stdout)
        next(event for event in events if event["type"] == "step-moved")
        with first.open("r+b") as file:
            file.write(b"GGUF")
        second.write_bytes(OTHER)
        third.unlink()
        *_, ended = events
    assert ended["exit_code"] == 3
    uploads = [failure for failure in ended["failures"] if failure["action"] == "upload"]
    assert {failure["code"] for failure in uploads} == {"FLT-226"}
    assert [failure["message"] for failure in uploads] == [
        "first.gguf cannot be sent: changed while it was read",
        "second.gguf cannot be sent: changed since the manifests were read",
        "third.gguf cannot be sent: moved, removed or replaced since the manifests were read",
    ]
    assert [result["outcome"] for result in ended["results"] if result["action"] == "create"] == ["not-tried"] * 3
    state = fleet.state("alpha")
    assert (state["models"], state["orphans"]) == (before, {})


@pytest.mark.fault("U5", "U6")
def test_files_that_no_model_can_be_made_from_are_faults_of_the_manifest(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = begin(run_fleet, simulate, {"alpha": {}})
    folder = run_fleet.folder / "manifests"
    (folder / "w").mkdir(parents=True)
    (folder / "w" / "cut.gguf").write_bytes(ONE[:-100])
    (folder / "w" / "lfs.gguf").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 4683073184\n"
    )
    os.mkfifo(folder / "w" / "fifo.gguf")
    (folder / "w" / "link.gguf").symlink_to(run_fleet.folder / "one.gguf")
    (folder / "w" / "empty.gguf").write_bytes(b"")
    (folder / "w" / "Modelfile").write_text("FROM ./gone.gguf\n")
    (folder / "fleet.yaml").write_text(
        "version: 1\n"
        "models:\n"
        "  acme/cut: {create: {files: [w/cut.gguf]}}\n"
        "  acme/empty: {create: {files: [w/empty.gguf]}}\n"
        "  acme/fifo: {create: {files: [w/fifo.gguf]}}\n"
        "  acme/lfs: {create: {files: [w/lfs.gguf]}}\n"
        "  acme/link: {create: {files: [w/link.gguf]}}\n"
        "  acme/missing: {create: {files: [w/missing.gguf]}}\n"
        "  acme/modelfile: {create: {modelfile: w/Modelfile}}\n"
        "  acme/outside: {create: {files: [../one.gguf]}}\n"
    )
    ran = run_fleet("plan", "-i", "hosts.yaml", "-f", "manifests")
    assert (ran.code, ran.stdout) == (4, "")
    where = "manifests/fleet.yaml"
    out = "leads out of the manifest's folder\n  hint: name another folder that files may lie in as `file_roots`"
    cut = f"tensor `output_norm.weight` ends at byte {len(ONE):,}, the file at {len(ONE) - 100:,}"
    assert ran.stderr.splitlines() == [
        f"{where}:3:31: models.acme/cut.create.files: w/cut.gguf: cut short or damaged: {cut}",
        "  hint: copy or download it again",
        f"{where}:4:33: models.acme/empty.create.files: w/empty.gguf: empty",
        f"{where}:5:32: models.acme/fifo.create.files: w/fifo.gguf: this is a FIFO, not a file",
        f"{where}:6:31: models.acme/lfs.create.files: w/lfs.gguf: a Git LFS pointer, not the file itself",
        "  hint: run `git lfs pull` where it was cloned",
        *f"{where}:7:32: models.acme/link.create.files: w/link.gguf: {out}".splitlines(),
        f"{where}:8:35: models.acme/missing.create.files: w/missing.gguf: there is no such file or folder",
        *f"{where}:10:35: models.acme/outside.create.files: ../one.gguf: {out}".splitlines(),
        "manifests/w/Modelfile:1:1: models.acme/modelfile.create.modelfile: ./gone.gguf: there is no such file or folder",
        "error: 8 faults in inventory and manifests",
    ]
    assert fleet.requests() == []


def test_a_file_must_be_what_the_manifest_says(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = begin(run_fleet, simulate, {"alpha": {}})
    manifest = MADE.replace("[one.gguf]", f'[{{path: ./one.gguf, sha256: "{"0" * 64}"}}]')
    assert run(run_fleet, "validate", manifest=manifest).code == 0, "it hashes nothing"
    ran = run(run_fleet, "apply", "--yes")
    assert (ran.code, ran.stdout) == (4, "")
    assert ran.stderr == (
        f"error: ./one.gguf: not what the manifest says: its SHA-256 is `{ONE_DIGEST}`, declared is `sha256:{'0' * 64}`\n"
        "\nhint: fetch the right file, or declare the digest of this one\n"
    )
    assert fleet.requests() == []
    right = manifest.replace("0" * 64, ONE_DIGEST)
    assert run(run_fleet, "apply", "--yes", manifest=right).code == 0


def test_each_version_is_sent_what_it_can_make_models_of(run_fleet: FleetCommand, simulate: Simulate) -> None:
    versions = {"a": "0.5.4", "b": "0.9.6", "c": "0.24.0", "d": "0.32.15"}
    fleet = begin(run_fleet, simulate, {name: {"version": version} for name, version in versions.items()})
    making.folder(run_fleet.folder / "tensors")
    pieces = making.pieces(3)
    for name, content in pieces.items():
        (run_fleet.folder / name).write_bytes(content)
    manifest = (
        "version: 1\n"
        "models:\n"
        f"  acme/split: {{where: 'name in (c,d)', create: {{files: [{', '.join(pieces)}]}}}}\n"
        "  acme/tensors: {where: 'name in (a,d)', create: {files: [tensors], system: One.}}\n"
        "  acme/tensors:2: {where: name=a, create: {files: [tensors], system: Two.}}\n"
        "  acme/small: {where: 'name in (a,b)', create: {files: [one.gguf], quantize: Q5_K_S}}\n"
    )
    first = report(run_fleet, "apply", "--yes", manifest=manifest)
    assert (first["exit_code"], first["failures"]) == (3, [])
    assert {(each["host"], each["model"]): (each["code"], each["message"]) for each in first["blocked"]} == {
        ("b", "acme/small:latest"): (
            "FLT-315",
            "`quantize: Q5_K_S`: Ollama 0.9.6 makes only F32, F16, BF16, Q8_0, Q4_K_S and Q4_K_M",
        ),
        ("c", "acme/split:latest"): ("FLT-301", "a split GGUF needs Ollama 0.30.0, the host has 0.24.0"),
    }
    assert {name: fleet.names(name) for name in versions} == {
        "a": {"acme/small:latest", "acme/tensors:latest", "acme/tensors:2"},
        "b": set(),
        "c": set(),
        "d": {"acme/split:latest", "acme/tensors:latest"},
    }
    (archive,) = [step for step in first["steps"] if step["host"] == "a" and step["file"] == "6 files as one archive"]
    (zipped,) = fleet.uploads("a").keys() - {ONE_DIGEST}
    assert fleet.state("a")["blobs"][zipped] == archive["bytes_to_transfer"]
    assert set(fleet.uploads("a").values()) == {1}, "once for both models"
    told = sorted(step["file"] for step in first["steps"] if step["host"] == "d" and step["action"] == "upload")
    assert told == [*sorted(pieces), *sorted(f"tensors/{path}" for path in TENSORS)]

    # The server wants the archive no more that it converted, although it has it no more.
    fleet.post("/hosts/a/lose", {"digest": zipped})
    second = report(run_fleet, "apply", "--yes", manifest=manifest.replace("One.", "New."))
    assert second["failures"] == []
    answers = [each["status"] for each in fleet.requests() if each["kind"] == "blob_post" and zipped in each["path"]]
    assert answers == [201, 200, 200], "taken once, and not wanted before the create and with it"
    assert report(run_fleet, "plan")["steps"] == []


TENSORS = (
    "1_Pooling/config.json",
    "chat_template.jinja",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer.model",
)


def test_an_upload_that_is_killed_is_finished_by_the_next_run(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = slowly(run_fleet, simulate)
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl", environment=QUICK) as process:
        assert process.stdout is not None
        events = (json.loads(line) for line in process.stdout)
        moved = next(event for event in events if event["type"] == "step-moved" and event["completed"])
        os.kill(process.pid, signal.SIGKILL)
    assert (moved["action"], moved["status"], moved["total"]) == (
        "upload",
        "uploading",
        (run_fleet.folder / "one.gguf").stat().st_size,
    )
    assert finished(run_fleet, fleet)


@pytest.mark.fault("K1")
def test_an_upload_tells_how_far_it_is_and_can_be_interrupted(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = slowly(run_fleet, simulate)
    with run_fleet.start("apply", *FILES, "--yes", environment=QUICK) as process:
        assert process.stderr is not None
        told = next(process.stderr)
        os.kill(process.pid, signal.SIGTERM)
        shown, error = process.communicate()
    assert re.match(r"alpha: upload acme/made:latest: begun, \d+ %, [\d.]+ of 25\.2 MB", told), told
    assert process.returncode == 143
    assert "anything else may take up to 0s to end" in error
    assert "alpha, step 1, upload acme/made:latest: unknown how it ended: one.gguf: interrupted" in shown
    assert "Terminated: nothing was done in " in shown
    assert finished(run_fleet, fleet)


def slowly(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    """A host that takes 4 MB a second of a file that is much larger."""
    fleet = begin(run_fleet, simulate, {"alpha": {}})
    large(run_fleet.folder / "one.gguf")
    fleet.fault("alpha", at("trickle", part=0, bytes="1MB", interval="250ms"))
    run_fleet.write("ollama-fleet.yaml", MADE)
    return fleet


def finished(run_fleet: FleetCommand, fleet: Simulated) -> bool:
    """By the next run, of what was not even begun before."""
    assert fleet.state("alpha")["blobs"] == {}
    fleet.heal("alpha")
    ran = run(run_fleet, "apply", "--yes")
    assert "Done: 1 uploaded, 1 created on 1 host in " in ran.stdout
    return ran.code == 0 and fleet.names("alpha") == {"acme/made:latest"}
