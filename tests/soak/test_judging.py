"""The soak can fail: whatever is not as it is wanted is told, and what grows is seen to grow."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.soak.steady import means, trend
from tests.soak.wanted import Entry, Wanted, system_digest, untrue

REGISTRY = {"pub-0:1": frozenset({"0" * 64})}


def model(digest: str, *layers: tuple[str, str]) -> dict[str, Any]:
    return {"digest": digest, "layers": [{"kind": kind, "digest": blob} for kind, blob in layers]}


def state(**models: dict[str, Any]) -> dict[str, Any]:
    blobs = [layer["digest"] for each in models.values() for layer in each["layers"]]
    return {"models": models, "running": [], "blobs": dict.fromkeys(blobs, 1)}


BASE = model("0" * 64, ("model", "sha256:w"))
MADE = model("1" * 64, ("model", "sha256:w"), ("system", system_digest("Hi.")))
GOOD = {"pub-0:1": BASE, "acme/made-0:1": MADE, "chat-0:latest": MADE}
WANTED = {
    "pub-0:1": Entry(follows_registry=True),
    "acme/made-0:1": Entry(source="pub-0:1", system="Hi."),
    "chat-0:latest": Entry(source="acme/made-0:1"),
    "pub-1:1": Entry(absent=True),
}


def test_what_is_as_it_is_wanted_is_not_told() -> None:
    assert list(untrue(WANTED, state(**GOOD), REGISTRY)) == []


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("pub-0:1", model("2" * 64, ("model", "sha256:w"))),
        ("pub-0:1", model("0" * 64, ("model", "sha256:v"))),
        ("acme/made-0:1", model("1" * 64, ("model", "sha256:w"), ("system", system_digest("Ho.")))),
        ("chat-0:latest", BASE),
        ("pub-1:1", BASE),
        ("fleet-backup/chat-0-0123456789ab:latest", BASE),
    ],
    ids=["another content", "other weights", "another text", "a stale alias", "there again", "a backup"],
)
def test_what_is_not_is(name: str, instead: dict[str, Any]) -> None:
    assert len(list(untrue(WANTED, state(**{**GOOD, name: instead}), REGISTRY))) == 1


@pytest.mark.parametrize("name", ["pub-0:1", "acme/made-0:1", "chat-0:latest"])
def test_what_is_missing_is(name: str) -> None:
    others = {other: there for other, there in GOOD.items() if other != name}
    assert any(name in told for told in untrue(WANTED, state(**others), REGISTRY))


def test_a_model_without_its_blobs_and_one_that_is_not_in_memory_are_told() -> None:
    found = state(**GOOD)
    del found["blobs"]["sha256:w"]
    assert len([told for told in untrue(WANTED, found, REGISTRY) if "not whole" in told]) == 3
    warm = {"pub-0:1": Entry(follows_registry=True, warm=True)}
    assert list(untrue(warm, state(**GOOD), REGISTRY)) == ["`pub-0:1` is not in memory"]
    assert list(untrue(warm, {**state(**GOOD), "running": [{"weights": "sha256:w"}]}, REGISTRY)) == []


def test_only_what_somebody_stopped_wanting_may_be_deleted() -> None:
    wanted = Wanted(Random(1))
    wanted.begin()
    wanted.looked()
    assert ("a", "pub-0:1") not in wanted.unwanted
    assert ("a", "pub-7:1") in wanted.unwanted
    while "pub-5:1" in wanted.entries and not wanted.entries["pub-5:1"].absent:
        wanted.changes()
    assert {("a", "pub-5:1"), ("b", "pub-5:1")} <= wanted.unwanted


def test_a_slope_is_told_from_noise() -> None:
    noise = Random(1)
    flat = trend([(60.0 * minute, 100 + noise.gauss(0, 0.5)) for minute in range(60)])
    assert abs(flat.last - flat.first) < 1
    grows = trend([(60.0 * minute, 100 + minute / 3 + noise.gauss(0, 0.5)) for minute in range(60)])
    assert grows.last - grows.first > 12
    assert 19 < grows.slope < grows.bound < 22


def test_what_fills_up_looks_different_from_what_grows() -> None:
    seconds = [float(second) for second in range(101)]
    assert means([(second, min(70 + second, 80)) for second in seconds], 5)[1:] == [80, 80, 80, 80]
    assert means([(second, second) for second in seconds], 4) == [12, 37, 62, 87.5]
    assert means([(0.0, 1.0), (1.0, 2.0)], 5) == [1, 2]
