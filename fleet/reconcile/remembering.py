"""What a pass leaves for the next one: what was seen, what was asked for, and what the last look proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fleet.codes import Code
from fleet.errors import FleetError
from fleet.manifest.item import Create, Desired, HostDesired, Item
from fleet.names import HostName, ModelName
from fleet.reconcile.backup import pending
from fleet.reconcile.difference import Difference, HostDifference, State
from fleet.reconcile.guard import HOLDS_ALL, items_of
from fleet.reconcile.observed import Observed
from fleet.reconcile.owning import owning
from fleet.reconcile.publishing import found_published
from fleet.reconcile.sources import moved
from fleet.reconcile.step import Plan
from fleet.reconcile.steps.creating import recorded_now
from fleet.state.evidence import Evidence, Made
from fleet.state.memory import Memory, StateError
from fleet.state.remembered import HostRemembered, Remembered

_SCOPES = 50
"""How many desired states of one name are remembered by size."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Who speaks for the fleet in a pass."""

    scope: str
    """What passes have in common that can be compared."""
    sources: str
    """Their manifests, as `sources_of` tells them."""
    accepted: bool = False
    """A person said that these are all there are."""
    wait: float = 0.0
    """For how many seconds a host may go on by itself with what was begun there."""


def remember(
    desired: Desired, spoken: Spoken, made: Plan, after: Plan, memory: Memory, revision: str
) -> FleetError | None:
    """Keeps what the next pass compares with; tells why that could not be, if so."""
    try:
        before = memory.remembered()
        items = _items(desired, spoken, made, before)
        now = replace(
            _hosts(desired, spoken, made, after, before, revision),
            items=items,
            pushed=found_published(after, before, datetime.now(UTC)),
            sources=_sources(spoken, items, before),
        )
        if now != before:
            memory.record(now)
    except StateError as error:
        return error
    return None


def _items(desired: Desired, spoken: Spoken, made: Plan, before: Remembered) -> dict[str, int]:
    scope = spoken.scope
    items = {each: size for each, size in before.items.items() if each == scope or not spoken.accepted}
    # What a guard refused is not taken for the new normal.
    if not any(refusal.code is Code.DESIRED_SHRANK for refusal in made.refused):
        items.pop(scope, None)
        items[scope] = items_of(desired)
    return dict(list(items.items())[-_SCOPES:])


def _sources(spoken: Spoken, items: Mapping[str, int], before: Remembered) -> dict[str, str]:
    """Others than before are taken for the new normal only where a person says so: what they leave out may be pruned. The
    same ones in another folder are no others.
    """
    known = moved(before, spoken.sources).sources
    sources = {scope: told for scope, told in known.items() if scope in items or scope == spoken.scope}
    if spoken.accepted or spoken.scope not in sources:
        sources[spoken.scope] = spoken.sources
    return sources


def _hosts(desired: Desired, spoken: Spoken, made: Plan, after: Plan, before: Remembered, revision: str) -> Remembered:
    # Nor is what a guard held back on one host, or a machine in repair.
    apart = _apart(made) | made.suspended.keys()
    hosts = dict(before.hosts)
    for found in after.hosts:
        observation = after.observations.get(found.host)
        if isinstance(observation, Observed) and found.host not in apart:
            wanted = desired.hosts[found.host]
            former = before.hosts.get(found.host)
            if former is None or former.url != wanted.host.url:
                former = HostRemembered(wanted.host.url)
            now = _host(wanted, observation, found, former, revision, filtered=after.filtered)
            if former.made or former.begun:
                declared = {item.name for item in wanted.items}
                made_there, begun = owning(former, observation, declared, spoken.wait)
                now = replace(now, made=made_there, begun=begun)
            hosts[found.host] = now
    return replace(before, hosts=hosts)


def _apart(made: Plan) -> frozenset[HostName | None]:
    """Hosts of which a guard held everything back."""
    return frozenset(refusal.host for refusal in made.refused if refusal.code in HOLDS_ALL)


