"""Levels of quantization: their names and numbers, and which a version can make."""

from __future__ import annotations

from fleet.simulate.versions import Behaviour, Capability

_NUMBERS = {
    "F32": 0,
    "F16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q8_0": 7,
    "Q5_0": 8,
    "Q5_1": 9,
    "Q2_K": 10,
    "Q3_K_S": 11,
    "Q3_K_M": 12,
    "Q3_K_L": 13,
    "Q4_K_S": 14,
    "Q4_K_M": 15,
    "Q5_K_S": 16,
    "Q5_K_M": 17,
    "Q6_K": 18,
    "IQ2_XXS": 19,
    "IQ2_XS": 20,
    "Q2_K_S": 21,
    "IQ3_XS": 22,
    "IQ3_XXS": 23,
    "IQ1_S": 24,
    "IQ4_NL": 25,
    "IQ3_S": 26,
    "IQ3_M": 27,
    "IQ2_S": 28,
    "IQ2_M": 29,
    "IQ4_XS": 30,
    "IQ1_M": 31,
    "BF16": 32,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_OFFERED = {"F32", "F16", "Q8_0", "Q4_K_S", "Q4_K_M", "BF16"}


class UnknownFileTypeError(ValueError):
    """A quantization that the version does not offer. The text is the server's."""


def name_of(number: int | None, behaviour: Behaviour) -> str:
    """The name of a GGUF's file type as the version shows it, `unknown` where it has none."""
    name = "unknown" if number is None else _NAMES.get(number, "unknown")
    return "unknown" if name.startswith("IQ") and behaviour.has(Capability.FILE_TYPES_FEW) else name


def number_of(name: str, behaviour: Behaviour | None = None) -> int:
    """The number of a wanted quantization, given in capitals. Raises `UnknownFileTypeError`."""
    if behaviour is None or not behaviour.has(Capability.QUANTIZE_FEW):
        if name not in _NUMBERS:
            raise UnknownFileTypeError(f"unknown fileType: {name}")
        return _NUMBERS[name]
    wanted = "Q4_K_M" if name == "Q4_K" else name
    if wanted not in _OFFERED:
        raise UnknownFileTypeError(
            f"unsupported quantization type {name} - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0"
        )
    return _NUMBERS[wanted]
