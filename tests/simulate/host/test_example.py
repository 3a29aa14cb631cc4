"""The models of `examples/manifests/modelfiles`, made by hand in the dialect of each server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.simulate import modelfile
from fleet.simulate.gguf import read
from tests.simulate.example_weights import FOLDER as WEIGHTS
from tests.simulate.example_weights import MADE
from tests.simulate.host.talking import Answer, Talk

FOLDER = WEIGHTS.parent
ALL = ("tiny", "style", "seeing", "rendered", "drafted")
NEWER = ("renderer", "parser", "requires", "draft")


@pytest.mark.parametrize("name", sorted(MADE))
def test_its_small_weights_are_what_is_said_of_them(name: str) -> None:
    assert (WEIGHTS / name).read_bytes() == MADE[name]()


def test_its_copies_are_the_recorded_files() -> None:
    recorded = Path(__file__).parents[2] / "recordings/files"
    for name in ("tiny.gguf", "half.gguf"):
        assert (WEIGHTS / name).read_bytes() == (recorded / name).read_bytes()
    assert read((WEIGHTS / "half.gguf").read_bytes()).file_type == 1


def test_every_instruction_is_there() -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.Modelfile"))
    told = {line.split(" ")[0].lower() for line in texts.splitlines()}
    assert told >= {"from", "parameter", "template", "system", "adapter", "license", "message", *NEWER}


def uploaded(here: Talk, path: str) -> str:
    return here.upload((FOLDER / path).read_bytes())


def by_modelfile(here: Talk, name: str) -> Answer:
    """As a client of early servers: the text, with digests where files were."""
    lines = (FOLDER / f"{name}.Modelfile").read_text(encoding="utf-8").splitlines()
    sent = []
    for line in lines:
        word, _, value = line.partition(" ")
        is_file = word.upper() in {"FROM", "ADAPTER"} and value.startswith("./")
        sent.append(f"{word} @{uploaded(here, value)}" if is_file else line)
    return here.create(f"acme/{name}", modelfile="\n".join(sent))


def by_fields(here: Talk, name: str) -> Answer:
    """As a client of newer servers: what the Modelfile says, as fields."""
    text = (FOLDER / f"{name}.Modelfile").read_text(encoding="utf-8")
    newer = [line.split(" ", 1) for line in text.splitlines() if line.lower().startswith(NEWER)]
    older = "\n".join(line for line in text.splitlines() if not line.lower().startswith(NEWER))
    body: dict[str, Any] = {}
    for word, value in newer:
        is_draft = word.lower() == "draft"
        body |= {"draft_files": {"half.gguf": uploaded(here, value)}} if is_draft else {word.lower(): value}
    for command in modelfile.parse(older, lines=True):
        value = command.value
        match command.name:
            case "model" if value.startswith("./"):
                body.setdefault("files", {})[Path(value).name] = uploaded(here, value)
            case "adapter":
                body["adapters"] = {Path(value).name: uploaded(here, value)}
            case "model":
                body["from_"] = value
            case "license":
                body.setdefault("license", []).append(value)
            case "message":
                role, _, content = value.partition(": ")
                body.setdefault("messages", []).append({"role": role, "content": content})
            case "system" | "template":
                body[command.name] = value
            case "stop":
                body.setdefault("parameters", {}).setdefault("stop", []).append(value)
            case _:
                body.setdefault("parameters", {})[command.name] = float(value)
    return here.create(f"acme/{name}", **body)


@pytest.mark.parametrize("version", ["0.5.4", "0.9.6", "0.24.0", "0.32.15"])
def test_a_server_makes_what_is_meant_for_it(host: Callable[..., Talk], version: str) -> None:
    here = host(version)
    release = here.engine.behaviour.release
    meant = ALL if release >= (0, 30, 0) else ALL[:4] if release >= (0, 14, 0) else ALL[:3]
    make = by_modelfile if version == "0.5.4" else by_fields
    for name in meant:
        assert make(here, name).said[-1] == "success", name
    shown = here.show("acme/tiny")
    assert shown["license"] == "ACME internal use only\nThe weights are random numbers.\nNobody owns them."
    assert shown["system"].encode() == (FOLDER / "system.txt").read_bytes()
    assert sorted(here.layers("acme/seeing:latest")) == ["model", "projector", "system"]
    assert "adapter" in here.layers("acme/style:latest")
    if "drafted" in meant:
        assert "draft" in here.layers("acme/drafted:latest")
    for name in meant:
        assert here.post("generate", model=f"acme/{name}", prompt="hi", stream=False).status == 200


@pytest.mark.parametrize("version", ["0.9.6", "0.24.0", "0.32.15"])
def test_both_ways_of_writing_make_one_model(host: Callable[..., Talk], version: str) -> None:
    here = host(version)
    by_fields(here, "tiny")
    written = yaml.safe_load((FOLDER / "models.yaml").read_text(encoding="utf-8"))["models"]["acme/tiny:fields"][
        "create"
    ]
    texts = {"system": (FOLDER / written["system"]["file"]).read_text(encoding="utf-8")}
    files = {Path(path).name: uploaded(here, path) for path in written["files"]}
    assert here.create("acme/tiny:fields", **{**written, **texts, "files": files}).said[-1] == "success"
    models = here.state()["models"]
    assert models["acme/tiny:fields"]["digest"] == models["acme/tiny:latest"]["digest"]
