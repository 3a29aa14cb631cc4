"""Laws of what is desired: order changes nothing, an override reaches no other host, equal is equal."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.item import Desired
from fleet.manifest.load import load
from tests.manifest.cases import in_words
from tests.manifest.documents import CREATE, HOSTS, INVENTORIES, MANIFESTS, in_yaml
from tests.manifest.modelfiles import modelfile

FEW = settings(max_examples=60, deadline=None)


def desired(*documents: dict[str, Any]) -> Desired:
    return resolve(load(["-"], stdin=io.BytesIO(in_yaml(*documents).encode())))


def turned(value: Any, data: st.DataObject) -> Any:
    """The same value with the keys of every map in another order."""
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: turned(value[key], data) for key in keys}
    return [turned(one, data) for one in value] if isinstance(value, list) else value


@FEW
@given(INVENTORIES, MANIFESTS, st.data())
def test_the_order_of_keys_and_documents_changes_nothing(
    inventory: dict[str, Any], manifest: dict[str, Any], data: st.DataObject
) -> None:
    straight = desired(inventory, manifest)
    other = desired(*data.draw(st.permutations([turned(inventory, data), turned(manifest, data)])))
    assert in_words(other) == in_words(straight)
    assert list(other.hosts) == list(straight.hosts) == sorted(straight.hosts)
    assert fingerprint(other) == fingerprint(straight)


@FEW
@given(INVENTORIES, MANIFESTS)
def test_one_document_or_one_for_each_model_is_the_same(inventory: dict[str, Any], manifest: dict[str, Any]) -> None:
    apart = [{"version": 1, "models": {name: entry}} for name, entry in manifest["models"].items()]
    assert in_words(desired(inventory, *apart)) == in_words(desired(inventory, manifest))


@FEW
@given(INVENTORIES, MANIFESTS)
def test_saying_it_twice_is_saying_it_once(inventory: dict[str, Any], manifest: dict[str, Any]) -> None:
    once = desired(inventory, manifest)
    twice = desired(inventory, manifest, manifest)
    assert in_words(twice) == in_words(once)
    assert fingerprint(twice) == fingerprint(once)


@FEW
@given(INVENTORIES, MANIFESTS, st.sampled_from(HOSTS), st.booleans())
def test_an_override_for_one_host_changes_only_that_host(
    inventory: dict[str, Any], manifest: dict[str, Any], host: str, protect: bool
) -> None:
    names = [name for name, entry in manifest["models"].items() if "absent" not in (entry or {})]
    before = in_words(desired(inventory, manifest))
    override = {"where": f"name={host}", "protect": protect, "warm": {"keep_alive": "7m"}}
    overridden = {**manifest["models"]}
    for name in names:
        overridden[name] = {**(overridden[name] or {}), "allow_empty": True, "overrides": [override]}
    after = desired(inventory, {"version": 1, "models": overridden})
    for other in HOSTS:
        if other != host:
            assert in_words(after)[other] == before[other]
    assert all(
        item.protect == protect and item.warm is not None and item.warm.keep_alive == 420
        for item in next(wanted for name, wanted in after.hosts.items() if name == host).items
    )


@FEW
@given(INVENTORIES, MANIFESTS, st.sampled_from(HOSTS))
def test_this_machine_is_asked_what_the_whole_fleet_would_ask_of_it(
    inventory: dict[str, Any], manifest: dict[str, Any], host: str
) -> None:
    text = in_yaml(inventory, manifest).encode()
    alone = resolve(load(["-"], stdin=io.BytesIO(text), self_name=host, environ={"OLLAMA_HOST": "127.0.0.1:9"}))
    whole = desired(inventory, manifest)
    assert {host: in_words(whole)[host]} == in_words(alone)
    assert [wanted.host.url for wanted in alone.hosts.values()] == ["127.0.0.1:9"]


@FEW
@given(INVENTORIES, MANIFESTS, MANIFESTS)
def test_the_fingerprint_differs_exactly_where_something_else_is_asked(
    inventory: dict[str, Any], manifest: dict[str, Any], other: dict[str, Any]
) -> None:
    one, two = desired(inventory, manifest), desired(inventory, other)
    assert (fingerprint(one) == fingerprint(two)) == (in_words(one) == in_words(two))


@FEW
@given(CREATE)
def test_a_modelfile_and_the_fields_are_two_ways_to_write_one_value(create: dict[str, Any]) -> None:
    # Lists without anything in them, and levels of quantization, are beyond the language of Modelfiles.
    beyond = {key: create[key] for key in ("quantize",) if key in create}
    if create.get("parameters", {}).get("stop") == []:
        del create["parameters"]["stop"]
    with TemporaryDirectory() as folder:
        Path(folder, "Modelfile").write_text(modelfile(create), encoding="utf-8", newline="")
        models = {"fields": {"create": create}, "file": {"create": {"modelfile": "Modelfile", **beyond}}}
        text = in_yaml({"version": 1, "hosts": {"a": "a.lan"}, "models": models}).encode()
        (wanted,) = resolve(load(["-"], stdin=io.BytesIO(text), folder=folder)).hosts.values()
    fields, file = (item.source for item in wanted.items)
    assert file == fields
