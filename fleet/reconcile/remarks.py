"""What a person should know of what hosts hold, beside the steps of a plan, in whole sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.codes import Code
from fleet.foreign import clean
from fleet.manifest.item import Pull
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Capability, has
from fleet.reconcile.difference import Difference, State
from fleet.reconcile.known import Known, asked
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.report import StepResult
from fleet.reconcile.step import Action, Plan
from fleet.reconcile.warm import runner_of

_FEW = 3
"""Hosts that are named for one content."""
_REPLACES = frozenset({Action.PULL, Action.CREATE, Action.COPY})


def remarks(plan: Plan) -> tuple[str, ...]:
    """First different contents of one tag, then what is replaced while it serves, then what is left to other fleets."""
    return (*_skews(plan), *_replaced_in_use(plan), *_left_to_others(plan))


def thrown_out(made: Plan, after: Plan, results: Iterable[StepResult]) -> tuple[str, ...]:
    """What hosts had in memory before a load for which it did not suffice, and what they have now: servers throw
    everything out before they give up (`ollama-api.md` 12.5).
    """
    failed = {result.step.host for result in results if result.failure and result.failure.code is Code.OUT_OF_MEMORY}
    found = []
    for host in sorted(failed):
        before, now = _runners(made.observations.get(host)), _runners(after.observations.get(host))
        if before is not None and now is not None and before != now:
            found.append(
                f"`{host}` had in memory {_listed(before)} before it ran out of it, and has {_listed(now)} now"
            )
    return tuple(found)


def _runners(observation: Observation | None) -> frozenset[str] | None:
    if not isinstance(observation, Observed):
        return None
    return frozenset(clean(runner.listed) for runner in observation.runners)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(names)) or "nothing"


def _skews(plan: Plan) -> Iterator[str]:
    """Models that only have to be there, of which hosts list more than one content (`reliability.md` R6).

    Servers before 0.19 list the same content by another digest, so that hosts of both ages are compared only where
    the registry or the lock file tells both forms.
    """
    found: dict[ModelName, dict[bool, dict[object, list[HostName]]]] = {}
    for host in plan.hosts:
        observation = plan.observations.get(host.host)
        if not isinstance(observation, Observed):
            continue
        keeps = has(observation.version, Capability.PULL_KEEPS_BYTES)
        for item in host.items:
            held = _followed(item)
            if held is not None:
                content = _one_form(held, item, plan.known)
                by_content = found.setdefault(item.item.name, {}).setdefault(keeps, {})
                by_content.setdefault(content, []).append(host.host)
    for model, ages in found.items():
        for contents in ages.values():
            if len(contents) > 1:
                held_by = "; ".join(f"{_shown(content)} on {_some(hosts)}" for content, hosts in contents.items())
                yield (
                    f"hosts hold different contents of `{model}`, which has no pin: {held_by}; `update: locked` and"
                    " `fleet lock` bring them to one"
                )


def _followed(item: Difference) -> Digest | None:
    """What a host holds of a model that only has to be there, if that is so."""
    if not isinstance(item.item.source, Pull) or item.accepts is not None or item.present is None:
        return None
    return None if item.state is State.DIFFERS or item.present.remote else item.present.digest


def _one_form(held: Digest, item: Difference, known: Known) -> Digest | frozenset[Digest]:
    """The same for all digests by which the same image is listed, as far as that is known."""
    source = item.item.source
    served = known.image(asked(item.item, source)) if isinstance(source, Pull) else None
    for image in (served, known.locked.get(item.item.name)):
        if image is not None and held in image.digests:
            return image.digests
    return held


def _replaced_in_use(plan: Plan) -> Iterator[str]:
    """What serves requests stays in memory in its former content until it leaves (`reliability.md` R9)."""
    unloaded = {(step.host, step.model) for step in plan.steps if step.action is Action.UNLOAD}
    hosts: dict[ModelName, list[HostName]] = {}
    for step in plan.steps:
        released = (step.host, step.model) in unloaded
        if step.action not in _REPLACES or step.old is None or released:
            continue
        if _in_memory(step.model, plan.observations.get(step.host)):
            hosts.setdefault(step.model, []).append(step.host)
    for model, where in hosts.items():
        yield (
            f"`{model}` is replaced while it is in memory on {_some(where)}: requests are answered by its former content"
            " until that leaves"
        )


def _in_memory(model: ModelName, observation: Observation | None) -> bool:
    return isinstance(observation, Observed) and runner_of(model, observation) is not None


def _shown(content: object) -> str:
    one = min(content, key=str) if isinstance(content, frozenset) else content
    return one.short if isinstance(one, Digest) else str(one)


def _some(hosts: Sequence[HostName]) -> str:
    more = f" and {len(hosts) - _FEW} more" if len(hosts) > _FEW else ""
    return ", ".join(hosts[:_FEW]) + more


def _left_to_others(plan: Plan) -> Iterator[str]:
    """What nobody declares here and what `policy.prune: undeclared` leaves there all the same."""
    for host in plan.hosts:
        observed = plan.observations.get(host.host)
        theirs = plan.known.theirs.get(plan.urls.get(host.host, ""), {})
        if not theirs or not isinstance(observed, Observed):
            continue
        ours = {item.item.name for item in host.items} | {removal.present.name for removal in host.removals}
        left: dict[str, list[ModelName]] = {}
        for name in sorted(theirs.keys() & observed.models.keys() - ours):
            left.setdefault(theirs[name], []).append(name)
        for fleet, names in sorted(left.items()):
            told = ", ".join(f"`{name}`" for name in names[:_FEW])
            more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
            yield f"`{host.host}` keeps {told}{more}, which nobody declares here: the fleet `{fleet}` put them there"
