"""What a GGUF's header tells, and the headers that tell too much."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate import filetypes, imports
from fleet.simulate import gguf as simulated
from fleet.simulate.versions import Behaviour
from fleet.weights.faults import InvalidWeights
from fleet.weights.gguf import DEEPEST, Header, read_header
from fleet.weights.local import Part
from tests.weights.making import (
    ARRAY,
    LLAMA,
    Q4_K,
    Q8_0,
    STRING,
    U16,
    U32,
    WEIGHTS,
    Tensor,
    Typed,
    adapter,
    gguf,
    model,
    pieces,
    projector,
)

RECORDED = Path(__file__).parents[1] / "recordings" / "files"
NEWEST = Behaviour.of("0.32.15")


def read(content: bytes, size: int | None = None) -> Header:
    return read_header(io.BytesIO(content), len(content) if size is None else size)


def fault(content: bytes, size: int | None = None) -> str:
    with pytest.raises(InvalidWeights) as caught:
        read(content, size)
    return str(caught.value)


def server_reads(content: bytes) -> Header:
    """The same facts, as the simulated server finds them."""
    told = simulated.read(content, size=len(content))
    part = imports.layer_type(told, NEWEST).rpartition(".")[2]
    count, number = (found if isinstance(found := told.get(f"split.{key}"), int) else 0 for key in ("count", "no"))
    kept = imports.has_embedded_tensors(told)
    level = told.metadata.get("general.file_type")
    name = filetypes.name_of(level.value if level else None, Behaviour.of("0.5.4"))
    return Header(
        version=told.version,
        part=Part(part),
        file_type=None if name == "unknown" else name,
        split=(number + 1, count) if count > 1 else None,
        tensors=len(told.tensors),
        tensors_kept=kept,
    )


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (model(), Part.MODEL),
        (projector(), Part.PROJECTOR),
        (adapter(), Part.ADAPTER),
        (gguf({"general.architecture": "clip", "clip.has_vision_encoder": True}), Part.PROJECTOR),
        (gguf({"general.architecture": "mllama", "mllama.vision.block_count": 8}), Part.PROJECTOR),
        (gguf({"general.architecture": "gemma3", "gemma3.vision.block_count": 8, "gemma3.block_count": 2}), Part.MODEL),
        (gguf({"general.type": "mmproj", "general.architecture": "whisper"}), Part.PROJECTOR),
        (gguf({}), Part.MODEL),
    ],
    ids=["model", "projector", "adapter", "clip", "vision-alone", "vision-inside", "mmproj", "nothing-told"],
)
def test_the_part_is_what_the_server_takes_it_for(content: bytes, part: Part) -> None:
    assert read(content).part is part
    assert server_reads(content) == read(content)


@pytest.mark.parametrize("name", ["half", "third", "tiny"])
def test_recorded_files_tell_what_the_server_found(name: str) -> None:
    content = (RECORDED / f"{name}.gguf").read_bytes()
    assert read(content) == server_reads(content)
    assert read(content).file_type == ("F16" if name == "half" else "F32")


def test_every_piece_of_a_split_model_has_its_number() -> None:
    made = pieces(3)
    assert [read(content).split for content in made.values()] == [(1, 3), (2, 3), (3, 3)]
    assert [read(content) for content in made.values()] == [server_reads(content) for content in made.values()]
    assert read(model(split__no=Typed(U16, 0), split__count=Typed(U16, 1))).split is None


@pytest.mark.parametrize("name", ["v.blk.0.attn_q.weight", "mm.0.weight", "a.conv1d.1.weight", "s.x", "mtp.0.weight"])
def test_files_that_newer_servers_keep_are_told_by_their_tensors(name: str) -> None:
    assert read(gguf(LLAMA, [*WEIGHTS, Tensor(name)])).tensors_kept
    assert not read(gguf(LLAMA, [*WEIGHTS, Tensor(f"blk.0.{name}")])).tensors_kept


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_all_versions_in_either_byte_order(version: int, big: bool) -> None:
    content = gguf(LLAMA, WEIGHTS, version=version, big=big)
    assert read(content) == server_reads(content)
    assert read(content) == Header(version, Part.MODEL, "F16", None, 3, tensors_kept=False)


@given(
    st.dictionaries(
        st.sampled_from(["general.file_type", "split.count", "split.no", "llama.block_count", "x"]),
        st.integers(0, 40).map(lambda value: Typed(U32, value)) | st.text(max_size=300),
    ),
    st.sampled_from(["llama", "clip", "x"]),
    st.sampled_from(["model", "adapter", "projector", "mmproj", ""]),
)
def test_whatever_it_tells_is_read_as_by_the_server(told: Mapping[str, object], architecture: str, kind: str) -> None:
    content = gguf({"general.type": kind, "general.architecture": architecture, **told}, WEIGHTS)
    count, number = told.get("split.count"), told.get("split.no")
    if isinstance(count, Typed) and count.value > 1 and not (isinstance(number, Typed) and number.value < count.value):
        assert "without its number" in fault(content)  # a server says so once all pieces are there
        return
    header = read(content)
    there = server_reads(content)
    assert replace(header, file_type=None) == replace(there, file_type=None)
    assert header.file_type in {there.file_type, "TQ1_0", "TQ2_0", "MXFP4_MOE", "NVFP4", "Q1_0"}


def nested(depth: int) -> Typed:
    inner = Typed(ARRAY, ["a", "b"])
    for _ in range(depth - 1):
        inner = Typed(ARRAY, [inner], of=ARRAY)
    return inner


def test_lists_in_lists_are_gone_past() -> None:
    assert read(gguf({"x": nested(DEEPEST)} | LLAMA, WEIGHTS)).file_type == "F16"
    assert fault(gguf({"x": nested(DEEPEST + 1)})) == "`x` in its metadata holds lists in lists, more than 4 deep"


def test_long_texts_and_lists_are_gone_past_in_pieces() -> None:
    long = {
        "x": "t" * (1 << 20),
        "y": Typed(ARRAY, [f"token {n}" for n in range(20_000)]),
        "z": Typed(ARRAY, [1] * 100_000, of=U32),
    }
    content = gguf(long | LLAMA, WEIGHTS)
    tracemalloc.start()
    try:
        assert read(content).part is Part.MODEL
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def announcing(*parts: bytes) -> bytes:
    """A header that is whole up to one key, and then goes on with these bytes."""
    return b"GGUF" + pack("<IQQQ", 3, 0, 1, 1) + b"x" + b"".join(parts) + bytes(1000)


HUGE = 2**64 - 1
HOSTILE = {
    "tensors without end": (gguf({}, counts=(HUGE, None)), "announces 18,446,744,073,709,551,615 tensors, more than"),
    "values without end": (gguf({}, counts=(None, HUGE)), "announces 18,446,744,073,709,551,615 values, more than"),
    "a count that overflows": (gguf({}, counts=(2**61, None)), "tensors, more than the file has room for"),
    "a key without end": (b"GGUF" + pack("<IQQQ", 3, 0, 1, HUGE) + bytes(99), "a key in its header is 18,446"),
    "a text without end": (announcing(pack("<IQ", STRING, HUGE)), "the text of `x` in its metadata has 18,446"),
    "a list without end": (announcing(pack("<IIQ", ARRAY, U32, HUGE)), "`x` in its metadata lists 18,446"),
    "texts without end": (announcing(pack("<IIQ", ARRAY, STRING, HUGE)), "`x` in its metadata lists 18,446"),
    "lists without end": (announcing(pack("<IIQ", ARRAY, ARRAY, HUGE)), "`x` in its metadata lists 18,446"),
    "a text in a list": (announcing(pack("<IIQQ", ARRAY, STRING, 2, HUGE)), "cut short: it has 1,0"),
    "no such type": (announcing(pack("<I", 77)), "`x` in its metadata is of type 77"),
    "no such type in a list": (announcing(pack("<IIQ", ARRAY, 77, 1)), "lists a type 77"),
    "the same key twice": (gguf(LLAMA | {"general.namo": 1}).replace(b"namo", b"name"), "`general.name` stands twice"),
    "the same tensor twice": (gguf({}, [Tensor("a"), Tensor("a")]), "two tensors `a`"),
    "a tensor's name": (gguf({}, [Tensor("n" * 256)]), "a tensor's name in its header is 256 bytes long"),
    "five dimensions": (gguf({}, [Tensor("a", (1,) * 5)]), "`a` has 5 dimensions"),
    "dimensions without end": (gguf({}, [Tensor("a", (HUGE,) * 4)]), "`a` ends at byte 2"),
    "an offset beyond the end": (gguf({}, [Tensor("a", offset=1 << 40)]), "`a` ends at byte 1,099,"),
    "an offset that overflows": (gguf({}, [Tensor("a", offset=HUGE)]), "`a` ends at byte 18,446"),
    "an offset of a type of the future": (gguf({}, [Tensor("a", kind=99, offset=1 << 40)]), "`a` ends at byte 1,099,"),
    "rows that fill no block": (gguf({}, [Tensor("a", (100,), Q4_K)]), "rows of 100 numbers, which Q4_K cannot store"),
    "an alignment of 0": (gguf({"general.alignment": 0}), "aligned to `0`, which is no power of two"),
    "an alignment of 48": (gguf({"general.alignment": 48}), "aligned to `48`, which is no power of two"),
    "an alignment in words": (gguf({"general.alignment": "32"}), None),
    "a piece beyond the last": (gguf({"split.no": 3, "split.count": 3}), "one piece of 3 without its number"),
    "version 0": (gguf({}, version=0), "GGUF of version 0"),
    "version 4": (gguf({}, version=4), "GGUF of version 4"),
    "byte order swapped": (b"GGUF" + pack(">IQQ", 3, 0, 0), "written for big-endian machines"),
    "lengths of 32 bits": (b"GGUF" + pack("<IIII", 1, 0, 1, 3) + b"abc" + bytes(50), "a key in its header is"),
    "something else": (b"PK\3\4" + bytes(99), "not a GGUF"),
    "nothing but the magic": (b"GGUF", "cut short: it has 4 bytes"),
    "escapes in a key": (
        gguf({"a\x1b[31m\n": Typed(STRING, "x")}).replace(pack("<I", STRING), pack("<I", 13)),
        r"`a\x1b[31m\n`",
    ),
}


@pytest.mark.fault("U5")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_a_clear_error(name: str) -> None:
    content, expected = HOSTILE[name]
    tracemalloc.start()
    began = time.perf_counter()
    try:
        if expected is None:
            with pytest.raises(InvalidWeights):
                read(content)
        else:
            assert expected in fault(content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        assert time.perf_counter() - began < 1
    finally:
        tracemalloc.stop()


@pytest.mark.fault("U5")
def test_a_cut_file_is_noticed_wherever_it_was_cut() -> None:
    whole = gguf(LLAMA, WEIGHTS)
    for size in range(0, len(whole) - 128, 5):  # what follows the last tensor's end may be missing
        assert fault(whole[:size])
    assert fault(gguf(LLAMA, [Tensor("a", (32, 4), Q8_0)], cut=1)).startswith(
        "cut short or damaged: tensor `a` ends at"
    )


def test_a_header_larger_than_any_model_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + pack("<IQQ", 3, 0, 5))
        for key in b"abcde":
            file.write(pack("<QBIIQ", 1, key, ARRAY, U32, 1 << 22))
            file.seek(1 << 24, io.SEEK_CUR)
        size = file.truncate()
    with path.open("rb") as file, pytest.raises(InvalidWeights, match="its header is longer than 64 MiB"):
        read_header(file, size)