def _host(
    wanted: HostDesired,
    observed: Observed,
    found: HostDifference,
    former: HostRemembered,
    revision: str,
    *,
    filtered: bool,
) -> HostRemembered:
    kept_warm = {item.name for item in wanted.items if item.warm is not None}
    kept_warm |= {release.present.name for release in found.releases}
    evidence = {name: each for name, each in former.evidence.items() if name in observed.models}
    for each in found.items:
        adopted = adopted_evidence(each.item, observed, revision) if each.adopt else None
        if adopted is not None:
            evidence[each.item.name] = replace(adopted, adopted=not _began(each, former))
    return replace(
        former,
        models=frozenset(model.key for model in observed.models),
        loaded={model: options for model, options in sorted(former.loaded.items()) if filtered or model in kept_warm},
        evidence=evidence,
        checked={name: each for name, each in former.checked.items() if name in observed.models},
        borrowed=frozenset(name for name in former.borrowed if _still_borrowed(name, found, observed)),
    )


def _began(found: Difference, former: HostRemembered) -> bool:
    """Whether it is what a run of fleet's own was making when it was killed, and not what was found."""
    begun = former.begun.get(found.item.name)
    return begun is not None and found.present is not None and begun.former != found.present.digest


def _still_borrowed(name: ModelName, found: HostDifference, observed: Observed) -> bool:
    """Whether something may still be there under the name that fleet has to take away."""
    target = pending(name)
    if target is None:
        return name in observed.models
    settled = any(each.item.name == target and each.state is State.AS_DESIRED for each in found.items)
    return target in observed.models and not settled


def adopted_evidence(item: Item, observed: Observed, revision: str) -> Evidence | None:
    """A created model recorded as it is now; nothing where the host lists it or its base no more."""
    source, present = item.source, observed.models.get(item.name)
    if not isinstance(source, Create) or present is None:
        return None
    base = None
    if source.base is not None:
        listed = observed.models.get(source.base)
        if listed is None:
            return None
        base = listed, observed.contents.get(source.base)
    made = observed.contents.get(item.name)
    return recorded_now(source, present, made, base, str(observed.version), revision, adopted=True)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was recorded of declared models as they are."""

    recorded: tuple[tuple[HostName, ModelName], ...] = ()
    """Created models that nothing proved: a change of theirs is noticed from now on."""
    taken_over: tuple[tuple[HostName, ModelName], ...] = ()
    """Models that are fleet's own from now on, as if it had put them there."""


def adopt(desired: Desired, spoken: Spoken, after: Plan, memory: Memory, revision: str) -> Adopted:
    """Records the unverified created models of a plan as they are now, and takes over all that is declared and as
    desired. Raises `fleet.state.memory.StateError`.
    """
    before = memory.remembered()
    hosts = dict(before.hosts)
    recorded: list[tuple[HostName, ModelName]] = []
    taken_over: list[tuple[HostName, ModelName]] = []
    apart = _apart(after)
    for found in after.hosts:
        observed = after.observations.get(found.host)
        if not isinstance(observed, Observed) or found.host in apart:
            continue
        url = desired.hosts[found.host].host.url
        former = before.hosts.get(found.host)
        if former is None or former.url != url:
            former = HostRemembered(url)
        evidence, made = dict(former.evidence), dict(former.made)
        for each in found.items:
            name = each.item.name
            shown = adopted_evidence(each.item, observed, revision) if each.state is State.UNVERIFIED else None
            if shown is not None:
                evidence[name] = shown
                recorded.append((found.host, name))
            if _to_take_over(each, former):
                made[name] = _taken_over(each, former, observed)
                taken_over.append((found.host, name))
        begun = {name: each for name, each in former.begun.items() if (found.host, name) not in taken_over}
        hosts[found.host] = replace(former, evidence=evidence, made=made, begun=begun)
    sources = {spoken.scope: spoken.sources, **before.sources}
    memory.record(replace(before, hosts=hosts, sources=sources))
    return Adopted(tuple(recorded), tuple(taken_over))


def _to_take_over(found: Difference, former: HostRemembered) -> bool:
    """Present, as desired, and not fleet's own in just that content."""
    if found.present is None or found.state not in {State.AS_DESIRED, State.UNVERIFIED}:
        return False
    made = former.made.get(found.item.name)
    return made is None or not made.owned or made.digest != found.present.digest


def _taken_over(found: Difference, former: HostRemembered, observed: Observed) -> Made:
    if found.present is None:
        raise TypeError("nothing to take over")
    made = former.made.get(found.item.name)
    return Made(found.present.digest, True, observed.at or datetime.now(UTC), made.undone if made is not None else 0)
