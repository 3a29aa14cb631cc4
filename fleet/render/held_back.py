"""What a guard holds back, model by model: `status` and `why` tell it where a plan tells the refusal as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import State
from fleet.reconcile.prune import PRUNED
from fleet.reconcile.step import Plan, Refusal
from fleet.render.words import hint_lines, sentence

_UNPRUNED = frozenset({Code.SOURCES_CHANGED, Code.FILTERED, Code.HOST_NEW})

HeldBack = Mapping[tuple[HostName, ModelName], Refusal]


def held_back(plan: Plan) -> HeldBack:
    """Models that are not as desired, that no step mends, and why. Besides what nobody declares, guards refuse at most
    once on a host.
    """
    unpruned = {refusal.host: refusal for refusal in plan.refused if refusal.code in _UNPRUNED}
    refusals = {refusal.host: refusal for refusal in plan.refused if refusal.code not in _UNPRUNED}
    mended = {(step.host, step.model) for step in plan.steps}
    found: dict[tuple[HostName, ModelName], Refusal] = {}
    for host in plan.hosts:
        refusal, held = refusals.get(host.host), unpruned.get(host.host)
        if held is not None:
            found |= {
                (host.host, removal.present.name): held
                for removal in host.removals
                if removal.reason in PRUNED and removal.blocked is None
            }
        if refusal is None:
            continue
        wanted = [
            item.item.name
            for item in host.items
            if item.state is State.DIFFERS or (item.warmth is not None and item.warmth.state is State.DIFFERS)
        ]
        wanted += [removal.present.name for removal in host.removals if removal.blocked is None]
        found |= {(host.host, name): refusal for name in wanted if (host.host, name) not in mended | found.keys()}
    return found


def refusal_text(refusal: Refusal) -> str:
    """One refusal in one line: what, what next, its code."""
    return clean(f"{refusal.message}; {refusal.hint} ({refusal.code.id})")


def refused_lines(plan: Plan) -> Iterator[str]:
    """A line for each refusal, with its code."""
    for refusal in plan.refused:
        yield f"  {sentence(refusal.message)} ({refusal.code.id})"
        yield from (f"      {line}" for line in hint_lines(refusal.hint))
