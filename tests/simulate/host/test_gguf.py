"""GGUF files: reading and writing headers, and the files that servers make of files."""

from __future__ import annotations

import hashlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate import gguf, rewrite
from fleet.simulate.blobs import Held, Hollow
from fleet.simulate.gguf import GgufError, Kind, Tensor, Value
from fleet.simulate.rewrite import Source
from fleet.simulate.versions import Behaviour
from tests.simulate.host.recorded import FOLDER
from tests.simulate.host.talking import LLAMA, TENSORS, gguf_file

SINGLE = {
    Kind.UINT8: st.integers(0, 255),
    Kind.INT16: st.integers(-(2**15), 2**15 - 1),
    Kind.UINT32: st.integers(0, 2**32 - 1),
    Kind.INT64: st.integers(-(2**63), 2**63 - 1),
    Kind.FLOAT32: st.floats(width=32, allow_nan=False),
    Kind.FLOAT64: st.floats(allow_nan=False),
    Kind.BOOL: st.booleans(),
    Kind.STRING: st.text(st.characters(codec="utf-8"), max_size=20),
}
VALUES = st.one_of(
    *(st.builds(Value, st.just(kind), values) for kind, values in SINGLE.items()),
    *(st.builds(Value, st.just(Kind.ARRAY), st.lists(values), st.just(kind)) for kind, values in SINGLE.items()),
)
SHAPES = st.lists(st.integers(0, 100), max_size=4).map(tuple)
SOME_TENSORS = st.lists(
    st.builds(Tensor, st.text(st.characters(codec="utf-8"), max_size=9), SHAPES, st.integers(0, 30))
)
METADATA = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9).filter("general.alignment".__ne__), VALUES)


@given(METADATA, SOME_TENSORS)
def test_a_header_is_read_as_it_was_written(metadata: dict[str, Value], tensors: list[Tensor]) -> None:
    placed = gguf.laid_out(tensors)
    head = gguf.write(metadata, placed)
    header = gguf.read(head)
    assert (header.metadata, header.tensors, header.start) == (metadata, placed, len(head))
    assert gguf.write(header.metadata, header.tensors) == head


@given(METADATA, SOME_TENSORS, st.data())
def test_a_header_cut_short_is_refused(metadata: dict[str, Value], tensors: list[Tensor], data: st.DataObject) -> None:
    head = gguf.write(metadata, tensors).rstrip(b"\0")
    cut = data.draw(st.integers(0, max(0, len(head) - 40)))
    if cut < len(head) - 31:
        with pytest.raises(GgufError, match="EOF"):
            gguf.read(head[:cut])


@given(st.binary(max_size=200).map(b"GGUF\3\0\0\0".__add__))
def test_garbage_is_read_or_refused(content: bytes) -> None:
    try:
        gguf.read(content)
    except GgufError as fault:
        assert str(fault)  # noqa: PT017 - either outcome is right


def broken(head: bytes, tensors: int = 0, values: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + head


KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"GG", "unexpected EOF"),
        (b"PK\3\4", "invalid file magic"),
        (b"GGUF", "EOF"),
        (broken(KEY + struct.pack("<I", 13)), "invalid type: 13"),
        (broken(KEY + struct.pack("<II", 9, 9)), "invalid array type: 9"),
        (broken(KEY + struct.pack("<IIQ", 9, 0, 1 << 60)), "unexpected EOF"),
        (broken(struct.pack("<Q", 1 << 60)), "unexpected EOF"),
        (broken(b"", 1, 0), "failed to read tensor name: EOF"),
        (broken(KEY, 1, 0), "failed to read tensor dimensions: EOF"),
        (broken(KEY + struct.pack("<I", 5), 1, 0), 'tensor "k" dimensions 5 exceeds maximum 4'),
        (broken(KEY + struct.pack("<I", 1), 1, 0), "failed to read tensor shape: EOF"),
        (broken(KEY + struct.pack("<I", 0), 1, 0), "failed to read tensor kind: EOF"),
        (broken(KEY + struct.pack("<II", 0, 0), 1, 0), "failed to read tensor offset: EOF"),
    ],
)
def test_faults(content: bytes, fault: str) -> None:
    with pytest.raises(GgufError) as caught:
        gguf.read(content)
    assert str(caught.value) == fault


def test_older_and_big_endian_files_are_read() -> None:
    first = b"GGUF" + struct.pack("<IIIQ", 1, 0, 1, 2) + b"k\0" + struct.pack("<III", 9, 0, 2) + b"\1\2"
    assert gguf.read(first).metadata == {"k": Value(Kind.ARRAY, [1, 2], Kind.UINT8)}
    big = b"FUGG" + struct.pack(">IQQQ", 3, 0, 1, 1) + b"k" + struct.pack(">II", 4, 7)
    assert gguf.read(big).metadata == {"k": gguf.uint(7)}


