"""What the machine may declare: few names and contents, so that what matters happens often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

Entry = dict[str, Any]
"""One entry of a manifest, as it is written. Of a pin, the content's number stands in place of the digest."""

PULLED = ("p:1", "q:1")
MADE = ("c", "d")
COPIES = ("a", "b")
NAMES = (*PULLED, *MADE, *COPIES)
"""Each may be made from those before it."""
ORIGIN = "team/other:1"
"""A name in the registry that another one may be pulled under."""
STRANGERS = {"own:1": 3, "gone-1": 4, "gone-2": 3}
"""What a host has that fleet did not put there, with the contents."""
CONTENTS: Sequence[Mapping[str, Any]] = (
    {"seed": "0"},
    {"seed": "0", "system": "Published."},
    {"seed": "1", "parameters": {"temperature": 0.25}},
    {"seed": "2"},
    {"seed": "3"},
)
"""What there may be under a name; the first two share their weights, the last two are strangers'."""
OFFERED = 3
"""How many of them the registry may have."""
FILES = ("one.gguf",)

_extras = st.sampled_from(
    [{}, {}, {"warm": True}, {"warm": True}, {"warm": {"keep_alive": "1h"}}, {"protect": True}, {"freeze": True}]
)
_texts = st.sampled_from(["One.", "Two."])


def _pulls() -> st.SearchStrategy[Entry]:
    pulls: list[Entry] = [{}, {}, {"update": "always"}, {"from": ORIGIN}, {"pin": 0}, {"pin": 1}]
    return st.builds(lambda pull, more: {"pull": pull, **more}, st.sampled_from(pulls), _extras)


def entries(name: str) -> st.SearchStrategy[Entry]:
    """What may be said of a name."""
    before = NAMES[: NAMES.index(name)]
    if name in PULLED:
        return _pulls()
    if name in MADE:
        based = st.builds(
            lambda base, system, more: {"create": {"from": base, "system": system}, **more},
            st.sampled_from(before[:2]),
            _texts,
            _extras,
        )
        filed = st.builds(
            lambda system, more: {"create": {"files": list(FILES), "system": system}, **more}, _texts, _extras
        )
        return st.one_of(based, filed)
    return st.builds(lambda source, more: {"alias": source, **more}, st.sampled_from(before), _extras)


def source(entry: Entry) -> str | None:
    """The name that the entry's model is made from or follows."""
    found: str | None = entry.get("alias") or entry.get("create", {}).get("from")
    return found


def spellings(name: str) -> st.SearchStrategy[str]:
    """Ways to write one name. Registries do mind the case, so that what is pulled keeps its own."""
    long = f"registry.ollama.ai/library/{name}"
    if name in PULLED:
        return st.sampled_from([name, long])
    return st.sampled_from([name, name.upper(), f"{long}:latest", f"{name.upper()}:latest"])
