"""Chat templates inside imported weights that a server knows: it adds a template layer and stop parameters of its own.

Real servers know about thirty and take any text within a hundred edits of one for it; here two of them stand for all.
The Go templates are this simulator's, the names and stops are those of servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fleet.simulate.gotext import json_text
from fleet.simulate.image import media_type
from fleet.simulate.imports import Part
from fleet.simulate.store import Store

_NEAR = 100
"""Fewer single-character edits than these make two chat templates the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """A template that servers know: its name, its text in Jinja, and what stands for it."""

    name: str
    jinja: str
    go: str
    stop: tuple[str, ...]


_KNOWN = (
    Known(
        "chatml",
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
        "+ '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}<|im_start|>user\n{{ .Prompt }}"
        "<|im_end|>\n<|im_start|>assistant\n{{ .Response }}<|im_end|>\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    Known(
        "phi-3",
        "{{ bos_token }}{% for message in messages %}{{'<|' + message['role'] + '|>' + '\n' + message['content'] "
        "+ '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        "{{ if .System }}<|system|>\n{{ .System }}<|end|>\n{{ end }}<|user|>\n{{ .Prompt }}<|end|>\n"
        "<|assistant|>\n{{ .Response }}<|end|>\n",
        ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    ),
)


def with_template(store: Store, parts: Sequence[Part]) -> list[Part]:
    """The parts, and behind them the layers for each chat template among them that is known."""
    found = list(parts)
    for part in parts:
        value = part.header.metadata.get("tokenizer.chat_template") if part.header else None
        known = recognised(value.value) if value and isinstance(value.value, str) and value.value else None
        if known is None:
            continue
        template = store.layer(known.go.encode(), media_type("template"))
        found.append(Part(replace(template, status=f"using autodetected template {known.name}")))
        found.append(Part(store.layer(json_text({"stop": list(known.stop)}, newline=True), media_type("params"))))
    return found


@lru_cache(maxsize=64)
def recognised(jinja: str) -> Known | None:
    """The known template that this one is, but for a few characters."""
    near = [(edits(jinja, known.jinja), known) for known in _KNOWN if abs(len(jinja) - len(known.jinja)) < _NEAR]
    distance, known = min(near, key=lambda pair: pair[0], default=(_NEAR, None))
    return known if distance < _NEAR else None


def edits(one: str, other: str) -> int:
    """How many characters must be put in, taken out or exchanged to make one text of the other."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, with_letter in enumerate(other, 1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (letter != with_letter)),
            )
    return row[-1]
