"""When create began to behave as it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet.simulate import gguf
from fleet.simulate.image import CONFIG_TYPE, ImageManifest
from fleet.simulate.modelname import Name
from fleet.simulate.versions import Capability
from tests.simulate.host.bounds import Bounds, Probe
from tests.simulate.host.safe import safetensors
from tests.simulate.host.talking import LLAMA, Talk, gguf_file, shards

BOUNDS = Bounds()


def imported(host: Talk, content: bytes, name: str = "a.gguf", **more: Any) -> list[str]:
    """What creating `m` from an uploaded file says."""
    digest = host.upload(content)
    if host.engine.behaviour.has(Capability.MODELFILE):
        return host.create("m", modelfile=f"FROM @{digest}", **more).said
    return host.create("m", files={name: digest}, **more).said


def config(host: Talk, model: str = "m:latest") -> bytes:
    """The config blob of a model."""
    stored = {str(name): manifest for name, _, manifest in host.engine.store.listed()}
    return host.engine.store.blobs.read(stored[model].config.digest)


def created(host: Talk, **body: Any) -> Talk:
    """The host with a model made of an installed one."""
    host.seed("base")
    assert host.create("m", from_="base", **body).said[-1] == "success"
    return host


@BOUNDS.probe(Capability.MODELFILE, dropped="0.5.5")
def create_takes_a_modelfile(host: Talk) -> bool:
    host.seed("base")
    return host.create("m", modelfile="FROM base").said[-1] == "success"


@BOUNDS.probe(Capability.MODELFILE_LOWER, dropped="0.5.2")
def modelfile_is_asked_for_in_small_letters(host: Talk) -> bool:
    return host.create("m").error == "path or modelfile are required"


@BOUNDS.probe(Capability.MODELFILE_LINES, since="0.4.2")
def faults_of_modelfiles_have_their_line(host: Talk) -> bool:
    return host.create("m", modelfile="FROM x\nNONSENSE y").error.startswith("(line 2): ")


@BOUNDS.probe(Capability.ADAPTER_MAY_BE_NAME, dropped="0.3.7")
def adapter_may_name_a_model(host: Talk) -> bool:
    host.seed("base")
    return host.create("m", modelfile="FROM base\nADAPTER base").said[-1] == "success"


@BOUNDS.probe(Capability.IMPORT_NAMES_BLOB, since="0.3.6")
def layer_says_which_blob_it_was(host: Talk) -> bool:
    imported(host, gguf_file())
    return bool(host.state()["models"]["m:latest"]["layers"][0]["from"])


def kind_of(host: Talk, content: bytes) -> list[str]:
    """What kinds of layers a file makes."""
    assert imported(host, content)[-1] == "success"
    return host.layers("m:latest")


@BOUNDS.probe(Capability.ADAPTERS_BY_TYPE, since="0.3.7")
def gguf_says_that_it_is_an_adapter(host: Talk) -> bool:
    return kind_of(host, gguf_file(general__type=gguf.text("adapter"))) == ["adapter"]


@BOUNDS.probe(Capability.PROJECTORS_BY_CLIP, dropped="0.4.0")
def clip_alone_makes_a_projector(host: Talk) -> bool:
    return kind_of(host, gguf_file({"general.architecture": gguf.text("clip")})) == ["projector"]


@BOUNDS.probe(Capability.MMPROJ, since="0.30.4")
def mmproj_makes_a_projector(host: Talk) -> bool:
    return kind_of(host, gguf_file(general__type=gguf.text("mmproj"))) == ["projector"]


def converted(host: Talk, name: str, config: bytes) -> str:
    """The last that is said of a conversion."""
    files = {name: host.upload(safetensors(w=[8, 64])), "config.json": host.upload(config)}
    files["tokenizer.json"] = host.upload(b"{}")
    return host.create("m", files=files).said[-1]


@BOUNDS.probe(Capability.ANY_SAFETENSORS, since="0.6.5")
def safetensors_may_be_called_anything(host: Talk) -> bool:
    return converted(host, "weights.safetensors", b'{"architectures": ["BertModel"]}') == "success"


@BOUNDS.probe(Capability.ARCHITECTURE_NAMED, since="0.6.3")
def architecture_is_told_by_its_name(host: Talk) -> bool:
    return converted(host, "model.safetensors", b'{"architectures": ["New"]}').endswith('architecture "New"')


@BOUNDS.probe(Capability.CONFIG_NAMED, since="0.17.1")
def faults_in_a_config_say_so(host: Talk) -> bool:
    return converted(host, "model.safetensors", b"{").startswith("! parse config.json: ")


@BOUNDS.probe(Capability.FP8, since="0.22.0")
def eight_bit_floats_become_q8_0(host: Talk) -> bool:
    content = safetensors({"w": "F8_E4M3"}, w=[64, 64], w_scale_inv=[1, 1])
    config = b'{"architectures": ["BertModel"], "quantization_config": {"weight_block_size": [64, 64]}}'
    files = {"model.safetensors": content, "config.json": config, "tokenizer.json": b"{}"}
    host.create("m", files={name: host.upload(body) for name, body in files.items()})
    return bool(host.show("m")["details"]["quantization_level"] == "Q8_0")


@BOUNDS.probe(Capability.FILE_KEYS_RELATIVE, since="0.5.13")
def file_names_must_be_relative(host: Talk) -> bool:
    return imported(host, gguf_file(), "/a.gguf") == ["! file path must be relative"]


@BOUNDS.probe(Capability.FILES_BY_MAGIC, since="0.5.6")
def files_are_known_by_their_first_bytes(host: Talk) -> bool:
    return imported(host, gguf_file(), "weights")[-1] == "success"


@BOUNDS.probe(Capability.FILES_BY_BIN, dropped="0.5.6")
def bin_files_count_as_gguf(host: Talk) -> bool:
    # What it is shows in the fault of a file that is none.
    return imported(host, b"no gguf", "a.bin")[-1] == "! supplied file was not in GGUF format"


@BOUNDS.probe(Capability.EMPTY_DIGEST_REFUSED, since="0.17.6")
def file_without_digest_is_refused_at_once(host: Talk) -> bool:
    answer = host.create("m", files={"a.gguf": ""})
    return (answer.status, answer.error) == (400, "invalid digest format")


@BOUNDS.probe(Capability.SEVERAL_IN_ONE_GGUF, dropped="0.7.1")
def gguf_with_vision_is_a_projector(host: Talk) -> bool:
    imported(host, gguf_file(llama__vision__block_count=gguf.uint(1)))
    return host.layers("m:latest") == ["projector"]


@BOUNDS.probe(Capability.RENDERER, since="0.12.0")
def create_takes_a_renderer(host: Talk) -> bool:
    return "RENDERER qwen3-coder\n" in created(host, renderer="qwen3-coder").show("m")["modelfile"]


@BOUNDS.probe(Capability.RENDERER_INHERITED, since="0.12.7")
def renderer_comes_from_the_base(host: Talk) -> bool:
    created(host, renderer="qwen3-coder").create("n", from_="m")
    return b'"renderer":"qwen3-coder"' in config(host, "n:latest")


@BOUNDS.probe(Capability.REQUIRES, since="0.14.0")
def create_takes_requires(host: Talk) -> bool:
    return created(host, requires="0.14.0").show("m").get("requires") == "0.14.0"


def remote(host: Talk) -> Talk:
    """A host with a cloud stub `far` that has capabilities."""
    info = {"capabilities": ["completion", "audio"], "model_family": "x", "context_length": 5}
    host.create("far", from_="far", remote_host="ollama.com", info=info)
    return host


@BOUNDS.probe(Capability.REMOTE, since="0.12.0")
def create_makes_cloud_stubs(host: Talk) -> bool:
    return remote(host).show("far").get("remote_host") == "https://ollama.com:443"


@BOUNDS.probe(Capability.INFO, since="0.12.0")
def create_takes_info(host: Talk) -> bool:
    made = created(
        host, info={"base_name": "Qwen3", "model_family": "qwen3", "embedding_length": 7, "context_length": 5}
    )
    return b'"context_length":5,"embedding_length":7,"base_name":"Qwen3"' in config(made)


@BOUNDS.probe(Capability.INFO_CHECKED, since="0.31.2")
def numbers_of_info_must_be_whole(host: Talk) -> bool:
    host.seed("base")
    said = host.create("m", from_="base", info={"context_length": -1.5}).said[-1]
    return said == '! info field "context_length" must be a non-negative integer'


@BOUNDS.probe(Capability.CAPABILITIES_INHERITED, since="0.20.0")
def capabilities_come_from_the_base(host: Talk) -> bool:
    created(host, info={"capabilities": ["audio"]}).create("n", from_="m")
    return b'"capabilities":["audio"]' in config(host, "n:latest")


@BOUNDS.probe(Capability.FORMAT_INHERITED, since="0.20.4")
def format_comes_from_the_base(host: Talk) -> bool:
    # Of a base without weights nothing else tells it.
    host.engine.store.write(*written(host, b'{"model_format":"safetensors"}'))
    host.create("m", from_="base", system="Be kind.")
    return b'"model_format":"safetensors"' in config(host)


def written(host: Talk, content: bytes) -> tuple[Any, bytes]:
    """A name and the manifest of a model that is nothing but a config."""
    return Name.parse("base"), ImageManifest(host.engine.store.layer(content, CONFIG_TYPE), []).encoded(newline=False)


def of_family(host: Talk, family: str) -> bytes:
    """The config of an import of this architecture."""
    metadata = {**LLAMA, "general.architecture": gguf.text(family)}
    imported(host, gguf_file(metadata))
    return config(host)


@BOUNDS.probe(Capability.ARCHITECTURE_DEFAULTS, since="0.20.0")
def gemma4_brings_a_renderer(host: Talk) -> bool:
    return b'"renderer":"gemma4","parser":"gemma4"' in of_family(host, "gemma4")


@BOUNDS.probe(Capability.MORE_ARCHITECTURE_DEFAULTS, since="0.22.0")
def nemotron_brings_a_renderer(host: Talk) -> bool:
    return b'"renderer":"nemotron-3-nano"' in of_family(host, "nemotron_h")


@BOUNDS.probe(Capability.DRAFT, since="0.30.0")
def drafts_are_known(host: Talk) -> bool:
    return host.create("m", draft_quantize="q8_0").error == "--draft-quantize requires a DRAFT model"


@BOUNDS.probe(Capability.SPLIT_MERGED, since="0.30.0")
def split_files_are_merged(host: Talk) -> bool:
    files = {name: host.upload(shard) for name, shard in shards().items()}
    assert host.create("m", files=files).said[-1] == "success"
    return host.layers("m:latest") == ["model"]


@BOUNDS.probe(Capability.IMPORT_REWRITTEN, since="0.30.0")
def import_is_rewritten(host: Talk) -> bool:
    content = gguf_file()
    said = imported(host, content)
    assert said[-1] == "success"
    return host.upload(content) not in {layer["digest"] for layer in host.state()["models"]["m:latest"]["layers"]}


@BOUNDS.probe(Capability.TENSOR_BOUNDS_CHECKED, since="0.17.1")
def file_cut_short_is_refused(host: Talk) -> bool:
    return imported(host, gguf_file()[:-3000])[-1].startswith('! tensor "token_embd.weight" offset+size')


def quantized(host: Talk, level: str) -> list[str]:
    return imported(host, gguf_file(), quantize=level)


@BOUNDS.probe(Capability.QUANTIZE_FEW, since="0.7.0")
def rare_levels_are_refused(host: Talk) -> bool:
    return quantized(host, "q5_0")[-1].startswith("! unsupported quantization type Q5_0")


@BOUNDS.probe(Capability.QUANTIZE_PROGRESS, since="0.7.0")
def quantizing_is_verified(host: Talk) -> bool:
    return "verifying conversion" in quantized(host, "q8_0")


@BOUNDS.probe(Capability.QUANTIZE_BF16, since="0.22.0")
def bf16_can_be_quantized(host: Talk) -> bool:
    content = gguf_file({**LLAMA, "general.file_type": gguf.uint(32)})
    return imported(host, content, quantize="q8_0")[-1] == "success"


def digest_of_quantized(host: Talk) -> str:
    """The digest that a file has at 8 bits, as this host quantizes it."""
    assert quantized(host, "q8_0")[-1] == "success"
    return str(host.state()["models"]["m:latest"]["layers"][0]["digest"])


@BOUNDS.probe(Capability.FILE_TYPES_FEW, since="0.7.0", dropped="0.30.0")
def rare_file_types_have_no_name(host: Talk) -> bool:
    imported(host, gguf_file({**LLAMA, "general.file_type": gguf.uint(25)}))
    return bool(host.show("m")["details"]["quantization_level"] == "unknown")


@pytest.mark.parametrize(("probe", "version", "expected"), BOUNDS.cases(), ids=BOUNDS.ids())
def test_behaves_so_on_one_side_of_the_bound(
    host: Callable[..., Talk], probe: Probe, version: str, expected: bool
) -> None:
    assert probe(host(version)) is expected


def test_quantizers_change_with_the_releases_that_changed_them(host: Callable[..., Talk]) -> None:
    groups = [("0.3.14", "0.5.4", "0.6.8"), ("0.7.0", "0.12.4"), ("0.12.5", "0.29.1"), ("0.30.0", "0.32.15")]
    found = [{digest_of_quantized(host(version)) for version in group} for group in groups]
    assert [len(digests) for digests in found] == [1, 1, 1, 1]
    assert len(set.union(*found)) == len(groups)
