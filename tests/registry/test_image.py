"""Image manifests: read with their digests in the forms that hosts list, held against what real servers recorded."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.names import Digest
from fleet.registry.image import MOST_BYTES, MOST_LAYERS, Layer, NoImage, read
from fleet.simulate.image import ImageManifest

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.json"))
MODEL = "application/vnd.ollama.image.model"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def written(**changes: Any) -> bytes:
    """A sound image manifest with some keys changed; None leaves one out."""
    whole: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": A, "size": 340},
        "layers": [{"mediaType": MODEL, "digest": B, "size": 5000}, {"mediaType": MODEL, "digest": C, "size": 7}],
    }
    whole |= changes
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def hashed(body: bytes) -> Digest:
    return Digest(sha256(body).hexdigest())


def test_what_it_names_and_how_much() -> None:
    image = read(written())
    assert image.config == Layer(Digest("a" * 64), 340, "application/vnd.docker.container.image.v1+json")
    assert [layer.digest.hex[0] for layer in image.layers] == ["b", "c"]
    assert image.size == 5347


def test_a_repeated_layer_counts_in_listings_and_is_downloaded_once() -> None:
    twice = [{"mediaType": MODEL, "digest": B, "size": 5000}] * 2
    image = read(written(layers=twice))
    assert image.size == 10340
    assert [(blob.digest.hex[0], blob.size) for blob in image.blobs] == [("b", 5000), ("a", 340)]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_hosts_list_a_pulled_model_by_an_accepted_form_and_its_size(path: Path) -> None:
    """`localhost:5001/library/…` was pushed, deleted and pulled: its file is what the registry served."""
    recording = json.loads(path.read_text(encoding="utf-8"))
    final = next(one for one in recording["exchanges"] if one["step"] == "tags-final")
    listed = {model["name"]: model for model in final["response"]["json"]["models"]}
    for name, kept in recording["manifests_at_end"].items():
        if not name.startswith("localhost:5001/"):
            continue
        shown = listed[":".join(name.rsplit("/", 1))]
        image = read(kept.encode())
        assert Digest.parse(shown["digest"]) in image.digests
        assert image.raw == image.normalised == hashed(kept.encode())
        assert shown["size"] == image.size


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_the_host_that_created_and_pushed_lists_the_form_with_a_newline(path: Path) -> None:
    recording = json.loads(path.read_text(encoding="utf-8"))
    tag = recording["version"].replace(".", "-")
    created = {
        model["name"]: Digest.parse(model["digest"])
        for one in recording["exchanges"]
        if one["request"]["path"] == "/api/tags" and one["response"].get("json")
        for model in one["response"]["json"]["models"]
        if one["step"] != "tags-final"
    }
    served = recording["manifests_at_end"][f"localhost:5001/library/tiny/{tag}"].encode()
    assert read(served).created in created.values()
    assert read(served).created not in read(served).digests


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_created_models_are_in_gos_form_and_end_with_a_newline(path: Path) -> None:
    manifests = json.loads(path.read_text(encoding="utf-8"))["manifests_at_end"]
    own = [kept.encode() for kept in manifests.values() if kept.endswith("\n") and '"layers":null' not in kept]
    assert len(own) >= 8
    for kept in own:
        assert read(kept).created == hashed(kept)


def test_gos_form_has_its_own_order_keys_and_escapes() -> None:
    body = (
        '{ "layers": [{"name": "", "from": "a<b>&c\\u2028\\u2029é\\ud800\\u0007", "size": 1, "digest": "@B"}],'
        ' "annotations": {"x": [1.5, null]}, "CONFIG": {"Size": 2, "digest": "@A", "mediaType": "m", "platform": {}},'
        ' "schemaVersion": 2}'
    )
    expected = (
        '{"schemaVersion":2,"mediaType":"","config":{"mediaType":"m","digest":"@A","size":2},"layers":[{"mediaType":"",'
        '"digest":"@B","size":1,"from":"a\\u003cb\\u003e\\u0026c\\u2028\\u2029é\ufffd\\u0007"}]}'
    )
    body, expected = (text.replace("@A", A).replace("@B", B) for text in (body, expected))
    image = read(body.encode())
    assert image.raw == hashed(body.encode())
    assert image.normalised == hashed(expected.encode())
    assert image.created == hashed(expected.encode() + b"\n")


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PART = st.fixed_dictionaries(
    {
        "mediaType": st.sampled_from([MODEL, "application/vnd.ollama.image.params", ""]),
        "digest": st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}"),
        "size": st.integers(0, 1 << 45),
    },
    optional={"from": TEXT, "name": TEXT, "annotations": st.dictionaries(TEXT, TEXT, max_size=2), "urls": st.just([])},
)


@given(
    st.fixed_dictionaries(
        {"schemaVersion": st.just(2), "config": PART, "layers": st.lists(PART, min_size=1, max_size=4)},
        optional={"mediaType": st.sampled_from([DOCKER, ""]), "subject": PART, "annotations": st.just({"a": "<b>"})},
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_manifest_is_normalised_as_a_simulated_old_server_does_it(
    manifest: dict[str, Any], ascii_only: bool, order: Any
) -> None:
    keys = list(manifest)
    order.shuffle(keys)
    body = json.dumps(
        {key: manifest[key] for key in keys}, ensure_ascii=ascii_only, indent=order.choice([None, 2])
    ).encode()
    image, other = read(body), ImageManifest.decoded(body)
    assert image.normalised == hashed(other.encoded(newline=False))
    assert image.created == hashed(other.encoded(newline=True))
    assert image.size == other.size
    assert read(other.encoded(newline=False)).digests == {image.normalised}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"<html>sign in</html>", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"schemaVersion": 2} more', "no JSON"),
        (b'{"schemaVersion": NaN}', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "no JSON"),
        (b" " * (MOST_BYTES + 1), "more than 4 MiB"),
        (written(schemaVersion=1), "`schemaVersion` is not 2"),
        (written(schemaVersion="2"), "`schemaVersion` is no whole number"),
        (written(schemaVersion=True), "`schemaVersion` is no whole number"),
        (written(mediaType="application/vnd.oci.image.index.v1+json"), "index of several images"),
        (written(layers=None, manifests=[]), "index of several images"),
        (written(config=None), "`config` is no object"),
        (written(config={"digest": "", "size": 1}), "`config.digest` is no digest"),
        (written(layers=None), "`layers` is no list"),
        (written(layers=[]), "`layers` is no list"),
        (written(layers=[1]), "`layers[0]` is no object"),
        (written(layers=[{"digest": A, "size": -1}]), "`layers[0].size` is no size"),
        (written(layers=[{"digest": A, "size": 1 << 60}]), "`layers[0].size` is no size"),
        (written(layers=[{"digest": A, "size": 1.0}]), "`layers[0].size` is no whole number"),
        (written(layers=[{"digest": "a" * 64, "size": 1}]), "`layers[0].digest` is no digest"),
        (written(layers=[{"digest": A + "/../x", "size": 1}]), "`layers[0].digest` is no digest"),
        (written(layers=[{"digest": A + "\n", "size": 1}]), "`layers[0].digest` is no digest"),
        (written(layers=[{"digest": A, "size": 1, "from": 5}]), "`layers[0].from` is no text"),
        (written(layers=[{"digest": A, "size": 1, "mediaType": "a\x1b[2J"}]), "`layers[0].mediaType` is none"),
        (written(layers=[{"digest": A, "size": 1}] * (MOST_LAYERS + 1)), "more than 20,000 layers"),
        (written()[:-1] + b', "layers": []}', "`layers` is there twice"),
        (written()[:-1] + b', "Config": {}}', "`config` is there twice"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(NoImage) as found:
        read(body)
    assert why in str(found.value)
    assert found.value.hint is not None
