"""What a plan deletes or replaces: the same facts for text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.names import Digest, HostName, ModelName
from fleet.quantities import show_size
from fleet.reconcile.step import Action, Plan, Step
from fleet.render.words import REASONS, counted, replaces, symbol


@dataclass(frozen=True, slots=True)
class Taken:
    """One content that goes, alike on some hosts."""

    symbol: str
    action: Action
    model: ModelName
    digest: Digest | None
    size: int | None
    """Bytes on each host, shared layers included: no more than that becomes free; nothing where not known."""
    why: str

    @property
    def what(self) -> str:
        return "deleted" if self.action is Action.DELETE else f"replaced by {self.action}"

    @property
    def shown_size(self) -> str | None:
        return None if self.size is None else show_size(self.size)


def taken_away(plan: Plan) -> Mapping[Taken, list[HostName]]:
    """Each content that goes, with the hosts that lose it, in the order of the plan."""
    hosts: dict[Taken, list[HostName]] = {}
    for step, size in taking_steps(plan):
        taken = Taken(symbol(step), step.action, step.model, step.old, size, REASONS[step.reason])
        hosts.setdefault(taken, []).append(step.host)
    return hosts


def taking_steps(plan: Plan) -> Iterator[tuple[Step, int | None]]:
    """The steps that take something from a disk, with the bytes of what is there now."""
    there = _sizes(plan)
    for step in plan.steps:
        if replaces(step):
            yield step, there.get((step.host, step.model), step.bytes_freed)


def taken_summary(taken: Mapping[Taken, list[HostName]]) -> str:
    """`4 models, up to 12.3 GB`: no more than that becomes free, since layers that others share stay."""
    number = sum(map(len, taken.values()))
    known = sum(len(hosts) * each.size for each, hosts in taken.items() if each.size is not None)
    unknown = sum(len(hosts) for each, hosts in taken.items() if each.size is None)
    parts = [
        counted(number, "model"),
        f"up to {show_size(known)}" if known else "",
        f"{unknown} of unknown size" if unknown else "",
    ]
    return ", ".join(part for part in parts if part)


def _sizes(plan: Plan) -> dict[tuple[HostName, ModelName], int]:
    """Bytes of the models that are there now."""
    found = {}
    for host in plan.hosts:
        for present in (*(item.present for item in host.items), *(removal.present for removal in host.removals)):
            if present is not None:
                found[host.host, present.name] = present.size
    return found
