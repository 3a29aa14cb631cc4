"""Create with fields (`ollama-api.md` 7.3 to 7.8), and from Modelfiles (7.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet.simulate import gguf
from tests.simulate.host.depot import Depot
from tests.simulate.host.talking import LLAMA, Talk, gguf_file


def test_nothing_but_a_base_is_its_copy(based: Callable[..., Talk]) -> None:
    here = based()
    said = here.create("own", from_="base").said
    digests = [layer["digest"] for layer in here.state()["models"]["base:latest"]["layers"]]
    params = digests.pop()
    assert [line.split()[-1] for line in said[:5]] == digests
    assert all(line.startswith("using existing layer ") for line in said[:5])
    assert said[5] == f"using existing layer {params}"
    assert said[6:] == ["writing manifest", "success"]
    assert here.layers("own:latest") == here.layers("base:latest")
    assert {layer["from"] for layer in here.state()["models"]["own:latest"]["layers"][:5]} == {"base:latest"}


def test_texts_replace_those_of_the_base(based: Callable[..., Talk]) -> None:
    here = based()
    body = {
        "system": "Be short.",
        "template": "{{ .Prompt }}",
        "license": ["Apache", "BSD"],
        "parameters": {"top_k": 7, "min_p": 0.5},
        "messages": [{"role": "USER", "content": "ho"}],
    }
    assert here.create("own", from_="base", **body).said[-1] == "success"
    shown = here.show("own")
    assert (shown["system"], shown["template"], shown["license"]) == ("Be short.", "{{ .Prompt }}", "MIT\nApache\nBSD")
    assert shown["messages"] == [{"role": "user", "content": "ho"}]
    parameters = sorted(line.split() for line in shown["parameters"].splitlines())
    assert parameters == [["min_p", "0.5"], ["stop", '"a"'], ["top_k", "7"]]
    assert here.layers("own:latest") == [
        "model",
        "license",
        "template",
        "system",
        "license",
        "license",
        "params",
        "messages",
    ]


def test_creating_over_a_model_removes_what_nothing_uses(based: Callable[..., Talk]) -> None:
    here = based()
    here.create("own", from_="base", system="first")
    before = here.state()["blobs"]
    here.create("own", from_="base", system="second")
    assert len(here.state()["blobs"]) == len(before)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "neither 'from' or 'files' was specified"),
        ({"files": {}}, 400, "unknown type"),
        ({"from": "a//b"}, 400, "invalid model name"),
        ({"from": "m:local:cloud"}, 400, "invalid model name"),
        ({"files": {"../a.gguf": "x"}}, 400, "file path must be relative"),
        ({"files": {"a.gguf": "sha256:0"}}, 500, "invalid digest format"),
        ({"files": {"a.gguf": "sha256:" + "0" * 64}}, 500, "open /var/lib/ollama/models/blobs/sha256-" + "0" * 64 + ": no such file or directory"),
        ({"files": {"weights": "sha256:" + "0" * 64}}, 400, "unknown type"),
        ({"from": "base", "template": "{{ .X"}, 400, "template error: template: :1: unclosed action"),
        ({"from": "base", "license": 5}, 500, "json: cannot unmarshal number into Go value of type []string"),
        ({"from": "base", "license": ["a", 5]}, 500, "json: cannot unmarshal number into Go value of type string"),
        ({"from": "base", "license": {"a": 1}}, 500, "json: cannot unmarshal object into Go value of type []string"),
        ({"from": "base", "license": [True]}, 500, "json: cannot unmarshal bool into Go value of type string"),
        ({"from": "base", "adapters": {"a.gguf": "x"}}, 400, "invalid digest format"),
        ({"from": "base", "adapters": {"a.gguf": ""}}, 400, "invalid digest format"),
        ({"from": "base", "info": {"model_family": 5}}, 400, 'info field "model_family" must be a string'),
        ({"from": "base", "info": {"context_length": "5"}}, 400, 'info field "context_length" must be a number'),
        ({"from": "base", "quantize": "q9"}, 500, "unsupported quantization type Q9 - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0"),
        ({"from": "base", "quantize": "q8_0"}, 500, "quantization is only supported for F16, BF16 and F32 models"),
    ],
)  # fmt: skip
def test_refusals(based: Callable[..., Talk], body: dict[str, Any], status: int, error: str) -> None:
    here = based()
    answer = here.create("own", **body)
    assert answer.error == error
    assert answer.status in {status, 200}
    assert here.create("own", **body, stream=False).status == status
    assert here.names() == ["base:latest"]


@pytest.mark.parametrize("model", ["", "a//b", "m@sha256:" + "1" * 64])
def test_names_that_are_none(based: Callable[..., Talk], model: str) -> None:
    answer = based().create(model, from_="base")
    assert (answer.status, answer.error) == (400, "invalid model name")


def imported(here: Talk, content: bytes, **body: Any) -> list[str]:
    return here.create("m", files={"a.gguf": here.upload(content)}, **body).said


def test_an_import_describes_itself(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    assert imported(here, gguf_file())[0] == "parsing GGUF"
    details = here.show("m")["details"]
    blob = here.upload(gguf_file()).replace(":", "-")
    assert details == {
        "parent_model": f"/var/lib/ollama/models/blobs/{blob}",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "2K",
        "quantization_level": "F16",
    }


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"no gguf at all", "! supplied file was not in GGUF format"),
        (b"GGUF\3\0\0\0", "! EOF"),
        (b"\x1f\x8b\x08....", "! supplied file was not in GGUF format"),
    ],
)
def test_files_that_are_no_models(host: Callable[..., Talk], content: bytes, error: str) -> None:
    assert imported(host(), content)[-1] == error


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"general.type": "adapter"}, "adapter"),
        ({"general.type": "projector"}, "projector"),
        ({"general.type": "mmproj"}, "projector"),
        ({"general.type": "model"}, "model"),
    ],
)
def test_metadata_decide_what_a_file_is(host: Callable[..., Talk], metadata: dict[str, str], kind: str) -> None:
    here = host()
    imported(here, gguf_file(LLAMA | {key: gguf.text(value) for key, value in metadata.items()}))
    assert here.layers("m:latest") == [kind]


def test_an_encoder_alone_is_a_projector(host: Callable[..., Talk]) -> None:
    here = host()
    metadata = {"general.architecture": gguf.text("clip"), "clip.has_vision_encoder": gguf.Value(gguf.Kind.BOOL, True)}
    imported(here, gguf_file(metadata))
    assert here.layers("m:latest") == ["projector"]


def test_adapters_lie_on_their_base(based: Callable[..., Talk]) -> None:
    here = based()
    adapter = here.upload(gguf_file(general__type=gguf.text("adapter")))
    assert here.create("own", from_="base", adapters={"a.gguf": adapter}).said[-1] == "success"
    assert "adapter" in here.layers("own:latest")
    assert f"ADAPTER /var/lib/ollama/models/blobs/{adapter.replace(':', '-')}" in here.show("own")["modelfile"]
    two = here.create("own", from_="base", adapters={"a.gguf": adapter, "b.gguf": adapter})
    assert two.error == "only one adapter is currently supported"
    assert here.post("generate", model="own").status == 200


def test_files_with_more_than_texts_are_not_rewritten(host: Callable[..., Talk]) -> None:
    here = host()
    content = gguf_file(tensors=(gguf.Tensor("blk.0.w", (64,), 0), gguf.Tensor("v.w", (64,), 0)))
    assert "verifying conversion" not in imported(here, content)
    assert here.state()["models"]["m:latest"]["layers"][0]["digest"] == here.upload(content)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.6.8", ["quantizing F16 model to Q8_0"]),
        ("0.24.0", ["quantizing F16 model to Q8_0", "quantizing F16 model to Q8_0", "verifying conversion"]),
        ("0.32.15", ["verifying conversion"]),
    ],
)
def test_quantizing_says(host: Callable[..., Talk], version: str, said: list[str]) -> None:
    here = host(version)
    found = imported(here, gguf_file(), quantize="q8_0")
    assert [line for line in found if "layer" not in line] == ["parsing GGUF", *said, "writing manifest", "success"]
    assert here.show("m")["details"]["quantization_level"] == "Q8_0"


def test_quantizing_to_what_it_is_does_nothing(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    assert imported(here, gguf_file(), quantization="f16")[-1] == "success"
    assert here.state()["models"]["m:latest"]["layers"][0]["digest"] == here.upload(gguf_file())


def test_a_cloud_stub(host: Callable[..., Talk]) -> None:
    here = host()
    info = {"capabilities": ["completion", 5], "model_family": "x", "context_length": 8, "base_name": "X"}
    assert here.create("far", from_="far:8b-cloud", info=info).said[-1] == "success"
    shown = here.show("far")
    assert (shown["remote_model"], shown["remote_host"]) == ("far:8b", "https://ollama.com:443")
    assert shown["model_info"] == {"general.architecture": "x", "general.basename": "X", "x.context_length": 8}
    (listed,) = here.get("tags").json["models"]
    assert listed["remote_model"] == "far:8b"
    assert here.post("generate", model="far", prompt="hi").status == 502
    assert here.post("show", model="far:local").status == 404


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("ollama.com", "https://ollama.com:443"),
        ("/path/", "http://localhost:11434/path"),
        ("host", "http://host:11434"),
        ("https://host:1/p/", "https://host:1/p"),
        ("http://", "http://localhost:11434"),
    ],
)
def test_hosts_of_cloud_stubs(host: Callable[..., Talk], given: str, url: str) -> None:
    here = host()
    here.create("far", from_="m", remote_host=given)
    assert here.show("far")["remote_host"] == url


@pytest.mark.parametrize(
    ("version", "status", "model_left"),
    [("0.5.5", 200, False), ("0.12.5", 200, False), ("0.12.6", 200, True), ("0.32.15", 200, True)],
)
def test_a_missing_base_destroys_the_target_up_to_0_12_5(
    host_of: Callable[..., Talk], version: str, status: int, model_left: bool
) -> None:
    here = host_of(Depot(), version)
    here.seed("victim", system="Be kind.")
    answer = here.create("victim", from_="ghost")
    assert answer.status == status
    assert any("pull model manifest: file does not exist" in line for line in answer.said)
    assert (here.layers("victim:latest") != []) is model_left
    assert (answer.said[-1] == "success") is not model_left


def test_a_missing_base_is_pulled(host_of: Callable[..., Talk]) -> None:
    depot = Depot()
    depot.offer("library/base:latest", b"text", b"{}")
    here = host_of(depot)
    said = here.create("own", from_="base", system="Be kind.").said
    assert [line for line in said if "layer" not in line and "pulling " not in line[:8]] == [
        "verifying sha256 digest",
        "writing manifest",
        "success",
        "writing manifest",
        "success",
    ]
    assert set(here.names()) == {"own:latest", "base:latest"}
