"""Levels of quantization: which a server of a given version makes, and from what (`ollama-api.md` 7.6).

Pure. A create that asks for another one fails only after its files were uploaded, so a plan has to know before.
"""

from __future__ import annotations

from fleet.ollama.versions import Capability, Version, has

_SHORT = ("F32", "F16", "BF16", "Q8_0", "Q4_K_S", "Q4_K_M")
LEVELS = frozenset(
    {
        *("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L"),
        *("Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"),
        *("IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS"),
    }
)
"""Every level that any version makes, in its one spelling."""


def level(text: str) -> str:
    """The one spelling of a level: upper case, and `Q4_K_M` for `Q4_K`. Nothing where a server says `unknown`."""
    upper = text.upper()
    return {"Q4_K": "Q4_K_M", "UNKNOWN": ""}.get(upper, upper)


def why_not(wanted: str, source: str | None, version: Version) -> str | None:
    """Why a server of this version cannot make that level, or nothing where it can.

    `source` is the level of the file or base, nothing where that is not known or the files are no GGUFs. A server of
    unknown version is refused only what none can do.
    """
    wanted = level(wanted)
    if wanted not in LEVELS:
        return "no version of Ollama makes this level"
    if has(version, Capability.QUANTIZE_SHORT) and wanted not in _SHORT:
        return f"Ollama {version} makes only {', '.join(_SHORT[:-1])} and {_SHORT[-1]}"
    return None if source is None else _why_not_from(source, version)


def _why_not_from(source: str, version: Version) -> str | None:
    """The source is looked at even where it has the wanted level already."""
    found = level(source)
    if found == "F16":
        return None
    if found == "BF16":
        since = Capability.QUANTIZE_BF16
        known_without = version.known and not has(version, since)
        return f"Ollama {version} does not quantize BF16, from 0.22.1 on servers do" if known_without else None
    if found in {"F32", ""}:
        # The number of F32 in a header is zero, which servers take for no number (recorded on 0.5.4 to 0.32.15).
        return "servers cannot tell the level of this file, and quantize F16 and BF16 alone"
    return f"what is {found} already is not quantized again: the file has to be F16 or BF16"
