"""What the header of a safetensors file has to be like."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.weights.faults import InvalidWeights
from fleet.weights.safetensors import check_header
from tests.weights.making import described, safetensors

ONE = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}


def check(content: bytes) -> int:
    return check_header(io.BytesIO(content), len(content))


def telling(**tensors: object) -> bytes:
    return described(json.dumps(tensors).encode(), bytes(8))


def test_whole_files_are_let_through() -> None:
    assert check(safetensors()) == 2
    assert check(safetensors(metadata={"format": "pt", "notes": '{"a": [1, "}"]}'})) == 2
    assert check(described(b"{}")) == 0
    assert check(described(b'\n{ "a" : {"dtype" :"U8","shape": [],\t"data_offsets":[0,1]} }  ', bytes(1))) == 1


def test_types_of_the_future_only_have_to_lie_within_the_file() -> None:
    assert check(telling(a=ONE | {"dtype": "F3_NEW"})) == 1


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.lists(st.integers(0, 9), max_size=4)
    )
)
def test_any_names_and_shapes_can_be_read(shapes: dict[str, list[int]]) -> None:
    shapes.pop("__metadata__", None)
    content = safetensors({name: tuple(shape) for name, shape in shapes.items()} or None)
    assert check(content) == (len(shapes) or 2)


HOSTILE = {
    "a length beyond the end": (pack("<Q", 2**63) + b"{}", "no safetensors"),
    "a length of nothing": (pack("<Q", 0) + b"{}", "no safetensors"),
    "less than a length": (b"\x08\0", "no safetensors"),
    "a tensor beyond the end": (telling(a=ONE | {"shape": [2, 3], "data_offsets": [0, 12]}), "`a` ends at byte 12 behind the header, the file at 8"),
    "an offset that overflows": (telling(a=ONE | {"data_offsets": [0, 2**70]}), "is not described by"),
    "a tensor that ends before it begins": (telling(a=ONE | {"data_offsets": [8, 0]}), "`a` ends before it begins"),
    "bytes that are not those of its shape": (telling(a=ONE | {"shape": [3]}), "`a` has 8 bytes, which its shape"),
    "a shape that overflows": (telling(a=ONE | {"shape": [2**62] * 4}), "which its shape does not take"),
    "a shape below nothing": (telling(a=ONE | {"shape": [-2, -2]}), "is not described by"),
    "dimensions without end": (telling(a=ONE | {"shape": [1] * 17}), "is not described by"),
    "no offsets": (telling(a={"dtype": "F16", "shape": [4]}), "is not described by"),
    "one offset": (telling(a=ONE | {"data_offsets": [8]}), "is not described by"),
    "half an offset": (telling(a=ONE | {"data_offsets": [0, 7.5]}), "is not described by"),
    "offsets of yes and no": (telling(a=ONE | {"data_offsets": [False, True]}), "is not described by"),
    "no tensor": (telling(a=1), "is not the JSON"),
    "a list": (described(b"[]"), "is not the JSON"),
    "JSON that goes on": (described(b"{}{}"), "is not the JSON"),
    "JSON that breaks off": (described(b'{"a":{"dtype"'), "is not the JSON"),
    "JSON within JSON": (described(b'{"a":{"b":{}}}'), "is not the JSON"),
    "brackets without end": (described(b'{"a":{"b":' + b"[" * 4000 + b"}}"), "is not the JSON"),
    "brackets in brackets": (described(b'{"a":' + b'{"a":' * 100_000), "is not the JSON"),
    "a number of thousands of digits": (described(b'{"a":{"shape":[' + b"9" * 4060 + b"]}}"), "is not described by"),
    "an entry of any length": (described(b'{"a":{"x":"' + b"x" * 5000 + b'"}}'), "entry of tensor `a` in its header is too long"),
    "a name of any length": (described(b'{"' + b"x" * 2000 + b'":{}}'), "the name of a tensor"),
    "not a number": (described(b'{"a":{"shape":[NaN]}}'), "is not the JSON"),
    "no text": (described(b'{"\xff\xfe":{}}'), "is not the JSON"),
    "the same tensor twice": (described(f'{{"a":{json.dumps(ONE)},"\\u0061":{json.dumps(ONE)}}}'.encode(), bytes(8)), "`a` stands twice"),
    "metadata twice": (described(b'{"__metadata__":{},"__metadata__":{}}'), "`__metadata__` stands twice"),
    "escapes in a name": (telling(**{"a\x1b[31m\n": {}}), r"`a\x1b[31m\n`"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_a_clear_error(name: str) -> None:
    content, expected = HOSTILE[name]
    with pytest.raises(InvalidWeights) as caught:
        check(content)
    assert expected in str(caught.value)


@pytest.mark.parametrize("filler", [b'{"a":[],', b'{"a":"', b"{ ", b'{"a":{"b":[', b'{"a":{"' + b'\\"'])
def test_large_headers_cost_no_more_than_their_size(filler: bytes) -> None:
    content = described(filler + filler[-2:] * (1 << 20))
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(InvalidWeights, match="is not the JSON"):
            check(content)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(content)
        assert time.perf_counter() - began < 2
    finally:
        tracemalloc.stop()


def test_a_cut_file_is_noticed_wherever_it_was_cut() -> None:
    whole = safetensors()
    for size in range(0, len(whole), 7):
        with pytest.raises(InvalidWeights):
            check(whole[:size])
