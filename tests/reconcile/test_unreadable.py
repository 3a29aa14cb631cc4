"""A model that is listed with something that is no digest is there, and not known as what: left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.codes import Code
from fleet.names import HostName, ModelName
from fleet.reconcile.observed import Observed
from fleet.reconcile.plan import plan
from fleet.state.remembered import HostRemembered, Remembered
from tests.reconcile import notation

ALPHA = HostName("alpha")


@pytest.mark.parametrize(
    "entries",
    [
        {"m:1": {}},
        {"m:1": {"freeze": True}},
        {"m:1": {"create": {"from": "q:1"}}, "q:1": {}},
        {"x:1": {"create": {"from": "m:1"}}},
        {"x:1": {"alias": "m:1"}},
    ],
    ids=["pulled", "frozen", "made", "a base", "a source"],
)
def test_it_blocks_what_is_declared_of_it(entries: dict[str, object]) -> None:
    wanted = notation.desired({"desired": {"alpha": entries}})
    seen = notation.observation("alpha", ["q:1"], wanted.hosts[ALPHA])
    assert isinstance(seen, Observed)
    made = plan(wanted, {ALPHA: replace(seen, unreadable=frozenset({ModelName.parse("m:1")}))})
    assert made.steps == ()
    assert {each.blocked.code for each in made.blocked} <= {Code.NOT_OLLAMA, Code.SOURCE_NOT_THERE}
    assert made.blocked


def test_it_is_no_lost_model() -> None:
    wanted = notation.desired({"desired": {"alpha": ["q:1"]}})
    seen = notation.observation("alpha", ["q:1"], wanted.hosts[ALPHA])
    assert isinstance(seen, Observed)
    names = frozenset(ModelName.parse(name).key for name in ("q:1", "m:1", "n:1", "o:1"))
    before = Remembered(hosts={ALPHA: HostRemembered(wanted.hosts[ALPHA].host.url, names)})
    there = frozenset(ModelName.parse(name) for name in ("m:1", "n:1", "o:1"))
    assert plan(wanted, {ALPHA: replace(seen, unreadable=there)}, remembered=before).refused == ()
    assert plan(wanted, {ALPHA: seen}, remembered=before).refused != ()
