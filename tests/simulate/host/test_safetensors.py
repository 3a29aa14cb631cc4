"""Create from safetensors, as files and as zips of early servers (`ollama-api.md` 7.2, 7.5)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.simulate.host.safe import safetensors
from tests.simulate.host.talking import Answer, Talk

LLAMA = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "max_position_embeddings": 4096}
BERT = {"architectures": ["BertModel"]}
CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'}}{% endfor %}"


def folder(settings: Any = LLAMA, body: bytes | None = None, **more: bytes) -> dict[str, bytes]:
    """The files of a model; keys of `more` have `__` for the dot."""
    files = {
        "config.json": settings if isinstance(settings, bytes) else json.dumps(settings).encode(),
        "tokenizer.json": b"{}",
        "model.safetensors": safetensors(embed=[32, 64], norm=[64]) if body is None else body,
    }
    return files | {name.replace("__", "."): content for name, content in more.items()}


def made(here: Talk, files: Mapping[str, bytes], key: str = "files", **body: Any) -> Answer:
    return here.create("m", **{key: {name: here.upload(content) for name, content in files.items()}}, **body)


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def test_safetensors_are_converted(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    said = made(here, folder()).said
    assert (said[0], said[-1]) == ("converting model", "success")
    shown = here.show("m")
    assert (shown["details"]["family"], shown["details"]["quantization_level"]) == ("llama", "F16")
    assert shown["model_info"]["llama.context_length"] == 4096
    assert {tuple(tensor["shape"]) for tensor in shown["tensors"]} == {(64, 32), (64,)}
    assert here.state()["models"]["m:latest"]["layers"][0]["from"] == ""


def test_equal_files_become_equal_weights(host: Callable[..., Talk]) -> None:
    def digest(version: str, files: Mapping[str, bytes]) -> str:
        here = host(version)
        made(here, files)
        return str(here.state()["models"]["m:latest"]["layers"][0]["digest"])

    one = digest("0.24.0", folder())
    assert digest("0.24.0", folder(README__md=b"not read")) == one
    others = [digest("0.23.0", folder()), digest("0.24.0", folder(tokenizer__json=b"[]"))]
    assert len({one, *others}) == 3


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"model.safetensors": safetensors()}, "open config.json: no such file or directory"),
        (folder({}), "unknown architecture"),
        (folder({"architectures": ["Nope"]}), 'unsupported architecture "Nope"'),
        (folder(b"{"), "parse config.json: unexpected end of JSON input"),
        (folder(BERT, b"short"), "unexpected EOF"),
        (folder(BERT, b"\1\0\0\0\0\0\0\0["), "unexpected end of JSON input"),
        ({**folder(), "../m.safetensors": b""}, "file path must be relative"),
        ({name: body for name, body in folder().items() if "tokenizer" not in name}, "unknown tokenizer format"),
        ({**folder(), "model.safetensors": b"", "sub/config.json": b""}, "unexpected EOF"),
    ],
)
def test_safetensors_that_cannot_be_converted(host: Callable[..., Talk], files: dict[str, bytes], error: str) -> None:
    assert made(host(), files).said[-1] == f"! {error}"


def test_paths_were_not_looked_at_before_0_5_13(host: Callable[..., Talk]) -> None:
    files = {**folder(), "../more.json": b"{}"}
    assert made(host("0.5.12"), files).said[-1] == "success"


@pytest.mark.parametrize(
    ("lost", "errors"),
    [
        ("model.safetensors", {"open model.safetensors: no such file or directory"}),
        ("config.json", {"open config.json: no such file or directory", "unknown type"}),
        ("tokenizer.json", {"unknown tokenizer format", "unknown type"}),
    ],
)
def test_a_file_whose_blob_is_gone_is_told_in_many_ways(host: Callable[..., Talk], lost: str, errors: set[str]) -> None:
    # What is looked at first is chance on a server, too.
    found = set()
    for seed in range(8):
        here = host(seed=seed)
        digests = {name: here.upload(content) for name, content in folder().items()}
        here.engine.lose(digests[lost])
        found.add(here.create("m", files=digests).error)
    assert found == errors


@pytest.mark.parametrize(
    ("config", "body", "level"),
    [
        ({"quantization_config": {"weight_block_size": [64, 64]}}, safetensors({"w": "F8_E4M3"}, w=[64, 64], w_scale_inv=[1, 1]), "Q8_0"),
        ({}, safetensors(w=[64, 64]), "F16"),
    ],
)  # fmt: skip
def test_eight_bit_floats_are_quantized_unasked(
    host: Callable[..., Talk], config: dict[str, Any], body: bytes, level: str
) -> None:
    here = host()
    assert made(here, folder(LLAMA | config, body)).said[-1] == "success"
    assert here.show("m")["details"]["quantization_level"] == level
    assert {tensor["name"] for tensor in here.show("m")["tensors"]} == {"w"}


@pytest.mark.parametrize(
    ("config", "body", "error"),
    [
        ({}, safetensors({"w": "F8_E4M3"}, w=[64, 64]), 'missing fp8 block size metadata for tensor "w"'),
        ({"quantization_config": {"weight_block_size": [64, 64]}}, safetensors({"w": "F8_E4M3"}, w=[64, 64]), 'missing fp8 scale companion for tensor "w"'),
    ],
)  # fmt: skip
def test_eight_bit_floats_that_cannot_be_unpacked(
    host: Callable[..., Talk], config: dict[str, Any], body: bytes, error: str
) -> None:
    assert made(host(), folder(LLAMA | config, body)).error == error


ADAPTER = {"adapter_model.safetensors": safetensors(w=[8, 64]), "adapter_config.json": b'{"lora_alpha": 16}'}


def test_safetensors_of_an_adapter(based: Callable[..., Talk]) -> None:
    here = based()
    said = made(here, ADAPTER, "adapters", from_="base").said
    assert (said[0], said[-1]) == ("converting adapter", "success")
    assert "adapter" in here.layers("m:latest")


@pytest.mark.parametrize(
    ("family", "files", "error"),
    [
        ("gemma3", ADAPTER, "unsupported architecture"),
        ("llama", {"a.safetensors": b""}, "open adapter_config.json: no such file or directory"),
    ],
)
def test_adapters_that_fit_no_base(host: Callable[..., Talk], family: str, files: dict[str, bytes], error: str) -> None:
    here = host()
    here.seed("base", family=family)
    answer = made(here, files, "adapters", from_="base", stream=False)
    assert (answer.status, answer.error) == (400, error)


def test_the_first_servers_knew_no_adapters_in_zips(host: Callable[..., Talk]) -> None:
    here = host("0.3.6")
    here.seed("base")
    said = here.create("m", modelfile=f"FROM base\nADAPTER @{here.upload(zipped(folder()))}").said
    assert (said[:2], said[-1]) == (["converting model"] * 2, "success")
    assert here.layers("m:latest").count("model") == 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_converted_once(host: Callable[..., Talk], compression: int) -> None:
    here = host("0.5.4")
    blob = here.upload(zipped(folder(), compression))
    first = here.create("m", modelfile=f"FROM @{blob}")
    assert (first.said[0], first.said[-1]) == ("converting model", "success")
    assert here.show("m")["details"]["family"] == "llama"
    (weights,) = [layer for layer in here.state()["models"]["m:latest"]["layers"] if layer["kind"] == "model"]
    assert weights["from"] == ""
    again = here.create("m", modelfile=f"FROM @{blob}")
    assert again.said[0] == f"using cached layer {weights['digest']}"
    (cached,) = here.state()["models"]["m:latest"]["layers"]
    assert cached == {**weights, "from": f"/var/lib/ollama/models/blobs/{weights['digest'].replace(':', '-')}"}


def test_a_converted_zip_is_wanted_no_more_until_a_restart(host: Callable[..., Talk]) -> None:
    here = host("0.5.4")
    content = zipped(folder())
    blob = here.upload(content)
    here.create("m", modelfile=f"FROM @{blob}")
    here.engine.lose(blob)
    path = f"/api/blobs/{blob}"
    assert (here.ask("HEAD", path).status, here.ask("POST", path, content).status) == (404, 200)
    assert here.create("n", modelfile=f"FROM @{blob}").said[-1] == "success"
    here.delete("m")
    here.delete("n")
    assert here.ask("POST", path, content).status == 201
    here.create("m", modelfile=f"FROM @{blob}")
    here.restart()
    assert (here.ask("HEAD", path).status, here.ask("POST", path, content).status) == (404, 201)


def test_a_zip_and_its_files_become_the_same(host: Callable[..., Talk]) -> None:
    old, new = host("0.5.4"), host("0.5.5")
    old.create("m", modelfile=f"FROM @{old.upload(zipped(folder()))}")
    made(new, folder())
    digests = [here.state()["models"]["m:latest"]["layers"][0]["digest"] for here in (old, new)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("text", "content", "said"),
    [
        ("FROM base\nADAPTER @{}", zipped(ADAPTER), "success"),
        ("ADAPTER @{}\nFROM base", zipped(ADAPTER), "! no base model specified for the adapter"),
        ("FROM @{}", zipped({"README": b""}), "! open config.json: file does not exist"),
        ("FROM @{}", b"PK\3\4 and no more", "! zip: not a valid zip file"),
    ],
)
def test_zips_of_adapters_and_of_nothing(host: Callable[..., Talk], text: str, content: bytes, said: str) -> None:
    here = host("0.5.4")
    here.seed("base")
    assert here.create("m", modelfile=text.format(here.upload(content))).said[-1] == said


@pytest.mark.parametrize("version", ["0.5.4", "0.9.6", "0.32.15"])
def test_a_chat_template_that_servers_know_brings_layers_of_its_own(host: Callable[..., Talk], version: str) -> None:
    here = host(version)
    files = folder(tokenizer_config__json=json.dumps({"chat_template": CHATML}).encode())
    if version == "0.5.4":
        said = here.create("m", modelfile=f"FROM @{here.upload(zipped(files))}").said
    else:
        said = made(here, files).said
    assert "using autodetected template chatml" in said
    assert here.layers("m:latest") == ["model", "template", "params"]
    assert sorted(here.show("m")["parameters"].split()) == sorted(["stop", '"<|im_start|>"', "stop", '"<|im_end|>"'])


def test_own_texts_stand_above_those_of_a_known_template(host: Callable[..., Talk]) -> None:
    here = host()
    templates = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": CHATML}]
    files = folder(tokenizer_config__json=json.dumps({"chat_template": templates}).encode())
    made(here, files, template="{{ .Prompt }}", parameters={"stop": ["x"]})
    assert here.layers("m:latest") == ["model", "template", "params"]
    assert here.show("m")["parameters"].split() == ["stop", '"x"']
    made(here, folder(tokenizer_config__json=b'{"chat_template": "unheard of"}'))
    assert here.layers("m:latest") == ["model"]
