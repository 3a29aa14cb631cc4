"""Whether a host is the machine that the inventory means, and no other one of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.codes import Code
from fleet.manifest.inventory import Host
from fleet.names import HostName
from fleet.reconcile.guard import told
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.step import Action, Plan, Refusal, Step
from fleet.state.remembered import Remembered


def unmarked(host: Host, observed: Observed, steps: Sequence[Step]) -> Refusal | None:
    """Why nothing is to be done on a machine that does not list the host's marker."""
    if host.marker is None or host.marker in observed.models:
        return None
    return Refusal(
        Code.MARKER_MISSING,
        f"`{host.name}` does not list `{host.marker}`, which marks it: this may be another machine",
        f"look at what answers at the address; if it is the right one, copy a model to `{host.marker}` there by hand",
        host.name,
        told(steps),
    )


def twins(observations: Mapping[HostName, Observation]) -> tuple[str, ...]:
    """Sentences on hosts that are one server by two addresses. Runners tell, since each has a moment of its own at which
    it ends; machines that were cloned list the same models, each written at the same moment, and are not one.
    """
    seen: dict[object, HostName] = {}
    found: list[str] = []
    for name, observed in sorted(observations.items()):
        if not isinstance(observed, Observed) or not any(runner.expires_at for runner in observed.runners):
            continue
        models = frozenset((model.listed, model.digest) for model in observed.models.values())
        before = seen.setdefault((observed.version, models, observed.runners), name)
        if before != name:
            found.append(
                f"`{before}` and `{name}` list the same models, and hold the same in memory until the same moment: if they"
                " are one server, take one of them out of the inventory"
            )
    return tuple(found)


def vanished(made: Plan, remembered: Remembered) -> tuple[str, ...]:
    """Sentences on declared models that were listed in the last pass and are to be brought again: nobody of fleet's took
    them away. Of a host at another address nothing is known.
    """
    found = []
    for step in made.steps:
        known = remembered.hosts.get(step.host)
        brings = step.action in {Action.PULL, Action.CREATE, Action.COPY} and step.presumes is None
        here = known is not None and known.url == made.urls.get(step.host)
        if brings and known is not None and here and step.model.key in known.models:
            found.append(
                f"`{step.model}` was listed by `{step.host}` in the last pass and is gone: somebody deleted it, or its image"
                " manifest is damaged"
            )
    return tuple(found)
