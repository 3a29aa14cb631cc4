"""`fleet validate` by the installed command: exit codes, streams, and everything told at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

INVENTORY = "version: 1\nname: prod\nhosts: {gpu-a: a.lan, gpu-b: b.lan}\n"
MANIFEST = (
    "version: 1\nmodels:\n  llama3.1:8b:\n  chat: {alias: llama3.1:8b, where: name=gpu-a}\n  old-*: {absent: true}\n"
)


def fleet(*arguments: str, folder: Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "fleet", *arguments],
        cwd=folder,
        input=stdin,
        env={**kept, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_is_sound_is_counted(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(INVENTORY)
    (tmp_path / "ollama-fleet.yaml").write_text(MANIFEST)
    done = fleet("validate", "-i", "hosts.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "fleet `prod`: no fault; 2 hosts, 2 models, 1 to be gone\n",
        "",
    )


def test_standard_input_and_this_machine(tmp_path: Path) -> None:
    done = fleet("validate", "-f", "-", folder=tmp_path, stdin="version: 1\nmodels: {m: }\n")
    assert (done.returncode, done.stdout) == (0, "fleet `default`: no fault; 1 host, 1 model\n")
    done = fleet("validate", "-f", "-", folder=tmp_path, stdin="version: 1\nmodels: {m: }\n", OLLAMA_HOST="u:p@x")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("$OLLAMA_HOST:1:1: a host's address holds no credentials\n")


def test_every_fault_is_told_at_once_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nmodels:\n  a: {warn: true}\n  b: {alias: b}\n")
    (tmp_path / "b.yaml").write_text("[" * 100_000)
    (tmp_path / "c.yaml").write_text("version: 3\n")
    done = fleet("validate", "-f", ".", "-f", "gone.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "./a.yaml:3:7: models.a.warn: unknown key\n"
        "  hint: did you mean `warm`?\n"
        "./b.yaml:1:65: nested deeper than 64 levels\n"
        "./c.yaml:1:10: version: format 3 is not known here; wants `1`\n"
        "gone.yaml:1:1: cannot be read: No such file or directory\n"
        "error: 4 faults in inventory and manifests\n"
    )


def test_faults_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nmodels:\n  a: {warn: true}\n")
    done = fleet("validate", "-f", "a.yaml", "-o", "json", folder=tmp_path)
    assert done.returncode == 4
    assert json.loads(done.stdout) == {
        "type": "validation",
        "format": 1,
        "sound": False,
        "faults": [
            {
                "file": "a.yaml",
                "line": 3,
                "column": 7,
                "path": "models.a.warn",
                "text": "unknown key",
                "hint": "did you mean `warm`?",
            }
        ],
        "exit_code": 4,
    }
    assert done.stderr.endswith("error: 1 fault in inventory and manifests\n")


def test_soundness_as_json(tmp_path: Path) -> None:
    (tmp_path / "ollama-fleet.yaml").write_text("version: 1\nmodels: {m: , x*: {absent: true}}\n")
    done = fleet("validate", "-o", "json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "type": "validation",
        "format": 1,
        "sound": True,
        "name": "default",
        "hosts": 1,
        "models": 1,
        "absent": 1,
        "faults": [],
        "exit_code": 0,
    }


def test_no_manifest_at_all(tmp_path: Path) -> None:
    done = fleet("validate", folder=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("ollama-fleet.yaml:1:1: there is no such file here\n")


def test_a_label_without_self_is_a_wrong_command_line(tmp_path: Path) -> None:
    done = fleet("validate", "--label", "a=b", folder=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")


def test_this_machine_by_name(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("version: 1\nmodels: {m: {where: role=rag}}\n")
    done = fleet("validate", "-f", "m.yaml", "--self", "gpu-7", "--label", "role=rag", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "fleet `default`: no fault; 1 host, 1 model\n")


def test_markdown_for_a_merge_request(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(INVENTORY)
    (tmp_path / "ollama-fleet.yaml").write_text(MANIFEST)
    done = fleet("validate", "-i", "hosts.yaml", "-o", "markdown", folder=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        "<!-- ollama-fleet: validation of prod -->\n### fleet `prod`: no fault; 2 hosts, 2 models, 1 to be gone\n",
    )
    (tmp_path / "ollama-fleet.yaml").write_text("version: 1\nmodels:\n  a: {warn: true}\n  b: {alias: b, <b>: 1}\n")
    done = fleet("validate", "-o", "markdown", folder=tmp_path)
    assert done.returncode == 4
    assert done.stdout == (
        "<!-- ollama-fleet: error -->\n"
        "### fleet: the manifests or the inventory are wrong as written (FLT-401), exit code 4\n\n"
        "- `ollama-fleet.yaml:3:7: models.a.warn: unknown key`\n"
        "  - `` hint: did you mean `warm`? ``\n"
        "- `ollama-fleet.yaml:4:17: models.b.<b>: unknown key`\n"
    )
