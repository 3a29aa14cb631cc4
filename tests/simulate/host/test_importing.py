"""GGUFs of several files and kinds as create takes them in, and what it makes of them (`ollama-api.md` 4.4, 7.5, 7.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fleet.simulate import gguf
from fleet.simulate.gguf import Kind, Tensor, Value
from tests.simulate.host.talking import LLAMA, TENSORS, Answer, Talk, gguf_file, shards

BLOBS = "/var/lib/ollama/models/blobs"
PROJECTOR = {
    "general.architecture": gguf.text("clip"),
    "general.type": gguf.text("projector"),
    "clip.has_vision_encoder": Value(Kind.BOOL, True),
    "clip.vision.block_count": gguf.uint(1),
}
EYES = gguf_file(PROJECTOR | {"clip.projector_type": gguf.text("mlp")}, (Tensor("v.w", (64,), 0),))


def made(here: Talk, files: Mapping[str, bytes], **body: Any) -> Answer:
    return here.create("m", files={name: here.upload(content) for name, content in files.items()}, **body)


def layers(here: Talk, model: str = "m:latest") -> list[dict[str, Any]]:
    return list(here.state()["models"][model]["layers"])


def in_blobs(digest: str) -> str:
    return f"{BLOBS}/{digest.replace(':', '-')}"


def weights_of(here: Talk, digest: str) -> bytes:
    return here.engine.store.blobs.read(digest)


def test_a_model_and_its_projector_in_both_dialects(host: Callable[..., Talk]) -> None:
    for version in ("0.5.4", "0.9.6", "0.24.0", "0.32.15"):
        here = host(version)
        files = {"model.gguf": gguf_file(), "eyes.gguf": EYES}
        if version == "0.5.4":
            lines = "".join(f"FROM @{here.upload(content)}\n" for content in files.values())
            answer = here.create("m", modelfile=lines)
        else:
            answer = made(here, files)
        assert answer.said[-1] == "success"
        assert sorted(here.layers("m:latest")) == ["model", "projector"]
        shown = here.show("m")
        assert f"\nFROM {in_blobs(here.upload(EYES))}\n" in shown["modelfile"], version
        assert shown["projector_info"]["general.architecture"] == "clip"
        # Before 0.30 projectors count as families as well.
        assert set(shown["details"]["families"]) == ({"llama"} if version == "0.32.15" else {"llama", "clip"})


def test_the_order_of_several_files_is_chance_before_0_30(host: Callable[..., Talk]) -> None:
    files = {"model.gguf": gguf_file(), "eyes.gguf": EYES}

    def orders(version: str) -> set[tuple[str, ...]]:
        found = set()
        for seed in range(8):
            here = host(version, seed=seed)
            made(here, files)
            found.add(tuple(here.layers("m:latest")))
        return found

    both = {("model", "projector"), ("projector", "model")}
    assert (orders("0.9.6"), orders("0.24.0")) == (both, both)
    assert orders("0.32.15") == {("projector", "model")}
    here, again = host("0.24.0", seed=3), set()
    for _ in range(20):
        made(here, files)
        again.add(tuple(here.layers("m:latest")))
    assert again == both, "each create finds an order of its own"


@pytest.mark.parametrize(("version", "origin"), [("0.5.5", "blob"), ("0.24.0", "blob"), ("0.32.15", "sub/eyes.gguf")])
def test_an_import_says_where_it_came_from(host: Callable[..., Talk], version: str, origin: str) -> None:
    here = host(version)
    made(here, {"model.gguf": gguf_file(), "sub/eyes.gguf": EYES})
    (layer,) = [layer for layer in layers(here) if layer["kind"] == "projector"]
    assert layer["from"] == (in_blobs(layer["digest"]) if origin == "blob" else origin)
    (model,) = [layer for layer in layers(here) if layer["kind"] == "model"]
    assert model["from"] == ("" if version == "0.32.15" else in_blobs(model["digest"]))
    here.create("n", from_="m", system="Be kind.")
    assert {layer["from"] for layer in layers(here, "n:latest")[:2]} == {"m:latest"}


def test_a_rewritten_import_lies_on_the_disk_twice(host: Callable[..., Talk]) -> None:
    here = host()
    content = gguf_file()
    blob = here.upload(content)
    assert here.create("m", files={"a.gguf": blob}).said[-1] == "success"
    (layer,) = layers(here)
    assert layer["digest"] != blob
    assert here.state()["orphans"] == {blob: len(content)}
    before = host("0.24.0")
    before.create("m", files={"a.gguf": before.upload(content)})
    assert before.state()["orphans"] == {}


@pytest.mark.parametrize(
    ("version", "room", "error"),
    [
        ("0.32.15", 0.5, "failed to validate GGUF with llama-quantize without compatibility patches: llama-quantize failed: exit status 1"),
        ("0.32.15", 1.5, f"write {BLOBS}/sha256-upload: no space left on device"),
        ("0.32.15", 2.5, None),
        ("0.24.0", 0.5, None),
    ],
)  # fmt: skip
def test_an_import_that_finds_no_room(host: Callable[..., Talk], version: str, room: float, error: str | None) -> None:
    content = gguf_file(tensors=(Tensor("token_embd.weight", (64, 4096), 1),))
    here = host(version, disk=int(len(content) * (1 + room)))
    answer = made(here, {"a.gguf": content})
    assert answer.said[-1] == ("success" if error is None else f"! {error}")
    assert list(here.state()["models"]) == (["m:latest"] if error is None else [])


def test_quantizing_needs_room_as_well(host: Callable[..., Talk]) -> None:
    content = gguf_file(tensors=(Tensor("token_embd.weight", (64, 4096), 1),))
    assert made(host("0.9.6", disk=len(content) + 1000), {"a.gguf": content}, quantize="Q8_0").error == (
        f"write {BLOBS}/Q8_0: no space left on device"
    )
    assert made(host(disk=len(content) + 1000), {"a.gguf": content}, quantize="Q8_0").error == (
        "llama-quantize failed: exit status 1"
    )


def test_shards_are_joined_with_the_numbers_of_all(host: Callable[..., Talk]) -> None:
    here = host()
    assert made(here, shards(3)).said[-1] == "success"
    (layer,) = layers(here)
    header = gguf.read(weights_of(here, layer["digest"]))
    assert [tensor.name for tensor in header.tensors] == [f"blk.{number}.attn_q.weight" for number in range(3)]
    assert not any("split" in key for key in header.metadata)
    content = weights_of(here, layer["digest"])[header.start :]
    assert len({hashlib.sha256(content[place : place + 256]).digest() for place in (0, 256, 512)}) == 3
    assert (layer["from"], here.show("m")["details"]["parameter_size"]) == ("", "192")
    again = {name: body if "00003" not in name else body[:-1] + b"!" for name, body in shards(3).items()}
    assert made(here, again).said[-1] == "success"
    assert layers(here)[0]["digest"] != layer["digest"]


def test_shards_are_joined_though_their_tensors_are_kept(host: Callable[..., Talk]) -> None:
    here = host()
    files = shards(2)
    last = {"split.no": Value(Kind.UINT16, 1), "split.count": Value(Kind.UINT16, 2)}
    files["a-00002-of-00002.gguf"] = gguf_file(last, (Tensor("v.w", (64,), 0),))
    said = made(here, files).said
    assert (said[-1], "verifying conversion" in said) == ("success", False)
    header = gguf.read(weights_of(here, layers(here)[0]["digest"]))
    assert [tensor.name for tensor in header.tensors] == ["blk.0.attn_q.weight", "v.w"]
    assert list(header.metadata) == sorted(header.metadata)


def test_shards_are_quantized_as_one(host: Callable[..., Talk]) -> None:
    here = host()
    files = shards(2)
    two = {"split.no": Value(Kind.UINT16, 1), "split.count": Value(Kind.UINT16, 2)}
    files["a-00002-of-00002.gguf"] = gguf_file(two, (Tensor("output.weight", (64, 8), 1),))
    assert made(here, files, quantize="q8_0").said[-1] == "success"
    header = gguf.read(weights_of(here, layers(here)[0]["digest"]))
    assert {tensor.name: tensor.type_name for tensor in header.tensors} == {
        "output.weight": "Q8_0",
        "blk.0.attn_q.weight": "F32",
    }


@pytest.mark.parametrize("version", ["0.5.5", "0.24.0"])
def test_shards_were_models_each_before_0_30(host: Callable[..., Talk], version: str) -> None:
    here = host(version)
    assert made(here, shards(2)).said[-1] == "success"
    assert here.layers("m:latest") == ["model", "model"]
    assert set(here.show("m")["details"]["families"]) == {"llama", "unknown"}


def test_one_shard_alone_does_not_run(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    made(here, {"b.gguf": shards(2)["a-00002-of-00002.gguf"]})
    answer = here.post("generate", model="m")
    assert (answer.status, answer.error) == (500, "llama runner process has terminated: exit status 2")


def shard(number: int | None, count: int = 2) -> bytes:
    split = {"split.count": Value(Kind.UINT16, count)}
    return gguf_file(LLAMA | split | ({} if number is None else {"split.no": Value(Kind.UINT16, number)}))


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"a.gguf": shard(0)}, 'split GGUF "a.gguf" must use llama.cpp split filename pattern'),
        ({"a-00000-of-00002.gguf": shard(0)}, 'split GGUF "a-00000-of-00002.gguf" must use llama.cpp split filename pattern'),
        ({"x/a-00001-of-00003.gguf": shard(0)}, 'split GGUF "x/a-00001-of-00003.gguf" filename count 3 does not match metadata count 2'),
        ({"a-00001-of-00002.gguf": shard(None)}, 'split GGUF "a-00001-of-00002.gguf" is missing split.no metadata'),
        ({"a-00002-of-00002.gguf": shard(0)}, 'split GGUF "a-00002-of-00002.gguf" filename index 1 does not match metadata index 0'),
        ({"a-00001-of-00002.gguf": shard(0)}, 'split GGUF "a-00001-of-00002.gguf" has 1 shards, expected 2'),
        ({"a-00001-of-00002.gguf": shard(0), "b/a-00001-of-00002.gguf": shard(0)}, "split GGUF has duplicate shard index 0"),
    ],
)  # fmt: skip
def test_shards_that_make_no_model(host: Callable[..., Talk], files: dict[str, bytes], error: str) -> None:
    assert made(host(), files).error == error


def test_a_projector_that_says_too_little_is_completed(host: Callable[..., Talk]) -> None:
    here = host()
    eyes = gguf_file(PROJECTOR, (Tensor("v.w", (64,), 0),))
    said = made(here, {"model.gguf": gguf_file(), "eyes.gguf": eyes}).said
    assert "updating GGUF projector metadata" in said
    projector, _ = layers(here)
    assert (projector["kind"], projector["from"]) == ("projector", "")
    assert here.show("m")["projector_info"]["clip.projector_type"] == "mlp"
    before = host("0.24.0")
    assert "updating GGUF projector metadata" not in made(before, {"eyes.gguf": eyes}).said


@pytest.mark.parametrize("name", ["v.w", "mm.w", "a.w", "s.w", "mtp.w"])
def test_tensors_of_other_senses_keep_a_file_as_it_is(host: Callable[..., Talk], name: str) -> None:
    here = host()
    content = gguf_file(tensors=(*TENSORS, Tensor(name, (64, 64), 1)))
    assert "verifying conversion" not in made(here, {"a.gguf": content}).said
    assert layers(here)[0] == {"kind": "model", "digest": here.upload(content), "size": len(content), "from": "a.gguf"}
    assert made(here, {"a.gguf": content}, quantize="Q8_0").said[-1] == "success"
    header = gguf.read(weights_of(here, layers(here)[0]["digest"]))
    assert {tensor.name: tensor.type_name for tensor in header.tensors}[name] == "F16"


def drafted(here: Talk, draft: bytes, **body: Any) -> Answer:
    return here.create("m", draft_files={"d.gguf": here.upload(draft)}, **body)


def test_a_draft_lies_behind_the_rest(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("base")
    adapter = here.upload(gguf_file(general__type=gguf.text("adapter")))
    draft = gguf_file(filler=9)
    assert drafted(here, draft, from_="base", adapters={"a.gguf": adapter}).said[-1] == "success"
    assert here.layers("m:latest") == ["model", "adapter", "draft"]
    (layer,) = [layer for layer in layers(here) if layer["kind"] == "draft"]
    assert (layer["digest"], layer["from"]) == (here.upload(draft), "d.gguf")
    assert f"\nDRAFT {in_blobs(layer['digest'])}\n" in here.show("m")["modelfile"]
    here.create("n", from_="m", system="Be kind.")
    assert here.layers("n:latest") == ["model", "adapter", "draft", "system"]
    assert b'"draft":{"model_format":"gguf","architecture":"llama"}' in config(here, "n:latest")


def config(here: Talk, model: str) -> bytes:
    stored = {str(name): manifest for name, _, manifest in here.engine.store.listed()}
    return here.engine.store.blobs.read(stored[model].config.digest)


def test_a_draft_may_be_quantized_and_its_model_not(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("base")
    assert drafted(here, gguf_file(), from_="base", draft_quantize="q8_0").said[-1] == "success"
    (layer,) = [layer for layer in layers(here) if layer["kind"] == "draft"]
    kinds = {tensor.type_name for tensor in gguf.read(weights_of(here, layer["digest"])).tensors}
    assert kinds == {"Q8_0", "F32"}
    assert here.show("m")["details"]["quantization_level"] == "Q4_K_M"


def test_a_draft_of_several_files_is_joined(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("base")
    drafts = {name: here.upload(content) for name, content in shards(2).items()}
    said = here.create("m", from_="base", draft_files=drafts).said
    assert (said[-1], "verifying conversion" in said) == ("success", True)
    assert here.layers("m:latest") == ["model", "draft"]


@pytest.mark.parametrize(
    ("body", "draft", "error"),
    [
        ({"from_": "base", "draft_quantize": "Q8_0"}, gguf_file(general__file_type=gguf.uint(7)), "draft quantization requires an unquantized draft model, got Q8_0"),
        ({"from_": "base"}, b"no gguf", "supplied file was not in GGUF format"),
        ({"from_": "far", "remote_host": "ollama.com"}, gguf_file(), "DRAFT cannot be used with remote models"),
    ],
)  # fmt: skip
def test_drafts_that_come_to_nothing(host: Callable[..., Talk], body: dict[str, Any], draft: bytes, error: str) -> None:
    here = host()
    here.seed("base")
    assert drafted(here, draft, **body).error == error
    assert "m:latest" not in here.names()


@pytest.mark.parametrize(
    ("drafts", "error"),
    [
        ({"/d.gguf": "sha256:" + "0" * 64}, "file path must be relative"),
        ({"d.gguf": ""}, "invalid digest format"),
        ({"model.safetensors": "sha256:" + "0" * 64}, 'MTP draft safetensors require a qwen3.5 base model, got "llama"'),
    ],
)  # fmt: skip
def test_files_of_drafts_that_are_refused(host: Callable[..., Talk], drafts: dict[str, str], error: str) -> None:
    here = host()
    here.seed("base")
    answer = here.create("m", from_="base", draft_files=drafts, stream=False)
    assert (answer.status, answer.error) == (400, error)


def test_drafts_are_nothing_to_servers_before_0_30(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    here.seed("base")
    assert drafted(here, gguf_file(), from_="base").said[-1] == "success"
    assert here.layers("m:latest") == ["model"]
