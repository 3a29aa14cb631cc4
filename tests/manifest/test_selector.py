"""Selectors: kubectl's grammar and meaning, and what fleet adds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.faults import Misread
from fleet.manifest.inventory import Capacity
from fleet.manifest.selector import Selector

STEADY = settings(deadline=None)


@dataclass
class Machine:
    name: str = "gpu-1"
    group: str | None = "tokyo"
    labels: dict[str, str] = field(
        default_factory=lambda: {"env": "prod", "site": "tyo", "acme.io/tier": "1", "spare": ""}
    )
    capacity: Capacity = field(default_factory=lambda: Capacity(vram=80_000_000_000, loaded=3))


@pytest.mark.parametrize(
    "text",
    [
        "env=prod",
        "env==prod",
        " env = prod ",
        "env!=test",
        "none!=test",
        "env in (test,prod)",
        "env in(prod)",
        "env notin (test, dev)",
        "none notin (test)",
        "env",
        "!none",
        "! none",
        "spare=",
        "spare=,env=prod",
        "acme.io/tier=1",
        "env=prod,site in (tyo,osa),!none,group",
        "name=gpu-1",
        "name=GPU-?",
        "name in (x,gpu*)",
        "name!=cpu-*",
        "name notin (cpu-*,x)",
        "name",
        "group=tokyo",
        "group!=osaka",
        "group in (tokyo)",
        "vram",
        "vram>=80GB",
        "vram<=80GB",
        "vram=80GB",
        "vram>74GiB",
        "vram<75GiB",
        "vram!=81GB",
        "vram>=1.5GB",
        "loaded>2",
        "loaded=3",
        "loaded!=2",
        "!in,!notin",
    ],
)
def test_it_matches(text: str) -> None:
    assert Selector.parse(text).matches(Machine())


@pytest.mark.parametrize(
    "text",
    [
        "env=test",
        "env!=prod",
        "env in (test)",
        "env notin (prod)",
        "none",
        "!env",
        "spare=x",
        "env=",
        "env=PROD",
        "Env=prod",
        "env=prod,site=osa",
        "name=gpu-2",
        "name=gpu",
        "group=osaka",
        "!group",
        "vram>80GB",
        "vram<80GB",
        "!vram",
        "loaded<3",
    ],
)
def test_it_does_not_match(text: str) -> None:
    assert not Selector.parse(text).matches(Machine())


@pytest.mark.parametrize("text", ["vram>=1GB", "vram<=1GB", "vram=0GB", "loaded>0", "vram", "group", "group=tokyo"])
def test_what_is_not_stated_fulfils_nothing(text: str) -> None:
    assert not Selector.parse(text).matches(Machine(group=None, capacity=Capacity()))


@pytest.mark.parametrize("text", ["!vram", "vram!=1GB", "group!=tokyo", "!group", "group notin (tokyo)"])
def test_what_is_not_stated_is_still_unlike(text: str) -> None:
    assert Selector.parse(text).matches(Machine(group=None, capacity=Capacity()))


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "an empty selector", 0),
        ("  ", "an empty selector", 0),
        ("env=prod,", "wants a label or other key, not the end", 9),
        (",env", "wants a label or other key, not `,`", 0),
        ("env prod", "wants a comma, not `prod`", 4),
        ("env in prod", "wants values between `(` and `)`", 7),
        ("env in ()", "wants a value", 8),
        ("env in (a", "the `)` is missing", 9),
        ("env in (a b)", "the `)` is missing", 10),
        ("env=a/b", "`a/b` is no label value", 4),
        ("env=pro*", "`pro*` is no label value", 4),
        ("name=a/b", "`a/b` is no host name or glob", 5),
        ("-x", "`-x` is no label", 0),
        ("env>=5", "`>=` compares only disk, vram and loaded, not `env`", 3),
        ("vram>=80", "`80` is no size: a number needs its unit (`512MiB`, `80GB`, `1.5TiB`)", 6),
        ("vram>=", "wants a size, as `80GB`", 6),
        ("vram>=" + "9" * 400 + "GB", f"`{'9' * 60}…` is no size", 6),
        ("vram in (80GB)", "`vram` is compared by `>=`, not by `in`", 5),
        ("loaded>=many", "`many` is no number of models", 8),
        ("loaded>", "wants a number", 7),
        ("disk>=", "wants a size, as `80GB`", 6),
        ("name=", "wants a value", 5),
        ("a," * 1500 + "a", "a selector of more than 2,000 characters", 0),
    ],
)
def test_what_is_wrong_is_told_with_the_spot(text: str, message: str, offset: int) -> None:
    with pytest.raises(Misread) as caught:
        Selector.parse(text)
    assert (str(caught.value), caught.value.offset) == (message, offset)


def test_many_stars_take_no_longer() -> None:
    selector = Selector.parse("name=" + "*a" * 100 + "b")
    assert not selector.matches(Machine(name="a" * 253))


LABELS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["x", "y", "z"])


@STEADY
@given(LABELS, VALUES, st.dictionaries(LABELS, VALUES))
def test_each_test_is_the_opposite_of_its_other(label: str, value: str, labels: dict[str, str]) -> None:
    machine = Machine(labels=labels)
    for one, other in (
        (f"{label}={value}", f"{label}!={value}"),
        (label, f"!{label}"),
        (f"{label} in ({value})", f"{label} notin ({value})"),
    ):
        assert Selector.parse(one).matches(machine) != Selector.parse(other).matches(machine)


@STEADY
@given(st.lists(st.builds("{}={}".format, LABELS, VALUES), min_size=1, max_size=4), st.dictionaries(LABELS, VALUES))
def test_a_comma_means_and(parts: list[str], labels: dict[str, str]) -> None:
    machine = Machine(labels=labels)
    assert Selector.parse(",".join(parts)).matches(machine) == all(
        Selector.parse(part).matches(machine) for part in parts
    )
