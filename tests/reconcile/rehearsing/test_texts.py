"""Texts that a snapshot has as hashes: the declared one where it is that, else one that is like no other."""

from __future__ import annotations

from fleet.reconcile.difference import Change
from fleet.reconcile.rehearsing.texts import Texts, kept_text
from fleet.reconcile.saved import change_as_json

DECLARED = "You are brief.\n"


def test_a_text_that_is_declared_is_itself() -> None:
    assert Texts([DECLARED]).of(kept_text(DECLARED, whole=False)) == DECLARED


def test_another_text_is_stood_for_by_its_own_stand_in() -> None:
    texts = Texts([DECLARED])
    one, other = (texts.of(kept_text(text, whole=False)) for text in ("One.", "Two."))
    assert len({one, other, DECLARED, ""}) == 4
    assert one == texts.of(kept_text("One.", whole=False))


def test_a_text_that_was_kept_whole_needs_no_stand_in() -> None:
    assert Texts([]).of(kept_text("Known.", whole=True)) == "Known."


def test_no_text_is_an_empty_one() -> None:
    assert Texts([]).of(None) == Texts([]).of(kept_text("", whole=False)) == ""


def test_half_a_character_can_be_kept() -> None:
    assert kept_text("\ud800", whole=True).text == "\ufffd"


def test_a_change_is_told_as_on_the_host_itself() -> None:
    texts = Texts([DECLARED])
    stood_for = texts.of(kept_text("The former prompt.", whole=False))
    shown = texts.as_recorded(Change("system", stood_for, DECLARED, sensitive=True))
    on_the_host = Change("system", "The former prompt.", DECLARED, sensitive=True)
    assert change_as_json(shown) == change_as_json(on_the_host)
    other = Change("system", "Known.", DECLARED, sensitive=True)
    assert texts.as_recorded(other) is other


def test_a_text_that_is_known_in_parts_is_told_as_unknown() -> None:
    texts = Texts([])
    license_of_base = texts.of(kept_text("Theirs.", whole=False))
    change = Change("license", None, f"{license_of_base}\nOurs.", sensitive=True)
    assert texts.as_recorded(change).new == "a text of which the snapshot has only parts"
