"""What a guard holds back, model by model: `status` and `why` tell it where a plan tells the refusal as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import State
from fleet.reconcile.step import Plan, Refusal
from fleet.render.words import hint_lines, sentence

HeldBack = Mapping[tuple[HostName, ModelName], Refusal]


def held_back(plan: Plan) -> HeldBack:
    """Models that are not as desired, that no step mends, and why. A guard refuses at most once on a host."""
    refusals = {refusal.host: refusal for refusal in plan.refused}
    mended = {(step.host, step.model) for step in plan.steps}
    found: dict[tuple[HostName, ModelName], Refusal] = {}
    for host in plan.hosts:
        refusal = refusals.get(host.host)
        if refusal is None:
            continue
        wanted = [
            item.item.name
            for item in host.items
            if item.state is State.DIFFERS or (item.warmth is not None and item.warmth.state is State.DIFFERS)
        ]
        wanted += [removal.present.name for removal in host.removals if removal.blocked is None]
        found |= {(host.host, name): refusal for name in wanted if (host.host, name) not in mended}
    return found


def refusal_text(refusal: Refusal) -> str:
    """One refusal in one line: what, what next, its code."""
    return clean(f"{refusal.message}; {refusal.hint} ({refusal.code.id})")


def refused_lines(plan: Plan) -> Iterator[str]:
    """A line for each refusal, with its code."""
    for refusal in plan.refused:
        yield f"  {sentence(refusal.message)} ({refusal.code.id})"
        yield from (f"      {line}" for line in hint_lines(refusal.hint))
