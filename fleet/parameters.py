"""Every parameter of a model that some version of Ollama knows: name, kind, versions (`ollama-api.md` 7.4).

Servers store what they do not know and fail only at load, so both manifests and requests are checked against this.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

Release = tuple[int, int, int]

_TOO_LARGE = 2.0**128 - 2.0**103
"""From here on, a number is rounded to infinity."""


class Kind(StrEnum):
    """What a parameter takes."""

    INTEGER = "a whole number"
    NUMBER = "a number"
    FLAG = "true or false"
    TEXTS = "a list of texts"


class Parameter(NamedTuple):
    """`since` is the first release that knows it, `until` the first that no longer does; nothing means no bound."""

    name: str
    kind: Kind
    since: Release | None = None
    until: Release | None = None

    def known_to(self, release: Release) -> bool:
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)


def in_float32(number: float) -> bool:
    """Whether a float of 32 bits, as which servers keep numbers, holds it; old ones refuse others at once."""
    return abs(number) < _TOO_LARGE


def _table() -> Mapping[str, Parameter]:
    everywhere = {
        Kind.INTEGER: "num_ctx num_batch num_gpu main_gpu num_thread num_keep num_predict seed top_k repeat_last_n",
        Kind.NUMBER: "temperature top_p min_p typical_p repeat_penalty presence_penalty frequency_penalty",
        Kind.FLAG: "use_mmap",
        Kind.TEXTS: "stop",
    }
    until_0_7 = {
        Kind.INTEGER: "mirostat",
        Kind.NUMBER: "mirostat_tau mirostat_eta",
        Kind.FLAG: "low_vram f16_kv logits_all vocab_only use_mlock",
    }
    rows = [Parameter(name, kind) for kind, names in everywhere.items() for name in names.split()]
    rows += [Parameter(name, kind, until=(0, 6, 9)) for kind, names in until_0_7.items() for name in names.split()]
    rows += [
        Parameter("tfs_z", Kind.NUMBER, until=(0, 5, 2)),
        Parameter("penalize_newline", Kind.FLAG, until=(0, 5, 5)),
        Parameter("draft_num_predict", Kind.INTEGER, since=(0, 30, 0)),
    ]
    return {row.name: row for row in sorted(rows)}


PARAMETERS: Mapping[str, Parameter] = _table()
"""By name, sorted."""
