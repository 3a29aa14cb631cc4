"""What `fleet lock` decides: for each model, from what is declared, locked, served and held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.manifest.inventory import Place
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version
from fleet.reconcile.locking import Change, Decision, by_hosts, by_registries, changes, entries, not_in_lock, unsettled
from fleet.reconcile.observed import Observation, Observed, Present, Unobserved
from fleet.reconcile.outdated import Holding, compare
from fleet.reconcile.pulled import Pulled
from fleet.registry.image import Image, Layer
from fleet.registry.locked import Locked, lock_text
from fleet.registry.served import Published, Served, Unpublished

A, B, C, D = (Digest(letter * 64) for letter in "abcd")
QWEN, PHI, MIRROR = ModelName.parse("qwen3:8b"), ModelName.parse("phi4"), ModelName.parse("mirror.lan/library/qwen3:8b")
BEFORE, TODAY = date(2026, 1, 1), date(2026, 11, 25)
ALPHA, BETA = HostName("alpha"), HostName("beta")
GONE = Unpublished(Code.NOT_IN_REGISTRY, "no such model", "check it")


def pulled(name: ModelName = QWEN, *pins: Digest, origins: tuple[ModelName, ...] = ()) -> Pulled:
    return Pulled(name, Place("m.yaml", 3, 3), dict.fromkeys(origins or (name,), (ALPHA,)), frozenset(pins))


def locked(raw: Digest, normalised: Digest | None = None, name: ModelName = QWEN, day: date = BEFORE) -> Locked:
    return Locked(name, raw, normalised or raw, 7, day)


def image(raw: Digest, normalised: Digest | None = None) -> Published:
    return Published(Image(raw, normalised or raw, D, Layer(D, 3), (Layer(C, 4),)))


def holding(host: HostName, digest: Digest, name: ModelName = QWEN, *, remote: bool = False) -> Observed:
    present = Present(name, str(name), digest, 9, remote=remote)
    return Observed(host, Version.parse("0.32.15"), {name: present})


def asked(each: Pulled, before: Locked | None, served: Served, *, upgrade: bool = False) -> Decision:
    lock = {} if before is None else {before.name: before}
    about = unsettled([each], lock, lambda _: upgrade)
    answers = dict.fromkeys(each.origins, served) if about else {}
    (decision,) = by_registries([each], lock, about, answers, TODAY)
    return decision


def told(decision: Decision) -> tuple[Change, Locked | None, Code | None]:
    return decision.change, decision.after, decision.code


@pytest.mark.parametrize(
    ("each", "before", "served", "upgrade", "expected"),
    [
        (pulled(), None, image(A, B), False, (Change.ADDED, locked(A, B, day=TODAY), None)),
        (pulled(), locked(A), image(C), False, (Change.KEPT, locked(A), None)),
        (pulled(), locked(A), image(C), True, (Change.MOVED, locked(C, day=TODAY), None)),
        (pulled(), locked(A, B), image(A, B), True, (Change.KEPT, locked(A, B), None)),
        (pulled(QWEN, B), locked(A, B), image(C), False, (Change.KEPT, locked(A, B), None)),
        (pulled(QWEN, C), locked(A, B), image(C), False, (Change.MOVED, locked(C, day=TODAY), None)),
        (pulled(QWEN, D), locked(A, B), image(C), False, (Change.FAILED, locked(A, B), Code.PIN_NOT_SERVED)),
        (pulled(QWEN, D), None, image(C), False, (Change.FAILED, None, Code.PIN_NOT_SERVED)),
        (pulled(QWEN, A, B), None, image(A, B), False, (Change.ADDED, locked(A, B, day=TODAY), None)),
        (pulled(QWEN, A, C), None, image(A, B), False, (Change.FAILED, None, Code.PIN_NOT_SERVED)),
        (pulled(), None, GONE, False, (Change.FAILED, None, Code.NOT_IN_REGISTRY)),
        (pulled(), locked(A), GONE, True, (Change.FAILED, locked(A), Code.NOT_IN_REGISTRY)),
    ],
)
def test_by_registries(
    each: Pulled,
    before: Locked | None,
    served: Served,
    upgrade: bool,
    expected: tuple[Change, Locked | None, Code | None],
) -> None:
    assert told(asked(each, before, served, upgrade=upgrade)) == expected


def test_two_origins_have_to_serve_the_same() -> None:
    each = pulled(origins=(QWEN, MIRROR))
    both: dict[ModelName, Served] = {QWEN: image(A), MIRROR: image(A)}
    assert told(by_registries([each], {}, [each], both, TODAY)[0])[0] is Change.ADDED
    both[MIRROR] = image(B)
    (decision,) = by_registries([each], {}, [each], both, TODAY)
    assert decision.code is Code.MANIFEST_WRONG
    assert "from `mirror.lan/library/qwen3:8b` and `qwen3:8b`, which serve different contents (m.yaml:3:3)" in str(
        decision.message
    )


def test_what_left_the_manifests_goes_and_what_is_not_asked_yet_is_told() -> None:
    lock = {PHI: locked(A, name=PHI)}
    decisions = by_registries([pulled()], lock, [pulled()], {}, TODAY)
    assert [(each.name, each.change, each.after) for each in decisions] == [
        (PHI, Change.DROPPED, None),
        (QWEN, Change.ADDED, None),
    ]
    assert changes(decisions)
    assert entries(decisions) == ()


def held(each: Pulled, before: Locked | None, served: Mapping[ModelName, Served], *seen: Observation) -> Decision:
    lock = {} if before is None else {before.name: before}
    (decision,) = by_hosts([each], lock, {one.host: one for one in seen}, served, TODAY)
    return decision


@pytest.mark.parametrize(
    ("each", "before", "served", "seen", "expected"),
    [
        # Both forms of one content, which the lock file knows, or a registry.
        (pulled(), locked(A, B), None, (A, B), (Change.KEPT, locked(A, B), None)),
        (pulled(), None, image(A, B), (A, B), (Change.ADDED, locked(A, B, day=TODAY), None)),
        (pulled(), None, image(A, B), (B, B), (Change.ADDED, locked(A, B, day=TODAY), None)),
        # Nobody knows the other form.
        (pulled(), None, None, (A, A), (Change.ADDED, replace(locked(A, day=TODAY), size=9), None)),
        (pulled(), locked(C), image(B), (A, A), (Change.MOVED, replace(locked(A, day=TODAY), size=9), None)),
        (pulled(), None, None, (A, B), (Change.FAILED, None, Code.HOSTS_DISAGREE)),
        (pulled(), locked(C), image(A), (A, B), (Change.FAILED, locked(C), Code.HOSTS_DISAGREE)),
        (pulled(QWEN, C), None, None, (A, A), (Change.FAILED, None, Code.PIN_NOT_SERVED)),
    ],
)
def test_by_hosts(
    each: Pulled,
    before: Locked | None,
    served: Served | None,
    seen: tuple[Digest, Digest],
    expected: tuple[Change, Locked | None, Code | None],
) -> None:
    hosts = (holding(ALPHA, seen[0]), holding(BETA, seen[1]))
    assert told(held(each, before, {} if served is None else {QWEN: served}, *hosts)) == expected


def test_hosts_that_disagree_are_named() -> None:
    decision = held(pulled(), None, {}, holding(ALPHA, A), holding(BETA, B), holding(HostName("gamma"), A))
    assert decision.message == f"hosts hold different contents: {A.short} on alpha, gamma; {B.short} on beta"


def test_what_no_host_holds_stays_as_it_is_or_fails() -> None:
    elsewhere = (holding(ALPHA, A, PHI), holding(BETA, B, remote=True))
    assert told(held(pulled(), locked(A), {}, *elsewhere)) == (Change.KEPT, locked(A), None)
    assert told(held(pulled(), None, {}, *elsewhere)) == (Change.FAILED, None, Code.NOT_LOCKED)


def test_only_contents_that_the_file_does_not_explain_are_asked_about() -> None:
    hosts: dict[HostName, Observation] = {ALPHA: holding(ALPHA, A), BETA: Unobserved(BETA, Code.NO_ANSWER, "late")}
    assert not_in_lock([pulled()], {QWEN: locked(B, A)}, hosts) == ()
    assert not_in_lock([pulled()], {QWEN: locked(B)}, hosts) == (pulled(),)
    assert not_in_lock([pulled(PHI)], {}, hosts) == ()


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([A, B, C]), max_size=6),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([A, B, C]), max_size=6),
    st.booleans(),
)
def test_locking_again_changes_nothing(declared: dict[str, Digest], before: dict[str, Digest], upgrade: bool) -> None:
    """Whatever was declared, locked and served: once locked, the next run gives the same bytes."""
    wanted = [pulled(ModelName.parse(name)) for name in sorted(declared)]
    served: dict[ModelName, Served] = {ModelName.parse(name): image(digest) for name, digest in declared.items()}
    lock = {ModelName.parse(name): locked(digest, name=ModelName.parse(name)) for name, digest in before.items()}
    once = entries(by_registries(wanted, lock, unsettled(wanted, lock, lambda _: upgrade), served, TODAY))
    assert {each.name for each in once} == served.keys()
    again = {each.name: each for each in once}
    decisions = by_registries(wanted, again, unsettled(wanted, again, lambda _: upgrade), served, date(2030, 1, 1))
    assert not changes(decisions)
    assert lock_text(entries(decisions)) == lock_text(once)


@pytest.mark.parametrize(
    ("digest", "lock", "served", "holding_is", "outdated"),
    [
        (A, None, image(A, B), Holding.CURRENT, False),
        (B, locked(A, B), image(A, B), Holding.CURRENT, False),
        (C, locked(C), image(A, B), Holding.OUTDATED, True),
        (A, locked(C), image(A, B), Holding.CURRENT, True),
        (A, locked(C), GONE, Holding.NOT_KNOWN, False),
        (A, locked(A), None, Holding.NOT_KNOWN, False),
        (None, locked(A), image(A), Holding.MISSING, False),
        (None, locked(A), image(B), Holding.MISSING, True),
    ],
)
def test_outdated(
    digest: Digest | None, lock: Locked | None, served: Served | None, holding_is: Holding, outdated: bool
) -> None:
    seen = holding(ALPHA, digest) if digest else holding(ALPHA, A, PHI)
    locks = {} if lock is None else {QWEN: lock}
    answers = {} if served is None else {QWEN: served}
    (found,) = compare([pulled()], locks, {ALPHA: seen, BETA: seen}, answers)
    assert [(each.host, each.holding) for each in found.hosts] == [(ALPHA, holding_is)]
    assert found.outdated is outdated


def test_hosts_that_say_nothing_are_not_taken_for_empty() -> None:
    (found,) = compare([pulled()], {}, {ALPHA: Unobserved(ALPHA, Code.NO_ANSWER, "late")}, {QWEN: image(A)})
    assert found.hosts[0].holding is Holding.UNOBSERVED
    assert not found.outdated
