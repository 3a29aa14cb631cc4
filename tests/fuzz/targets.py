"""What is fuzzed: each target takes any bytes and raises nothing, unless a reader does what it must not do.

A reader may raise what it declares, takes bounded time, and finds the same facts as the simulated server's own reader
in whatever it accepts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from struct import pack

from fleet.manifest.modelfile import Modelfile, read_modelfile
from fleet.simulate import gguf as simulated
from fleet.simulate import imports
from fleet.simulate import modelfile as simulated_modelfile
from fleet.simulate.versions import Behaviour
from fleet.weights.faults import InvalidWeights
from fleet.weights.gguf import Header, read_header
from fleet.weights.safetensors import check_header
from tests.fuzz import texts

SEEDS = Path(__file__).parent / "seeds"

_NEWEST = Behaviour.of("0.32.15")
_LISTS_IN_LISTS = "invalid array type: 9"
_NEWER = re.compile(r"^[ \t]*(renderer|parser|requires|draft)[ \t]", re.IGNORECASE | re.MULTILINE)


def gguf(content: bytes) -> None:
    """A GGUF's header, in the file as it is, and in one that seems to go on."""
    with suppress(InvalidWeights):
        read_header(io.BytesIO(content), len(content) + (1 << 40))
    try:
        header = read_header(io.BytesIO(content), len(content))
    except InvalidWeights as fault:
        _printable(fault)
    else:
        _same_as_server(header, content)


def _printable(fault: InvalidWeights) -> None:
    assert str(fault).isprintable()


def _same_as_server(header: Header, content: bytes) -> None:
    try:
        there = simulated.read(content, size=len(content))
    except simulated.GgufError as error:
        if str(error) == _LISTS_IN_LISTS:
            return
        raise
    assert header.tensors == len(there.tensors)
    assert header.tensors_kept == imports.has_embedded_tensors(there)
    assert header.part.value == imports.layer_type(there, _NEWEST).rpartition(".")[2]


def safetensors(content: bytes) -> None:
    """A safetensors file, one that begins so, and one whose header is all of the input."""
    announced = pack("<Q", len(content)) + content
    for file, size in ((content, len(content)), (content, 1 << 40), (announced, 1 << 20)):
        try:
            check_header(io.BytesIO(file), size)
        except InvalidWeights as fault:
            _printable(fault)


def modelfile(content: bytes) -> None:
    """A Modelfile, which is never refused as a whole; what has no faults is what Ollama's own reader finds."""
    found = read_modelfile(content)
    assert all(str(fault).isprintable() for fault in found.faults)
    if found.made_from and not found.faults and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-8")
        if not _NEWER.search(text):
            _same_as_parser(found, text)


def _same_as_parser(found: Modelfile, text: str) -> None:
    commands = simulated_modelfile.parse(text, lines=True)
    last = {command.name: command.value for command in commands}
    assert [given.value for given in found.made_from] == [each.value for each in commands if each.name == "model"]
    for word in ("system", "template"):
        mine = found.fields.get(word)
        assert (mine.value if mine else None) == last.get(word)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "gguf": gguf,
    "safetensors": safetensors,
    "modelfile": modelfile,
    **texts.TARGETS,
}
