"""What the registries of a rehearsal serve: whose word counts, and that what nobody knows is said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from fleet.codes import Code
from fleet.manifest.inventory import Place, Update
from fleet.manifest.item import Item, Pull
from fleet.names import Digest, ModelName
from fleet.reconcile.rehearsing.offers import MADE_SIZE, Offer, Offering
from fleet.reconcile.rehearsing.snapshot import KeptImage, KeptLayer, KeptModel, KeptServed, Snapshot
from fleet.registry.image import Image, Layer
from fleet.registry.locked import Locked
from fleet.registry.served import Published, Served, Unpublished
from tests.reconcile.rehearsing.snapshots import EMPTY, holding

LOCKED = Pull(Update.LOCKED)
NAME = ModelName.parse("qwen3:8b")


def digest(letter: str) -> Digest:
    return Digest(letter * 64)


def served(letter: str) -> KeptServed:
    hexes = letter * 64
    return KeptServed(KeptImage(hexes, hexes, hexes, KeptLayer("0" * 64, 1), (KeptLayer(hexes, 10),)))


def locked(letter: str, day: date) -> Mapping[ModelName, Locked]:
    return {NAME: Locked(NAME, digest(letter), digest(letter), 20, day)}


def now(letter: str | None) -> Served | None:
    if letter is None:
        return None
    layers = (Layer(digest(letter), 30),)
    return Published(Image(digest(letter), digest(letter), digest(letter), Layer(digest("0"), 1), layers))


def offered(
    snapshot: Snapshot = EMPTY,
    lock: Mapping[ModelName, Locked] | None = None,
    *,
    asked: Served | None = None,
    pull: Pull = LOCKED,
) -> tuple[Offer, list[ModelName]]:
    """The offer for the name, and which names a registry was asked for."""
    questions: list[ModelName] = []

    async def ask(name: ModelName) -> Served | None:
        questions.append(name)
        return asked

    item = Item(NAME, pull, Place("models.yaml", 3, 3))
    (offer,) = asyncio.run(Offering(snapshot, lock or {}, ask).offers([item]))
    return offer, questions


def raw(offer: Offer) -> str | None:
    return None if offer.image is None else offer.image.raw.hex[0]


RECORDED = replace(EMPTY, served={"qwen3:8b": served("a")})


@pytest.mark.parametrize(
    ("lock", "asked", "wanted", "questions"),
    [
        pytest.param({}, "c", "a", 0, id="what was recorded is not asked again"),
        pytest.param(locked("a", date(2026, 6, 1)), "c", "a", 0, id="nor where the lock file says the same"),
        pytest.param(locked("b", date(2026, 5, 3)), "c", "a", 0, id="the registry moved on after it was locked"),
        pytest.param(locked("b", date(2026, 5, 5)), None, "b", 1, id="it was locked after the snapshot"),
        pytest.param(locked("b", date(2026, 5, 5)), "c", "c", 1, id="the registry itself knows best"),
        pytest.param(locked("b", date(2026, 5, 4)), None, "a", 1, id="on one day, nobody can tell"),
    ],
)
def test_of_snapshot_lock_file_and_registry(
    lock: Mapping[ModelName, Locked], asked: str | None, wanted: str, questions: int
) -> None:
    offer, names = offered(RECORDED, lock, asked=now(asked))
    assert (raw(offer), len(names)) == (wanted, questions)
    assert (offer.note is not None) == (lock == locked("b", date(2026, 5, 4)))


def test_without_a_record_the_lock_file_tells_digest_and_size() -> None:
    offer, names = offered(lock=locked("b", date(2026, 1, 1)))
    assert offer.image is not None
    assert (raw(offer), offer.image.size, names) == ("b", 20, [])


def test_what_a_registry_does_not_have_nobody_gets() -> None:
    missing = replace(EMPTY, served={"qwen3:8b": KeptServed(code=Code.NOT_IN_REGISTRY.id, message="not there")})
    offer, _ = offered(missing)
    assert offer.image is None
    assert isinstance(offer.served, Unpublished)


def test_what_fleet_was_not_told_hosts_get_all_the_same() -> None:
    offer, _ = offered(replace(EMPTY, served={"qwen3:8b": KeptServed(code=Code.REGISTRY_TROUBLE.id)}), pull=Pull())
    assert isinstance(offer.served, Unpublished)
    assert offer.image is not None
    assert offer.image.size == MADE_SIZE
    assert offer.note is not None


def test_the_copy_of_another_host_tells_the_size() -> None:
    offer, _ = offered(holding(KeptModel("qwen3:8b", "d" * 64, 40)), pull=Pull())
    assert offer.image is not None
    assert (raw(offer), offer.image.size, offer.served, offer.note) == ("d", 40, None, None)


def test_a_pin_that_nobody_serves_is_of_a_made_up_size() -> None:
    offer, _ = offered(holding(KeptModel("qwen3:8b", "d" * 64, 40)), pull=Pull(pin=digest("e")))
    assert offer.image is not None
    assert (raw(offer), offer.image.size) == ("e", MADE_SIZE)
    assert offer.note is not None
