"""What a pass leaves for the next one: what was seen, what was asked for, and what the last look proved."""

from __future__ import annotations

from dataclasses import replace

from fleet.codes import Code
from fleet.errors import FleetError
from fleet.manifest.item import Create, Desired, HostDesired, Item
from fleet.names import HostName, ModelName
from fleet.reconcile.backup import pending
from fleet.reconcile.difference import HostDifference, State
from fleet.reconcile.guard import items_of
from fleet.reconcile.observed import Observed
from fleet.reconcile.step import Plan
from fleet.reconcile.steps.creating import recorded_now
from fleet.state.evidence import Evidence
from fleet.state.memory import Memory, StateError
from fleet.state.remembered import HostRemembered, Remembered

_SCOPES = 50
"""How many desired states of one name are remembered by size."""


def remember(desired: Desired, scope: str, made: Plan, after: Plan, memory: Memory, revision: str) -> FleetError | None:
    """Keeps what the next pass compares with; tells why that could not be, if so."""
    try:
        before = memory.remembered()
        now = replace(_hosts(desired, made, after, before, revision), items=_items(desired, scope, made, before))
        if now != before:
            memory.record(now)
    except StateError as error:
        return error
    return None


def _items(desired: Desired, scope: str, made: Plan, before: Remembered) -> dict[str, int]:
    items = dict(before.items)
    # What a guard refused is not taken for the new normal.
    if not any(refusal.code is Code.DESIRED_SHRANK for refusal in made.refused):
        items.pop(scope, None)
        items[scope] = items_of(desired)
    return dict(list(items.items())[-_SCOPES:])


def _hosts(desired: Desired, made: Plan, after: Plan, before: Remembered, revision: str) -> Remembered:
    # Nor is what a guard held back on one host, or a machine in repair.
    apart = {refusal.host for refusal in made.refused if refusal.code is Code.HOST_EMPTIED} | made.suspended.keys()
    hosts = dict(before.hosts)
    for found in after.hosts:
        observation = after.observations.get(found.host)
        if isinstance(observation, Observed) and found.host not in apart:
            wanted = desired.hosts[found.host]
            former = before.hosts.get(found.host)
            if former is None or former.url != wanted.host.url:
                former = HostRemembered(wanted.host.url)
            hosts[found.host] = _host(wanted, observation, found, former, revision, filtered=after.filtered)
    return replace(before, hosts=hosts)


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
            evidence[each.item.name] = adopted
    return replace(
        former,
        models=frozenset(model.key for model in observed.models),
        loaded={model: options for model, options in sorted(former.loaded.items()) if filtered or model in kept_warm},
        evidence=evidence,
        checked={name: each for name, each in former.checked.items() if name in observed.models},
        borrowed=frozenset(name for name in former.borrowed if _still_borrowed(name, found, observed)),
    )


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


def adopt(desired: Desired, after: Plan, memory: Memory, revision: str) -> list[tuple[HostName, ModelName]]:
    """Records the unverified created models of a plan as they are now. Raises `fleet.state.memory.StateError`."""
    adopted = []
    for host, name in after.unverified:
        observed = after.observations[host]
        wanted = desired.hosts[host]
        item = next(item for item in wanted.items if item.name == name)
        evidence = adopted_evidence(item, observed, revision) if isinstance(observed, Observed) else None
        if evidence is not None:
            memory.keep_evidence(host, wanted.host.url, name, evidence)
            adopted.append((host, name))
    return adopted
