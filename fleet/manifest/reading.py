"""Reads YAML files into trees: what is no text in UTF-8 or no YAML is told with its place."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from fleet.manifest.builder import HARMLESS, Builder, Unreadable
from fleet.manifest.faults import Faults
from fleet.manifest.inventory import Place
from fleet.manifest.secrets import HINT, credential_in
from fleet.manifest.tree import Node, Scalar, place_of

# Refused by YAML wherever they stand; told here with their place.
_UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")

Parser = Callable[[bytes], Any]
"""Makes an object with PyYAML's `get_event` from the bytes of a file."""

try:
    from yaml.cyaml import CParser  # type: ignore[attr-defined] # the stubs do not say that it is there

    PARSER: Parser = CParser
except ImportError:  # pragma: no cover - where PyYAML was built without libyaml
    PARSER = yaml.SafeLoader

SLOW = PARSER is yaml.SafeLoader
"""Whether only PyYAML's parser in Python is there, 19 times slower."""


def read_documents(content: bytes, file: str, faults: Faults, *, parser: Parser = PARSER) -> list[Node]:
    """The documents of one file, without empty ones; `file` is its name in places.

    What is wrong goes to `faults`; after a fault of the syntax the list is empty.
    """
    text = _checked(content, file, faults)
    if text is None:
        return []
    try:
        with _uncollected():
            found = Builder(text, file, faults).build(parser(text).get_event)
    except Unreadable as stop:
        faults.add(place_of(file, stop.mark), "", str(stop), stop.hint)
        return []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = place_of(file, mark) if mark else Place(file, 1, 1)
        if mark and text.decode()[mark.index : mark.index + 1] == "\t":
            faults.add(spot, "", "a tab; YAML is indented with spaces")
        else:
            faults.add(spot, "", f"this is no YAML: {error.problem or error.context}")
        return []
    except (yaml.YAMLError, ValueError) as error:
        # The parser in Python lets plain ValueErrors out, for an escape beyond Unicode for example.
        faults.add(Place(file, 1, 1), "", f"this is no YAML: {' '.join(str(error).split())}")
        return []
    written = [document for document in found if not (isinstance(document, Scalar) and document.null)]
    if not written:
        faults.add(Place(file, 1, 1), "", "the file holds no document")
    return written


@contextmanager
def _uncollected() -> Iterator[None]:
    """Lets the garbage collector rest: it would take a third of the time, going through trees that are all in use.

    What is there at the end counts as old, or the collector would go through it at once.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()


def _checked(content: bytes, file: str, faults: Faults) -> bytes | None:
    """The bytes without a byte-order mark, if they are text in UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        faults.add(Place(file, 1, 1), "", "the file is in UTF-16; only UTF-8 is read", "save it as UTF-8")
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if found := credential_in(content):
        before = content[: found[0]].decode(errors="replace")
        faults.add(
            _after(before, file), "", f"this looks like {found[1]}: a secret is never written in this file", HINT
        )
        return None
    if not content.translate(None, HARMLESS):
        return content
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        faults.add(_after(content[: error.start].decode(), file), "", "this is not UTF-8", "save the file as UTF-8")
        return None
    if bad := _UNREADABLE.search(text):
        faults.add(_after(text[: bad.start()], file), "", f"the control character U+{ord(bad[0]):04X}")
        return None
    return content


def _after(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