def test_tensors_must_lie_within_the_file() -> None:
    content = gguf_file()
    assert gguf.read(content, size=len(content)).end == len(content)
    with pytest.raises(GgufError, match=r"offset\+size .* exceeds file size"):
        gguf.read(content, size=len(content) - 1)


def test_what_a_header_tells() -> None:
    header = gguf.read(gguf_file())
    assert (header.architecture, header.file_type, header.context_length) == ("llama", 1, 8192)
    assert (header.parameters, header.get("block_count"), header.get("nothing")) == (64 * 33, 1, None)
    empty = gguf.read(gguf.write({}, []))
    assert (empty.architecture, empty.file_type, empty.context_length, empty.end) == ("unknown", None, 0, empty.start)
    assert Tensor("w", (2,), 99).type_name == "unknown"


@pytest.mark.parametrize("alignment", [64, 0])
def test_tensors_begin_at_the_alignment(alignment: int) -> None:
    content = gguf_file(general__alignment=gguf.uint(alignment))
    assert gguf.read(content).start % (alignment or 32) == 0


def whole(content: bytes) -> Source:
    return Source(gguf.read(content), Held(content), f"sha256:{hashlib.sha256(content).hexdigest()}")


@pytest.mark.parametrize(
    ("name", "digest"),
    [("tiny.gguf", "c0a42e7aa230"), ("third.gguf", "58b9cfa8e807"), ("half.gguf", "65d39d")],
)
def test_a_copied_file_has_the_digest_that_llama_quantize_gives_it(name: str, digest: str) -> None:
    copy, after = rewrite.copied([whole((FOLDER / "files" / name).read_bytes())])
    assert after.startswith(f"sha256:{digest}")
    assert hashlib.sha256(copy.read(0, copy.size)).hexdigest() == after.removeprefix("sha256:")
    again, same = rewrite.copied([Source(gguf.read(copy.read(0, copy.size)), copy, after)])
    assert (again.size, same) == (copy.size, after)


@pytest.mark.parametrize("version", ["0.5.4", "0.9.6", "0.24.0", "0.32.15"])
@pytest.mark.parametrize(("file_type", "level"), [(7, "Q8_0"), (15, "Q4_K"), (18, "Q6_K")])
def test_quantized_files_have_the_sizes_of_real_ones(version: str, file_type: int, level: str) -> None:
    tensors = (Tensor("token_embd.weight", (256, 32), 1), Tensor("output.weight", (256, 8), 1), *TENSORS[1:])
    source = gguf_file(tensors=tensors)
    content, digest = rewrite.quantized([whole(source)], file_type, Behaviour.of(version))
    header = gguf.read(content.read(0, content.size))
    assert header.metadata["general.file_type"].value == file_type
    kinds = {tensor.name: tensor.type_name for tensor in header.tensors}
    assert kinds == {
        "token_embd.weight": level,
        "output.weight": "Q8_0" if level == "Q8_0" else "Q6_K",
        "blk.0.attn_norm.weight": "F32",
    }
    assert content.size - header.end < 32
    assert digest == f"sha256:{hashlib.sha256(content.read(0, content.size)).hexdigest()}"


@pytest.mark.parametrize(("width", "expected"), [(256, "Q4_K"), (64, "Q5_0"), (50, "F16")])
def test_rows_that_do_not_fit_blocks_get_another_type(width: int, expected: str) -> None:
    source = gguf_file(tensors=(Tensor("a.weight", (width, 4), 0),))
    content, _ = rewrite.quantized([whole(source)], 15, Behaviour.of("0.9.6"))
    assert gguf.read(content.read(0, content.size)).tensors[0].type_name == expected


def test_a_content_that_is_not_there_is_not_written_either() -> None:
    head = gguf.write(LLAMA, gguf.laid_out([Tensor("output.weight", (4096, 1 << 20), 1)]))
    header, newest = gguf.read(head), Behaviour.of("0.32.15")
    first, again, other = (
        rewrite.quantized([Source(header, Hollow(head, header.end), f"sha256:{digest}")], 7, newest) for digest in "112"
    )
    assert isinstance(first[0], Hollow)
    assert first[0].size == pytest.approx(4096 * (1 << 20) * 34 / 32, rel=1e-6)
    assert (again[1], again[0].size) == (first[1], first[0].size)
    assert other[1] != first[1]


def test_infinite_numbers_are_kept() -> None:
    head = gguf.write({"k": Value(Kind.FLOAT64, math.inf)}, [])
    assert gguf.read(head).metadata["k"].value == math.inf
