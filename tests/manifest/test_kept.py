"""Desired states as text and back: nothing is lost, nothing secret is in it, and no other text is taken for one."""

from __future__ import annotations

import io
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from fleet.errors import InputError
from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.inventory import Secret
from fleet.manifest.item import Create, Desired, Pull
from fleet.manifest.kept import dump, restore
from fleet.manifest.load import load
from fleet.manifest.local import with_digests
from fleet.names import Digest, HostName, ModelName
from tests.manifest.documents import INVENTORIES, MANIFESTS, in_yaml
from tests.manifest.test_examples import ALL, EXAMPLES
from tests.weights import making

FEW = settings(max_examples=60, deadline=None)
SMALL = "version: 1\nhosts: {a: a.lan}\nmodels: {m: }\n"


def desired(text: str, **more: Any) -> Desired:
    return resolve(load(["-"], stdin=io.BytesIO(text.encode()), **more))


def everything(value: Any) -> Any:
    """A value with all its fields, also those that do not count when it is compared, and with their types."""
    if is_dataclass(value):
        return type(value), {field.name: everything(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return [(everything(key), everything(one)) for key, one in value.items()]
    if isinstance(value, tuple):
        return tuple(everything(one) for one in value)
    return type(value), value


@FEW
@given(INVENTORIES, MANIFESTS)
def test_what_is_kept_comes_back_as_it_was(inventory: dict[str, Any], manifest: dict[str, Any]) -> None:
    was = desired(in_yaml(inventory, manifest))
    text = dump(was)
    back = restore(text)
    assert back == was
    assert everything(back) == everything(was)
    assert fingerprint(back) == fingerprint(was)
    assert dump(back) == text
    assert text.isascii()


@pytest.mark.parametrize("name", ALL)
def test_every_example_comes_back(name: str) -> None:
    was = resolve(load([name], folder=str(EXAMPLES)))
    assert everything(restore(dump(was))) == everything(was)


def test_files_come_back_with_digests_paths_and_stamps(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a.gguf").write_bytes(making.model())
    (tmp_path / "w" / "style.gguf").write_bytes(making.adapter())
    text = f"""\
version: 1
hosts: {{a: a.lan, b: b.lan}}
models:
  one: {{create: {{files: {{path: w/a.gguf, sha256: {"ab" * 32}}}, adapters: w/style.gguf}}}}
"""
    was = with_digests(desired(text, folder=str(tmp_path)), lambda file: Digest(f"{len(file.key):02}" * 32))
    back = restore(dump(was))
    assert everything(back) == everything(was)
    source = back.hosts[HostName("a")].items[0].source
    assert isinstance(source, Create)
    assert source.files[0].path == str(tmp_path / "w" / "a.gguf")
    assert source.files[0].sha256 == Digest("ab" * 32)


def test_spelling_is_kept_where_the_short_form_hides_it() -> None:
    was = desired("version: 1\nhosts: {a: a.lan}\nmodels: {Registry.Ollama.AI/Library/Qwen3:8B: }\n")
    name = restore(dump(was)).hosts[HostName("a")].items[0].name
    assert (name.registry, name.namespace, name.model, name.tag) == ("Registry.Ollama.AI", "Library", "Qwen3", "8B")


def test_hosts_share_what_they_shared_before() -> None:
    was = desired("version: 1\nhosts: {'h[1:9]': {url: 'http://{name}.lan'}}\nmodels: {m: , n: {where: name=h1}}\n")
    back = restore(dump(was)).hosts
    one, two, three = (back[HostName(f"h{number}")].items for number in (1, 2, 3))
    assert two is three
    assert one is not two
    assert any(item is two[0] for item in one)


def test_the_text_of_many_hosts_does_not_repeat_their_items() -> None:
    texts = [
        dump(
            desired(
                f"version: 1\nhosts: {{'h[1:{hosts}]': {{url: 'http://{{name}}.lan'}}}}\n"
                f"models: {{m: {{create: {{from: x, system: {'s' * 1000}}}}}}}\n"
            )
        )
        for hosts in (1, 100)
    ]
    assert [text.count("s" * 1000) for text in texts] == [1, 1]


def test_no_secret_is_in_it_only_where_it_is_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_TOKEN", "the-secret-of-the-variable")
    (tmp_path / "gpu.token").write_text("the-secret-of-the-file")
    (tmp_path / "me.key").write_text("the-secret-of-the-key")
    (tmp_path / "me.pem").write_text("")
    text = """\
version: 1
hosts:
  a: {url: https://a.lan, auth: {bearer_env: GPU_TOKEN}, tls: {cert_file: me.pem, key_file: me.key}}
  b: {url: https://b.lan, auth: {basic: {username: me, password_file: gpu.token}}}
"""
    (tmp_path / "hosts.yaml").write_text(text)
    was = resolve(load(["hosts.yaml"], folder=str(tmp_path)))
    kept = dump(was)
    assert "the-secret" not in kept
    assert everything(restore(kept)) == everything(was)
    found = [wanted.host.auth.secret for wanted in restore(kept).hosts.values() if wanted.host.auth]
    assert found == [Secret(environment="GPU_TOKEN"), Secret(file=str(tmp_path / "gpu.token"))]


def changed(path: str, value: Any) -> str:
    """What `SMALL` is kept as, with another value at a path like `items.0.name`."""
    document = json.loads(dump(desired(SMALL)))
    at: Any = document
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        at = at[key]
    at[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": 1}',
        dump(desired(SMALL))[:-20],
        changed("format", 2),
        changed("items.0.name", "no name at all"),
        changed("items.0.name", 7),
        changed("items.0.source", {"is": "Item"}),
        changed("items.0.source", {"is": "Pull", "base": "m"}),
        changed("items.0.protect", 1),
        changed("items.0.unknown", True),
        changed("items.0.source", {"is": "Pull", "update": "sometimes"}),
        changed("items.0", {"is": "Item"}),
        changed("hosts.0.1", [1]),
        changed("hosts.0.1", [-1]),
        changed("hosts.0.1", [True]),
        changed("hosts.0", []),
        changed("policy.max_deletes", "5"),
        changed("policy.max_deletes", float("nan")),
        changed("hosts", [*json.loads(dump(desired(SMALL)))["hosts"] * 2]),
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the kept manifests cannot be used"):
        restore(text)


def test_a_name_keyed_as_another_spelling_is_found() -> None:
    was = desired("version: 1\nhosts: {a: a.lan}\nmodels: {m: {pull: {from: X/Y:1}}}\n")
    source = restore(dump(was)).hosts[HostName("a")].items[0].source
    assert isinstance(source, Pull)
    assert {ModelName.parse("x/y:1"): 1}[source.origin or ModelName.parse("z")] == 1
