"""Generated contents: the same everywhere, hashed right, and true GGUF files."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate import catalogue, gguf
from fleet.simulate.registry import Image, blobs_of
from fleet.simulate.registry_content import DeclaredBlob, GeneratedBlob, UploadedBlob
from fleet.simulate.scenario import OfferedModel, RegistrySpec

BLOCK = 1 << 18
LONG = 3 * BLOCK + 12_345


@given(head=st.binary(max_size=40), size=st.sampled_from([0, 10, 40, 5000, LONG]), cut=st.integers(0, LONG))
def test_generated_bytes_are_the_same_however_they_are_read(head: bytes, size: int, cut: int) -> None:
    blob = GeneratedBlob(head, "seed", size)
    whole = blob.read(0, size)
    assert (len(whole), whole[: len(head)]) == (size, head[:size])
    assert blob.read(0, cut) + blob.read(cut, size) == whole
    assert blob.digest() == hashlib.sha256(whole).hexdigest()


def test_filler_repeats_only_after_a_block_and_follows_from_the_seed() -> None:
    blob = GeneratedBlob(b"", "a", LONG)
    assert blob.read(0, 1000) == blob.read(BLOCK, BLOCK + 1000)
    assert blob.read(0, 1000) != blob.read(1000, 2000)
    assert blob.digest() != GeneratedBlob(b"", "b", LONG).digest()


def test_declared_content_is_its_head_and_zeros() -> None:
    blob = DeclaredBlob(b"head", 40_000_000_000)
    assert blob.read(2, 6) == b"ad\0\0"
    assert blob.read(39_999_999_998, 40_000_000_010) == b"\0\0"


def test_uploaded_content_may_be_written_over() -> None:
    blob = UploadedBlob()
    blob.write(0, b"abcd")
    blob.write(2, b"XY")
    assert (blob.size, blob.read(0, 9), blob.digest()) == (4, b"abXY", hashlib.sha256(b"abXY").hexdigest())


def layers(image: Image) -> dict[str, bytes]:
    """Contents by the last word of their media type."""
    manifest = json.loads(image.manifest)
    found = {}
    for layer in (*manifest["layers"], manifest["config"]):
        blob = image.blobs[layer["digest"].removeprefix("sha256:")]
        assert blob.size == layer["size"]
        found[layer["mediaType"].rpartition(".")[2]] = blob.read(0, blob.size)
    return found


def test_every_blob_of_the_small_catalogue_hashes_to_its_digest() -> None:
    offered = catalogue.offered(RegistrySpec())
    assert {"llama3.1:8b", "qwen3:8b", "nomic-embed-text:latest"} <= offered.keys()
    for name, spec in offered.items():
        image = catalogue.build(name, spec)
        assert set(blobs_of(image.manifest)) == set(image.blobs)
        for digest, blob in image.blobs.items():
            assert hashlib.sha256(blob.read(0, blob.size)).hexdigest() == digest


def test_a_model_holds_what_its_description_says() -> None:
    spec = OfferedModel.model_validate(
        {
            "size": 100_000,
            "family": "qwen3",
            "parameter_size": "8.2B",
            "quantization": "Q8_0",
            "context_length": 40960,
            "system": "Be <brief>",
            "template": "{{ .Prompt }}",
            "parameters": {"top_k": 20, "stop": ["</s>"]},
            "messages": [{"role": "user", "content": "Hi"}],
            "license": ["MIT"],
        }
    )
    found = layers(catalogue.build("qwen3:8b", spec))
    assert (found["system"], found["template"], found["license"]) == (b"Be <brief>", b"{{ .Prompt }}", b"MIT")
    assert found["params"] == b'{"stop":["\\u003c/s\\u003e"],"top_k":20}\n'
    assert found["messages"] == b'[{"role":"user","content":"Hi"}]\n'
    config = json.loads(found["v1+json"])
    assert (config["model_family"], config["model_type"], config["file_type"]) == ("qwen3", "8.2B", "Q8_0")
    assert config["rootfs"]["diff_ids"][0] == "sha256:" + hashlib.sha256(found["model"]).hexdigest()
    header = gguf.read(found["model"], size=100_000)
    assert (header.architecture, header.context_length) == ("qwen3", 40960)
    assert header.metadata["general.file_type"].value == 7


@pytest.mark.parametrize("quantization", ["F32", "F16", "Q4_0", "Q4_K_M", "Q6_K", "unknown"])
@pytest.mark.parametrize("size", [1, 700, 123_456])
def test_weights_of_any_size_and_quantization_are_whole_files(quantization: str, size: int) -> None:
    spec = OfferedModel(size=size, quantization=quantization)
    weights = layers(catalogue.build("x", spec))["model"]
    header = gguf.read(weights, size=len(weights))
    assert header.end <= len(weights)
    assert len(weights) == max(size, header.end)


@pytest.mark.parametrize(
    ("capability", "mark"), [("tools", b".Tools"), ("insert", b".Suffix"), ("thinking", b".Thinking")]
)
def test_capabilities_are_shown_by_the_template(capability: str, mark: bytes) -> None:
    spec = OfferedModel(capabilities=["completion", capability])
    assert mark in layers(catalogue.build("x", spec))["template"]


@pytest.mark.parametrize(("capability", "key"), [("embedding", "pooling_type"), ("vision", "vision.block_count")])
def test_capabilities_are_shown_by_the_weights(capability: str, key: str) -> None:
    found = layers(catalogue.build("x", OfferedModel(capabilities=[capability], size=2000)))
    assert f"llama.{key}" in gguf.read(found["model"]).metadata
    assert ("template" in found) is (capability != "embedding")


def weights(name: str, **described: Any) -> str:
    return blobs_of(catalogue.build(name, OfferedModel(size=5000, **described)).manifest)[0]


def test_names_have_weights_of_their_own_unless_they_share_a_seed() -> None:
    assert weights("a:1") != weights("a:2")
    assert weights("a:1", seed="s") == weights("b:2", seed="s", system="other text")
    assert weights("a:1", seed="s") != weights("a:1", seed="s", family="qwen3")


def test_a_declared_model_goes_by_the_digest_it_was_given() -> None:
    digest = "12" * 32
    image = catalogue.build("x", OfferedModel(size=40_000_000_000, digest=digest))
    assert blobs_of(image.manifest)[0] == digest
    assert (image.blobs[digest].declared, image.blobs[digest].size) == (True, 40_000_000_000)
    assert gguf.read(image.blobs[digest].read(0, 4096)).architecture == "llama"


def test_names_without_description_are_the_well_known_ones_or_plain() -> None:
    offered = catalogue.offered(RegistrySpec.model_validate({"models": ["qwen3:8b", "nobody/knows"]}))
    assert offered["qwen3:8b"].family == "qwen3"
    assert offered["nobody/knows:latest"] == OfferedModel()
