"""When the store, pulls and listings began to behave as they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.simulate import gguf
from fleet.simulate.image import ImageManifest, Layer, media_type
from fleet.simulate.modelname import Name
from fleet.simulate.versions import Capability
from tests.simulate.host.bounds import Bounds, Probe
from tests.simulate.host.depot import Depot
from tests.simulate.host.talking import Fleet, Talk

ALONE = Bounds()
WITH_REGISTRY = Bounds()


def corrupted(host: Talk) -> Talk:
    """A host with one model, and one manifest file without anything in it."""
    host.seed("tiny")
    host.engine.store.write(Name.parse("broken"), b"")
    return host


@ALONE.probe(Capability.DELETE_MISSING_IS_404, since="0.3.13")
def deleting_nothing_is_404(host: Talk) -> bool:
    return host.delete("ghost").status == 404


@ALONE.probe(Capability.DELETE_CLEANS_UP, since="0.5.13", dropped="0.6.0")
def deleting_a_model_removes_the_uploads_of_others(host: Talk) -> bool:
    host.upload(b"unused")
    host.seed("tiny")
    assert host.delete("tiny").status == 200
    return not host.state()["blobs"]


@ALONE.probe(Capability.CORRUPT_MANIFEST_FAILS_LIST, since="0.3.7", dropped="0.4.0")
def corrupt_manifest_fails_the_listing(host: Talk) -> bool:
    return corrupted(host).get("tags").status == 500


@ALONE.probe(Capability.CORRUPT_MANIFEST_SKIPPED, since="0.4.0")
def corrupt_manifest_stops_the_clean_up(host: Talk) -> bool:
    corrupted(host).upload(b"unused")
    host.wait(7200)
    host.restart()
    return len(host.engine.store.blobs) == 3


@ALONE.probe(Capability.PRUNE_SPARES_YOUNG, since="0.21.0")
def young_blobs_survive_a_start(host: Talk) -> bool:
    host.upload(b"unused")
    host.restart()
    return len(host.engine.store.blobs) == 1


@ALONE.probe(Capability.CONFIG_WITH_ROOTFS, dropped="0.32.7")
def config_lists_layers(host: Talk) -> bool:
    host.seed("tiny")
    _, manifest = host.engine.store.get(Name.parse("tiny"))
    return b'"rootfs":{"type":"layers"' in host.engine.store.blobs.read(manifest.config.digest)


def stored(host: Talk, model: str) -> bytes:
    """The manifest of a pulled model."""
    host.post("pull", model=model)
    return host.engine.store.listed()[0][1].raw


@WITH_REGISTRY.probe(Capability.PULL_KEEPS_BYTES, since="0.19.0")
def pulled_manifest_is_kept_byte_for_byte(host: Talk, depot: Depot) -> bool:
    depot.offer("library/m:latest", b"{}", unknown="key")
    return stored(host, "m") == depot.manifests["library/m:latest"]


@WITH_REGISTRY.probe(Capability.LAYER_NAMES, since="0.14.0")
def layers_keep_their_names(host: Talk, depot: Depot) -> bool:
    (config,) = depot.offer("library/m:latest", b"{}")
    layer = {"mediaType": "x", "digest": config, "size": 2, "name": "a tensor"}
    depot.offer("library/m:latest", b"{}", layers=[layer])
    return b'"name":"a tensor"' in stored(host, "m").replace(b": ", b":")


@WITH_REGISTRY.probe(Capability.PULL_ALWAYS_TELLS_PRUNE, dropped="0.3.7")
def pull_tells_of_removing_though_nothing_is(host: Talk, depot: Depot) -> bool:
    depot.offer("library/m:latest", b"{}")
    return "removing any unused layers" in host.post("pull", model="m").said


def tensors_said(host: Talk, depot: Depot) -> list[str]:
    """What the pull of a model made of a tensor says."""
    (config,) = depot.offer("library/m:latest", b"{}")
    layer = {"mediaType": "application/vnd.ollama.image.tensor", "digest": config, "size": 2}
    depot.offer("library/m:latest", b"{}", layers=[layer])
    return host.post("pull", model="m").said


@WITH_REGISTRY.probe(Capability.TENSOR_MODELS, since="0.14.0", dropped="0.32.10")
def tensors_are_pulled_in_one(host: Talk, depot: Depot) -> bool:
    return "pulling model" in tensors_said(host, depot)


@WITH_REGISTRY.probe(Capability.TENSOR_MODELS_REFUSED, since="0.32.10")
def tensors_are_refused(host: Talk, depot: Depot) -> bool:
    return tensors_said(host, depot)[-1] == "! this model requires MLX support, but the MLX runtime is not available"


@WITH_REGISTRY.probe(Capability.LAST_STATUS_IS_REPLY, since="0.7.0")
def success_of_the_base_is_not_yet_the_reply(host: Talk, depot: Depot) -> bool:
    depot.offer("library/base:latest", b"text", b"{}")
    answer = host.create("own", from_="base", system="Be kind.", stream=False)
    assert answer.json == {"status": "success"}
    return "own:latest" in host.names()


@WITH_REGISTRY.probe(Capability.REALM_CHECKED, since="0.14.3")
def token_is_asked_for_at_the_registry_alone(host: Talk, depot: Depot) -> bool:
    depot.offer("library/m:latest", b"{}")
    depot.realm = "http://127.0.0.1:5000/token"
    answer = host.post("pull", model="localhost:5000/library/m", insecure=True)
    refused = 'realm host "127.0.0.1:5000" does not match original host "localhost:5000"'
    return "error" in answer.lines[-1] and answer.error == f"pull model manifest: {refused}"


@ALONE.probe(Capability.TENSORS, since="0.6.1")
def show_lists_tensors(host: Talk) -> bool:
    host.seed("tiny")
    return "tensors" in host.show("tiny")


@ALONE.probe(Capability.CAPABILITIES_IN_SHOW, since="0.6.4")
def show_lists_capabilities(host: Talk) -> bool:
    host.seed("tiny")
    return bool(host.show("tiny").get("capabilities") == ["completion"])


@ALONE.probe(Capability.THINKING, since="0.9.0")
def thinking_is_a_capability(host: Talk) -> bool:
    host.seed("tiny", capabilities=["completion", "thinking"])
    return "thinking" in host.show("tiny")["capabilities"]


@ALONE.probe(Capability.ARRAYS_SHOWN, dropped="0.6.7")
def show_holds_arrays(host: Talk) -> bool:
    host.engine.store.write(Name.parse("tiny"), with_array(host))
    return bool(host.show("tiny")["model_info"]["tokenizer.tokens"] == ["a", "b"])


def with_array(host: Talk) -> bytes:
    """The manifest of a model whose header has a list."""
    tokens = gguf.Value(gguf.Kind.ARRAY, ["a", "b"], gguf.Kind.STRING)
    content = gguf.write({"general.architecture": gguf.text("llama"), "tokenizer.tokens": tokens}, [])
    layer = host.engine.store.layer(content, media_type("model"))
    return ImageManifest(Layer(), [layer]).encoded(newline=False)


@ALONE.probe(Capability.MODEL_INFO_ALWAYS, since="0.14.3")
def show_of_a_cloud_model_has_empty_info(host: Talk) -> bool:
    host.create("far", from_="far", remote_host="ollama.com")
    return "model_info" in host.show("far")


@ALONE.probe(Capability.TAGS_TELL_MORE, since="0.30.0")
def tags_tell_capabilities_and_lengths(host: Talk) -> bool:
    host.seed("tiny")
    (model,) = host.get("tags").json["models"]
    return bool(model.get("capabilities") == ["completion"] and model["details"]["context_length"] == 8192)


@pytest.mark.parametrize(("probe", "version", "expected"), ALONE.cases(), ids=ALONE.ids())
def test_behaves_so_on_one_side_of_the_bound(
    host: Callable[..., Talk], probe: Probe, version: str, expected: bool
) -> None:
    assert probe(host(version)) is expected


@pytest.mark.parametrize(("probe", "version", "expected"), WITH_REGISTRY.cases(), ids=WITH_REGISTRY.ids())
def test_behaves_so_with_a_registry(host_of: Callable[..., Talk], probe: Probe, version: str, expected: bool) -> None:
    depot = Depot()
    assert probe(host_of(depot, version), depot) is expected


@pytest.mark.parametrize(("version", "patience"), [("0.5.7", 5), ("0.5.8", 30)])
def test_a_silent_download_is_begun_anew(fleet: Callable[[str], Fleet], version: str, patience: int) -> None:
    here = fleet(
        f"hosts: {{alpha: {{version: {version}}}}}\n"
        "registry: {models: {base: {size: 3000}}, faults: [{fault: silence, endpoint: content, times: 2}]}"
    )
    begun = here.now
    assert here.hosts["alpha"].post("pull", model="base").said[-1] == "success"
    assert here.now - begun == pytest.approx(2 * patience, abs=1)
    assert len(here.requests("content")) >= 3
