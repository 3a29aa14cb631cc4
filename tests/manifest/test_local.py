"""Files on this machine: which a desired state needs, and their digests put into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.faults import ManifestErrors, Misread
from fleet.manifest.item import Create, Desired
from fleet.manifest.load import load
from fleet.manifest.local import local_files, with_digests
from fleet.manifest.weights import find_weights
from fleet.names import Digest, HostName
from fleet.weights.local import LocalFile
from tests.weights import making

FLEET = """\
version: 1
hosts: {a: a.lan, b: b.lan, c: c.lan}
models:
  base:
  one: {create: {files: w/a.gguf, adapters: w/style.gguf}}
  same: {create: {modelfile: m/Modelfile}}
  known: {create: {files: {path: ./w/../w/a.gguf, sha256: %s}}, where: name=c}
  linked: {create: {from: base, drafts: w/link.gguf}}
""" % ("ab" * 32)


def loaded(folder: Path, text: str = FLEET) -> Desired:
    (folder / "fleet.yaml").write_text(text)
    return resolve(load(["fleet.yaml"], folder=str(folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a.gguf").write_bytes(making.model())
    (tmp_path / "w" / "style.gguf").write_bytes(making.adapter())
    (tmp_path / "w" / "link.gguf").symlink_to("a.gguf")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "Modelfile").write_text("FROM ../w/a.gguf\nADAPTER ../w/style.gguf\n")
    return tmp_path


def source(desired: Desired, name: str, host: str = "c") -> Create:
    (found,) = [item.source for item in desired.hosts[HostName(host)].items if item.name.model == name]
    assert isinstance(found, Create)
    return found


def test_each_file_is_given_once_with_what_the_manifest_says_it_is(folder: Path) -> None:
    files = local_files(loaded(folder))
    assert [(file.path, file.sha256) for file in files] == [
        (str(folder / "w" / "a.gguf"), Digest("ab" * 32)),
        (str(folder / "w" / "style.gguf"), None),
    ]


def test_files_are_shown_as_they_were_written(folder: Path) -> None:
    desired = loaded(folder)
    assert [file.shown for file in source(desired, "same").local_files] == ["../w/a.gguf", "../w/style.gguf"]
    assert [file.shown for file in source(desired, "known").files] == ["./w/../w/a.gguf"]


def test_a_modelfile_and_fields_with_the_same_files_are_the_same_value(folder: Path) -> None:
    desired = loaded(folder)
    assert source(desired, "same") == source(desired, "one")


def test_digests_are_put_in_everywhere_and_asked_for_once(folder: Path) -> None:
    asked: list[tuple[str, Digest | None]] = []

    def digest_of(file: LocalFile) -> Digest:
        asked.append((Path(file.path).name, file.sha256))
        return Digest(f"{len(asked):02}" * 32)

    desired = loaded(folder)
    hashed = with_digests(desired, digest_of)
    assert len(asked) == 3
    assert set(asked) == {("a.gguf", None), ("a.gguf", Digest("ab" * 32)), ("style.gguf", None)}
    assert all(file.digest is not None for file in local_files(hashed))
    assert source(hashed, "one", "a") == source(hashed, "same", "b")
    assert all(file.digest is None for file in local_files(desired))


def test_hosts_share_what_they_shared_before(folder: Path) -> None:
    hashed = with_digests(loaded(folder), lambda _: Digest("00" * 32)).hosts
    a, b, c = (hashed[HostName(name)].items for name in "abc")
    assert a is b
    assert [item for item in c if item.name.model != "known"] == list(a)
    assert all(any(item is other for other in c) for item in a)


def test_a_state_without_files_asks_for_no_digest(tmp_path: Path) -> None:
    desired = loaded(tmp_path, "version: 1\nhosts: {a: a.lan}\nmodels: {m: , n: {create: {from: m}}}\n")
    assert local_files(desired) == ()
    assert with_digests(desired, lambda _: pytest.fail("asked")) == desired


def test_the_fingerprint_sees_files_by_digest_and_before_that_by_their_versions(folder: Path) -> None:
    desired = loaded(folder)
    first, second = (
        with_digests(desired, lambda _: Digest("00" * 32)),
        with_digests(desired, lambda _: Digest("11" * 32)),
    )
    assert len({fingerprint(desired), fingerprint(first), fingerprint(second)}) == 3
    os.utime(folder / "w" / "a.gguf", ns=(1, 1))
    touched = loaded(folder)
    assert fingerprint(touched) != fingerprint(desired)
    assert fingerprint(with_digests(touched, lambda _: Digest("00" * 32))) == fingerprint(first)


def test_a_file_is_looked_into_once_whatever_it_is_called(folder: Path) -> None:
    desired = loaded(folder)
    (one, _), (same, _), (known,) = (source(desired, name).local_files for name in ("one", "same", "known"))
    assert one.stamp is same.stamp is known.stamp


def test_no_more_files_than_anybody_has(folder: Path) -> None:
    loaded(folder)
    entries = load(["fleet.yaml"], folder=str(folder)).entries
    found = find_weights(entries, [], {}, [], most=1)
    told = {path: str(each) for (_, path), each in found.items() if isinstance(each, Misread)}
    assert told == {
        "w/style.gguf": "more than 1 files of weights in all",
        "w/link.gguf": "more than 1 files of weights in all",
    }


def test_what_is_no_file_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "w" / "fifo.gguf")
    (folder / "st").mkdir()
    os.mkfifo(folder / "st" / "model.safetensors")
    text = "version: 1\nhosts: {a: a.lan}\nmodels: {m: {create: {files: [w/fifo.gguf, st, /dev/zero]}}}\n"
    with pytest.raises(ManifestErrors) as caught:
        loaded(folder, text)
    assert [fault.text for fault in caught.value.faults] == [
        "w/fifo.gguf: this is a FIFO, not a file",
        "st: `model.safetensors` in it: this is a FIFO, not a file",
        "/dev/zero: leads out of the manifest's folder",
    ]
    assert [fault.hint for fault in caught.value.faults][:2] == [None, None]
