"""Create from Modelfiles (`ollama-api.md` 7.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.simulate import gguf
from tests.simulate.host.depot import Depot
from tests.simulate.host.talking import Talk, gguf_file

MODELFILE = """FROM base
TEMPLATE "{{ .Prompt }}"
SYSTEM Be short.
LICENSE Apache
PARAMETER top_k 7
PARAMETER temperature 0.7
PARAMETER use_mmap true
PARAMETER stop x
PARAMETER stop y
MESSAGE user hi: there
"""


def test_a_modelfile(based: Callable[..., Talk]) -> None:
    here = based("0.5.4")
    said = here.create("own", modelfile=MODELFILE).said
    assert said[-2:] == ["writing manifest", "success"]
    shown = here.show("own")
    assert (shown["system"], shown["license"]) == ("Be short.", "MIT\nApache")
    assert shown["messages"] == [{"role": "user", "content": "hi: there"}]
    found = sorted(line.split() for line in shown["parameters"].splitlines())
    assert found == [
        ["stop", '"x"'],
        ["stop", '"y"'],
        ["temperature", "0.7"],
        ["top_k", "7"],
        ["use_mmap", "true"],
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("FROM ./weights.gguf", "invalid model reference: ./weights.gguf"),
        ("FROM .", "read .: is a directory"),
        ("FROM base\nADAPTER base", "invalid model reference: base"),
        ("FROM @sha256:0", "invalid digest format"),
        ("FROM @", "read /var/lib/ollama/models/blobs: is a directory"),
        ("FROM base\nPARAMETER nope 1", "unknown parameter 'nope'"),
        ("FROM base\nPARAMETER top_k x", "invalid int value [x]"),
        ("FROM base\nPARAMETER top_k 99999999999999999999", "invalid int value [99999999999999999999]"),
        ("FROM base\nPARAMETER top_p 1e999", "invalid float value [1e999]"),
        ("FROM base\nPARAMETER use_mmap maybe", "invalid bool value [maybe]"),
        ("FROM base\nTEMPLATE {{ .X", "template error: template: :1: unclosed action"),
    ],
)
def test_modelfiles_that_come_to_nothing(based: Callable[..., Talk], text: str, error: str) -> None:
    here = based("0.5.4")
    assert here.create("own", modelfile=text).error == error
    assert here.names() == ["base:latest"]


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"%PDF-1", "application/pdf"), (b"text", "text/plain; charset=utf-8"), (b"\0\1", "unknown"), (b"lmgg", "ggml")],
)
def test_uploaded_files_that_are_no_models(host: Callable[..., Talk], content: bytes, found: str) -> None:
    here = host("0.5.4")
    error = here.create("m", modelfile=f"FROM @{here.upload(content)}").error
    assert error == f"unsupported content type: {found}"


def test_several_models_in_one_file_are_layers_of_their_own(host: Callable[..., Talk]) -> None:
    here = host("0.5.4")
    both = [gguf_file(), gguf_file(general__type=gguf.text("adapter"))]
    assert here.create("m", modelfile=f"FROM @{here.upload(b''.join(both))}").said[-1] == "success"
    layers = here.state()["models"]["m:latest"]["layers"]
    assert [(layer["kind"], layer["size"], layer["from"]) for layer in layers] == [
        ("model", len(both[0]), ""),
        ("adapter", len(both[1]), ""),
    ]


def test_bytes_after_the_tensors_are_taken_for_another_model(host: Callable[..., Talk]) -> None:
    here = host("0.5.4")
    assert here.create("m", modelfile=f"FROM @{here.upload(gguf_file() + b'more')}").error == "invalid file magic"
    cut = gguf_file()[:-100]
    assert here.create("m", modelfile=f"FROM @{here.upload(cut)}").said[-1] == "success"
    (layer,) = here.state()["models"]["m:latest"]["layers"]
    assert (layer["digest"], layer["from"]) == (here.upload(cut), "")


@pytest.mark.parametrize(("version", "error"), [("0.5.1", "path or modelfile are required"), ("0.5.2", "path or Modelfile are required")])  # fmt: skip
def test_a_modelfile_is_required(host: Callable[..., Talk], version: str, error: str) -> None:
    here = host(version)
    assert here.create("m").error == error
    assert here.create("m", path="/x").error == "error reading modelfile: open /x: no such file or directory"
    assert here.create("m", modelfile="NOPE").status == 400


def test_a_base_of_a_modelfile_is_pulled(host_of: Callable[..., Talk]) -> None:
    depot = Depot()
    depot.offer("library/base:latest", b"text", b"{}")
    here = host_of(depot, "0.5.4")
    assert here.create("own", modelfile="FROM base").said.count("success") == 2
    assert here.create("other", modelfile="FROM ghost").error == "pull model manifest: file does not exist"
    assert here.create("bad", modelfile="FROM base\nSYSTEM x", stream=False).json == {"status": "success"}
