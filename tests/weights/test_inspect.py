"""Files are what their content says they are, and what is no weights is told apart."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from struct import pack

import pytest

from fleet.names import Digest
from fleet.weights.faults import InvalidWeights
from fleet.weights.inspect import look_into
from fleet.weights.local import Format, LocalFile, Part, Stamp
from tests.weights.making import adapter, described, folder, local, model, pieces, safetensors

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4683073184\n"


def torch() -> bytes:
    """As PyTorch saves it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/version", b"3\n")
    return content.getvalue()


def test_a_gguf_is_told_in_full(tmp_path: Path) -> None:
    declared = Digest("0" * 64)
    name = "tuned-00002-of-00002.gguf"
    path = tmp_path / name
    path.write_bytes(pieces(2, "tuned")[name])
    with path.open("rb") as file:
        found = look_into(file, key=name, path=str(path), shown="weights/tuned.gguf", sha256=declared)
    assert found == LocalFile(
        key=name,
        path=str(path),
        shown="weights/tuned.gguf",
        stamp=Stamp.of(path.stat()),
        format=Format.GGUF,
        part=Part.MODEL,
        split=(2, 2),
        sha256=declared,
    )


def test_the_name_is_not_what_tells_a_gguf(tmp_path: Path) -> None:
    for name in ("x.gguf", "x.bin", "x", "x.txt"):
        assert local(tmp_path / name, adapter()).part is Part.ADAPTER


def test_a_folder_of_safetensors_has_weights_and_texts(tmp_path: Path) -> None:
    root = folder(tmp_path / "model", files=2)
    formats = {
        str(path.relative_to(root)): local(path, key=str(path.relative_to(root))).format
        for path in root.rglob("*")
        if path.is_file()
    }
    assert [name for name, format_ in formats.items() if format_ is Format.SAFETENSORS] == [
        name for name in formats if name.endswith(".safetensors")
    ]
    assert {format_ for name, format_ in formats.items() if not name.endswith(".safetensors")} == {Format.TEXT}
    assert len(formats) == 7


@pytest.mark.parametrize("number", [0x0280, 0x8B1F])
def test_a_length_that_looks_like_another_format_is_a_length(tmp_path: Path, number: int) -> None:
    header = b"{}".ljust(number)
    assert local(tmp_path / "a.safetensors", described(header)).format is Format.SAFETENSORS


@pytest.mark.fault("U5")
@pytest.mark.parametrize(
    ("name", "content", "fault", "hint"),
    [
        ("a.gguf", b"", "empty", None),
        ("a.json", b"", "empty", None),
        ("a.gguf", LFS, "a Git LFS pointer", "run `git lfs pull`"),
        ("a.safetensors", LFS, "a Git LFS pointer", "run `git lfs pull`"),
        ("tokenizer.json", LFS, "a Git LFS pointer", "run `git lfs pull`"),
        ("tokenizer.model", LFS, "a Git LFS pointer", "run `git lfs pull`"),
        ("pytorch_model.bin", torch(), "PyTorch weights", "convert"),
        ("a.gguf", torch(), "PyTorch weights", "convert"),
        ("consolidated.00.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch weights", "convert"),
        ("a.gguf", b"PK\3\4" + bytes(99), "a zip archive", "unpack"),
        ("a.gguf.gz", b"\x1f\x8b\x08" + bytes(99), "compressed with gzip", "unpack"),
        ("a.bin", b"tjgg" + bytes(99), "a GGML file from before GGUF", "convert"),
        ("a.gguf", b"<!DOCTYPE html><html>no such file</html>", "a web page", "download it again"),
        ("a.gguf", bytes(9999), "nothing but zeros", "download it again"),
        ("a.gguf", b"something else altogether", "not a GGUF, though its name says so", "download it again"),
        ("a.safetensors", b"something else altogether", "not safetensors, though its name", "download it again"),
        ("a.gguf", safetensors(), "safetensors under another name", "end in `.safetensors`"),
        ("a.safetensors", model(), "a GGUF under another name", "end in `.gguf`"),
        ("a.txt", b"something else altogether", "neither GGUF nor safetensors", None),
        ("config.json", b"architectures: []", "not the JSON", None),
        ("piece.gguf", pieces(2)["model-00002-of-00002.gguf"], "piece 2 of 2 of a split GGUF", "`NAME-00002-of-00002.gguf`"),
        ("model-00001-of-00002.gguf", pieces(2)["model-00002-of-00002.gguf"], "piece 2 of 2", "`NAME-00002-of-"),
        ("a\u202egguf", model(), "characters that servers may not take", "another name"),
    ],
)  # fmt: skip
def test_what_is_no_weights_is_told_apart(
    tmp_path: Path, name: str, content: bytes, fault: str, hint: str | None
) -> None:
    with pytest.raises(InvalidWeights) as caught:
        local(tmp_path / "file", content, key=name)
    assert fault in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert (hint is None) is (caught.value.hint is None)
    assert (hint or "") in (caught.value.hint or "")


def test_a_file_of_any_size_is_looked_into_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    path.write_bytes(model())
    os.truncate(path, 1 << 40)
    assert local(path).stamp.size == 1 << 40
    path.write_bytes(pack("<Q", 1 << 39) + b"{}")
    os.truncate(path, 1 << 40)
    with pytest.raises(InvalidWeights, match="longer than 32 MiB"):
        local(path, key="sparse.safetensors")
