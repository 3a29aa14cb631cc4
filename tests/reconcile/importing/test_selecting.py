"""The selector that tells some hosts from all others."""

from __future__ import annotations

import pytest

from fleet.manifest.selector import LONGEST, Selector
from fleet.names import HostName
from fleet.reconcile.importing.selecting import Selecting
from tests.reconcile.importing.insides import host

FLEET = {
    each.name: each
    for each in (
        host("gpu-a", "tokyo", tier="prod", role="rag"),
        host("gpu-b", "tokyo", tier="prod", site="x"),
        host("gpu-c", tier="test", role="rag", site="y"),
        host("gpu-d", tier="test", site="z", spare=""),
        host("gpu-e", tier="lab"),
    )
}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("abcde", None),
        ("ab", "group=tokyo"),
        ("ac", "role=rag"),
        ("cd", "tier=test"),
        ("a", "group=tokyo,role=rag"),
        ("c", "site=y"),
        ("bcd", "site"),
        ("d", "site=z"),
        ("abcd", "tier in (prod,test)"),
        ("e", "tier=lab"),
        ("be", "name in (gpu-b,gpu-e)"),
    ],
)
def test_labels_where_they_tell_just_these_else_names(hosts: str, expected: str | None) -> None:
    wanted = frozenset(HostName(f"gpu-{letter}") for letter in hosts)
    assert Selecting(FLEET).chosen(wanted) == ((expected, wanted),)


def test_names_that_do_not_fit_into_one_selector_are_parted() -> None:
    fleet = {each.name: each for each in (host(f"machine-{number:04}") for number in range(250))}
    wanted = frozenset(name for name in fleet if not name.endswith("7"))
    parts = Selecting(fleet).chosen(wanted)
    assert len(parts) > 1
    reached: set[HostName] = set()
    for text, share in parts:
        assert text is not None
        assert len(text) <= LONGEST
        matched = {name for name, each in fleet.items() if Selector.parse(text).matches(each)}
        assert matched == share
        assert not reached & matched
        reached |= matched
    assert reached == wanted
