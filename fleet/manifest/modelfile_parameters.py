"""Values of PARAMETER lines, by the rules of Ollama's command line (`ollama-api.md` 8.3), as the fields have them.

Pure. Parameters that some versions no longer know are kept: it depends on the host whether they mean anything.
"""

from __future__ import annotations

import re

from fleet.manifest.faults import Misread, nearest, quoted
from fleet.manifest.item import ParameterValue
from fleet.parameters import PARAMETERS, Kind, in_float32

_WHOLE = re.compile(r"[-+]?[0-9]{1,40}\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][-+]?[0-9]{1,3})?\Z")
_FLAGS = {
    **dict.fromkeys(["1", "t", "T", "TRUE", "true", "True"], True),
    **dict.fromkeys(["0", "f", "F", "FALSE", "false", "False"], False),
}


def parameter(name: str, text: str) -> ParameterValue:
    """The value of one line. Raises `Misread` for a name that no version knows, and for a value of another kind."""
    known = PARAMETERS.get(name)
    if known is None:
        raise Misread(f"unknown parameter {quoted(name)}", hint=nearest(name, PARAMETERS))
    match known.kind:
        case Kind.TEXTS:
            return (text,)
        case Kind.FLAG:
            if text not in _FLAGS:
                raise Misread(f"`{name}` wants `true` or `false`, not {quoted(text)}")
            return _FLAGS[text]
        case Kind.INTEGER:
            if not _WHOLE.match(text) or not -(2**63) <= int(text) < 2**63:
                raise Misread(f"`{name}` wants a whole number of 64 bits, not {quoted(text)}", hint=_in_digits(text))
            return int(text)
        case Kind.NUMBER:
            if not _NUMBER.match(text):
                raise Misread(f"`{name}` wants a number, not {quoted(text)}")
            if not in_float32(float(text)):
                raise Misread(f"{quoted(text)} is more than servers can hold")
            return float(text)


def _in_digits(text: str) -> str | None:
    """The hint for a whole number as `ollama show` prints large ones, which Ollama itself does not read back."""
    if not _NUMBER.match(text) or not float(text).is_integer() or abs(float(text)) >= 2**53:
        return None
    return f"write `{float(text):.0f}`"
