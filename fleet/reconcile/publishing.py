"""Which host publishes which created model (`push: true`), so that fifty hosts do not push the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fleet.codes import Code
from fleet.manifest.item import Create, Desired, HostDesired, Item
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason, State
from fleet.reconcile.inputs import fingerprint
from fleet.reconcile.known import Known
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.step import Plan
from fleet.registry.served import Published, Unpublished
from fleet.state.evidence import Pushed
from fleet.state.remembered import Remembered


def publishing(
    desired: Desired, observations: Mapping[HostName, Observation], remembered: Remembered, known: Known
) -> dict[HostName, dict[ModelName, Reason | None]]:
    """By host: the models that it publishes for all, and why what it holds now is to be pushed, if it is. One host for
    each model: the one that did it last, else the first by name that is seen and in service.
    """
    found: dict[HostName, dict[ModelName, Reason | None]] = {}
    for name, hosts in _declared(desired, observations).items():
        last = remembered.pushed.get(name)
        host = last.host if last is not None and last.host in hosts else min(hosts)
        found.setdefault(host, {})[name] = _reason(host, *hosts[host], remembered, known)
    return found


def _declared(
    desired: Desired, observations: Mapping[HostName, Observation]
) -> dict[ModelName, dict[HostName, tuple[Item, Observed]]]:
    found: dict[ModelName, dict[HostName, tuple[Item, Observed]]] = {}
    for name in sorted(observations):
        observation, wanted = observations[name], desired.hosts[name]
        if not isinstance(observation, Observed) or wanted.host.suspended is not None:
            continue
        for item in to_push(wanted):
            found.setdefault(item.name, {})[name] = item, observation
    return found


def to_push(wanted: HostDesired) -> tuple[Item, ...]:
    """The items of a host that are to be published from somewhere."""
    return tuple(item for item in wanted.items if item.push)


def _reason(host: HostName, item: Item, observed: Observed, remembered: Remembered, known: Known) -> Reason | None:
    """Why the registry does not have what the host has, or is to have; nothing where it has."""
    present = observed.models.get(item.name)
    if present is None:
        return Reason.NOT_PUBLISHED
    served, last = known.served.get(item.name), remembered.pushed.get(item.name)
    made_from = fingerprint(item.source) if isinstance(item.source, Create) else ""
    pushed = last is not None and last.fingerprint == made_from
    if last is not None and last.host == host and last.digest != present.digest:
        # Made anew from the same inputs, over another base, and not published since.
        pushed = False
    if served is None or (isinstance(served, Unpublished) and served.code is not Code.NOT_IN_REGISTRY):
        # It cannot be compared: what was published from the same inputs stands.
        return None if pushed else Reason.NOT_PUBLISHED
    if isinstance(served, Unpublished):
        return Reason.NOT_PUBLISHED
    image = served.image
    if image.created == present.digest or (pushed and last is not None and last.published in image.digests):
        return None
    return Reason.PUBLISHED_DIFFERS


def found_published(after: Plan, before: Remembered, at: datetime) -> dict[ModelName, Pushed]:
    """What is recorded as published, with what a registry turns out to serve as a host has it, although that is recorded
    nowhere: by a run that was killed before it could.
    """
    pushed = dict(before.pushed)
    for host in after.hosts:
        for each in host.items:
            source, served = each.item.source, after.known.served.get(each.item.name)
            if not each.item.push or each.item.name in pushed or not isinstance(source, Create):
                continue
            if each.state is not State.AS_DESIRED or each.present is None or not isinstance(served, Published):
                continue
            if served.image.created == each.present.digest or each.present.digest in served.image.digests:
                pushed[each.item.name] = Pushed(
                    host.host, each.present.digest, served.image.raw, fingerprint(source), at
                )
    return pushed
