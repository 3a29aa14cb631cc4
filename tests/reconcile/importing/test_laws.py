"""What is written for random hosts is read by fleet's own loader, and plans to nothing there."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.desired import resolve
from fleet.manifest.item import Create
from fleet.manifest.load import load
from fleet.reconcile.diff import difference
from fleet.reconcile.difference import State
from fleet.reconcile.importing.entries import draft
from fleet.reconcile.importing.origin import Allowed
from fleet.reconcile.inside import Inside
from fleet.render.imported import Told, imported
from tests.reconcile.importing.insides import host, inside

NAMES = ("qwen3:8b", "acme/m:latest", "chat:latest", "7b:no", "hf.co/A/b.c:Q4", "x:local")
TEXTS = st.one_of(
    st.sampled_from(("", "Base.", "a\nb\n", "{{ .Prompt }}", "\x1b[1m", "a\u200db", '"""', "\ufeffx", "- no\n")),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "stop": st.lists(TEXTS, min_size=1, max_size=2),
    "num_ctx": st.lists(st.one_of(st.integers(), st.just(1.048576e06)), min_size=1, max_size=1),
    "temperature": st.lists(st.one_of(st.floats(), st.integers(0, 2)), min_size=1, max_size=1),
    "use_mmap": st.lists(st.booleans(), min_size=1, max_size=1),
    "tfs_z": st.just([1.0]),
    "magic": st.just(["x"]),
}
PARAMETERS = st.fixed_dictionaries({}, optional={key: values.map(tuple) for key, values in VALUES.items()})
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "weights": st.sampled_from("wwwwwwwv"),
        "system": TEXTS,
        "template": st.sampled_from(("{{ .Prompt }}", "{{ .System }}\n{{ .Prompt }}")),
        "messages": st.sampled_from(((), (("user", "Hi"),), (("user", ""), ("assistant", "a\nb")))),
        "renderer": st.sampled_from((None, "qwen3")),
        "requires": st.sampled_from((None, "0.14.0")),
    },
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Names on few contents, each content made from the one before, as far as it says so and that is still to be seen."""
    letters = {
        called: draw(st.sampled_from("abc"))
        for called in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=3))
    }
    contents: dict[str, dict[str, Any]] = {}
    before: dict[str, Any] = {"weights": "w", "parameters": {}, "licences": []}
    for letter, source in zip("abc", " ab", strict=True):
        parents = [name for name, held in letters.items() if held == source] or ["", "/blobs/x", *NAMES]
        before = contents[letter] = {
            **before,
            "is": letter,
            "parent": draw(st.sampled_from(parents)),
            "parameters": before["parameters"] | draw(PARAMETERS),
            "licences": draw(st.sampled_from(([], before["licences"], before["licences"], before["licences"])))
            + draw(st.lists(TEXTS, max_size=1)),
            **draw(CHANGES),
        }
    return {
        called: contents[letter] | {"at": draw(st.integers(0, 9)), "broken": draw(st.integers(0, 19)) == 0}
        for called, letter in letters.items()
    }


VERSIONS = st.sampled_from(("0.3.4", "0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15", "0.0.0"))
HOSTS = (host("alpha", tier="prod"), host("beta", tier="prod"), host("gamma"))
INVENTORY = b"""version: 1
hosts:
  alpha: {url: "http://alpha:11434", labels: {tier: prod}}
  beta: {url: "http://beta:11434", labels: {tier: prod}}
  gamma: http://gamma:11434
"""
FLEETS = st.tuples(*(st.builds(inside, st.just(each), models(), VERSIONS) for each in HOSTS))


@settings(max_examples=60, deadline=None)
@given(FLEETS, st.booleans())
def test_what_is_written_plans_to_nothing(fleet: tuple[Inside, ...], files: bool) -> None:
    known = {each.host.name: each.host for each in fleet}
    made = draft(fleet, known, Allowed(files=files))
    written = imported(made, Told(apart=files, looked_into=len(fleet)))
    with TemporaryDirectory() as folder:
        for path, raw in {"hosts.yaml": INVENTORY, "models.yaml": written.manifest.encode(), **written.texts}.items():
            (Path(folder) / path).parent.mkdir(exist_ok=True)
            (Path(folder) / path).write_bytes(raw)
        desired = resolve(load(["models.yaml"], inventory=["hosts.yaml"], folder=folder))
    assert files or not written.texts
    for each in fleet:
        wanted = desired.hosts[each.host.name]
        found = difference(wanted, each.observed)
        assert [item for item in found.items if item.state is not State.AS_DESIRED] == []
        asked = {item.name for item in wanted.items}
        declared = {
            name
            for document in made.documents
            for entry in document
            for name in [entry.name]
            if each.host.name in entry.hosts
        }
        assert asked == declared, "entries reach just the hosts that they are about"
        for item in wanted.items:
            if isinstance(item.source, Create) and item.source.base is not None:
                assert item.source.base in each.observed.models
