"""What may happen to one host between two passes, and what may be declared for it: values, and how to draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Entry = dict[str, Any]
"""One entry of a manifest, as it is written. Of a pin, the content's number stands in place of the digest."""

PUBLISHED = ("p:1", "q:1")
MADE = ("acme/c", "acme/d", "acme/e")
NAMES = (*PUBLISHED, *MADE, "a", "b")
"""Each may be made from those before it."""
UNDECLARED = ("gone-1", "own", "team/other:1")
CONTENTS: Sequence[Mapping[str, Any]] = (
    {"seed": "0"},
    {"seed": "0", "system": "Published.", "license": ["MIT"]},
    {"seed": "1", "parameters": {"temperature": 0.25, "stop": ["<a>"]}},
    {"seed": "1", "messages": [{"role": "user", "content": "Hi"}], "template": "{{ .Prompt }}"},
)
"""What the registry may have under a name."""
ORIGIN = "team/other:1"
"""A name in the registry that another one may be pulled under."""


@dataclass(frozen=True, slots=True)
class Declare:
    """The manifest says this of a name from now on; nothing: it no longer speaks of it."""

    name: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Apply:
    """A pass. With `stopped` or `killed` it ends after so many events."""

    faults: tuple[Mapping[str, Any], ...] = ()
    stopped: int | None = None
    killed: int | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else asks the host for something."""

    what: str
    name: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """The registry has another content under a name."""

    name: str
    content: int


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The file that models are made from gets another content."""

    content: int


@dataclass(frozen=True, slots=True)
class Lose:
    """What fleet remembers is lost."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The server starts anew."""


def source(entry: Entry) -> str | None:
    """The name that the entry's model is made from or follows."""
    found: str | None = entry.get("alias") or entry.get("create", {}).get("from")
    return found


Happening = Declare | Apply | Foreign | Publish | Rewrite | Lose | Restart

texts = st.sampled_from(["One.", "Two."])
parameters = st.fixed_dictionaries(
    {},
    optional={
        "num_ctx": st.sampled_from([2048, 4096]),
        "temperature": st.sampled_from([0.5, 0.25]),
        "stop": st.sampled_from([["<a>"], ["<b>", "<a>"], []]),
    },
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "system": texts,
        "template": st.sampled_from(["{{ .Prompt }}!", "{{ .Prompt }}?"]),
        "parameters": parameters,
        "messages": st.sampled_from([[{"role": "user", "content": "Hi"}], [{"role": "assistant", "content": "Ho"}]]),
        "license": st.sampled_from([["MIT"], ["MIT", "BSD"]]),
        "adapters": st.just(["style.gguf"]),
    },
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "warm": st.sampled_from([True, {"keep_alive": "1h"}, {"options": {"num_ctx": 2048}}]),
        "check": st.just([{"prompt": "Hi"}]),
        "replace": st.just("in-place"),
    },
)


def _entries(name: str) -> st.SearchStrategy[Entry | None]:
    """What may be said of a name."""
    before = NAMES[: NAMES.index(name)]
    kinds: list[st.SearchStrategy[Entry | None]] = []
    if name in PUBLISHED:
        pulls = st.sampled_from([{}, {"update": "always"}, {"from": ORIGIN}, {"pin": 0}, {"pin": 1}])
        kinds += [st.builds(lambda pull, more: {"pull": pull, **more}, pulls, extras)]
    if before:
        sources = st.sampled_from(before)
        kinds += [
            st.builds(lambda base, said, more: {"create": {"from": base, **said}, **more}, sources, fields, extras)
        ] * 3
        kinds += [st.builds(lambda source, more: {"alias": source, **more}, sources, extras)] * 2
    if name in MADE:
        weights = st.sampled_from([{"files": ["made.gguf"]}, {"files": ["made.gguf"], "quantize": "Q8_0"}])
        kinds += [st.builds(lambda made, said, more: {"create": {**said, **made}, **more}, weights, fields, extras)]
    # What is not there keeps all from being made that is made from it, so it is rare.
    return st.one_of(*kinds * 2, st.sampled_from([None, {"absent": True}]))


def _declares(name: str) -> st.SearchStrategy[Happening]:
    return st.builds(Declare, st.just(name), _entries(name))


def _fault(kinds: Sequence[Mapping[str, Any]], endpoints: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, endpoint, after, times: {**kind, "endpoint": endpoint, "after": after, "times": times},
        st.sampled_from(kinds),
        st.sampled_from(endpoints),
        st.sampled_from([0, 0, 1, 2]),
        st.sampled_from([4, 4, 2, 1]),
    )


_BROKEN = ({"fault": "unreachable"}, {"fault": "status", "status": 500}, {"fault": "lost-answer"})
_LIES = ({"fault": "lie-success"}, {"fault": "restart-during"})
_STREAMS = (
    {"fault": "cut", "lines": 1},
    {"fault": "clean-end"},
    {"fault": "error-line"},
    {"fault": "error-then-success"},
)
faults = st.one_of(
    _fault((*_STREAMS, *_LIES, *_BROKEN), ["create", "create", "pull"]),
    _fault((*_LIES, *_BROKEN), ["copy", "delete", "blob_post", "load", "unload"]),
    _fault(_BROKEN, ["tags", "show", "ps"]),
)
passes = st.one_of(
    st.builds(Apply),
    st.builds(Apply, st.lists(faults, min_size=1, max_size=4).map(tuple)),
    st.builds(Apply, st.lists(faults, min_size=1, max_size=4).map(tuple)),
    st.builds(Apply, st.lists(faults, min_size=1, max_size=3).map(tuple)),
    st.builds(Apply, stopped=st.integers(1, 30)),
    st.builds(Apply, killed=st.integers(1, 30)),
)
_anywhere = st.sampled_from((*NAMES, *UNDECLARED))
foreign = st.one_of(
    st.builds(Foreign, st.just("pull"), st.sampled_from((*PUBLISHED, ORIGIN))),
    st.builds(Foreign, st.sampled_from(["delete", "break", "load"]), _anywhere),
    st.builds(Foreign, st.sampled_from(["copy", "create"]), _anywhere, _anywhere),
)
_published = st.builds(Publish, st.sampled_from((*PUBLISHED, ORIGIN)), st.integers(0, len(CONTENTS) - 1))
changes: st.SearchStrategy[Happening] = st.one_of(
    foreign,
    foreign,
    _published,
    st.builds(Rewrite, st.integers(0, 1)),
    st.builds(Declare, st.just("gone-*"), st.sampled_from([{"absent": True}, None])),
    st.builds(Lose),
    st.builds(Restart),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Happening]:
    """Much is declared and made at first; then a few things happen before each further pass."""
    found: list[Happening] = [draw(_declares(name)) for name in NAMES]
    declared = {each.name: each.entry for each in found if isinstance(each, Declare)}
    found.append(draw(st.one_of(st.just(Apply()), st.just(Apply()), passes)))
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(1, 4))):
            how = draw(st.sampled_from(["edited", "edited", "said", "happens", "happens"]))
            if how == "happens":
                found.append(draw(changes))
                continue
            name = draw(st.sampled_from(NAMES))
            entry = declared[name]
            create = (entry or {}).get("create")
            if how == "edited" and entry is not None and create is not None:
                made_from = {key: create[key] for key in ("from", "files", "quantize") if key in create}
                declared[name] = {**entry, "create": {**draw(fields), **made_from}}
            else:
                declared[name] = draw(_entries(name))
            found.append(Declare(name, declared[name]))
        found.append(draw(passes))
    return found
