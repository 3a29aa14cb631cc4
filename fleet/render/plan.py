"""A plan as text: steps by host, then what is taken away, then what is left alone and why, then one summary line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fleet.names import HostName
from fleet.quantities import show_size
from fleet.reconcile.difference import State
from fleet.reconcile.step import Action, Plan, Step
from fleet.render.changes import change_lines
from fleet.render.left_alone import left_alone_lines
from fleet.render.paint import PLAIN, Paint
from fleet.render.taken_away import Taken, taken_away, taken_summary
from fleet.render.words import action_of, as_desired, counted, in_service, name, some, symbol, told_of

_VERBS = len("create")
_WIDEST = 44
"""Columns for names at most; longer ones push their line aside alone."""


def plan_text(plan: Plan, *, paint: Paint = PLAIN, show_content: bool = False, everything: bool = False) -> str:
    """All of a plan, ending with a newline. `everything` also lists what would fill pages."""
    lines: list[str] = []
    for block in _host_blocks(plan, paint, show_content=show_content):
        lines += [*block, ""]
    taken = taken_away(plan)
    if taken:
        heading = f"Deleted or replaced: {taken_summary(taken)}"
        lines += [paint.strong(heading), *_taken_lines(taken, paint), ""]
    lines += left_alone_lines(plan, paint, everything=everything)
    lines.append(paint.strong(summary(plan)))
    return "\n".join(lines) + "\n"


def summary(plan: Plan) -> str:
    """The one line that says what a plan comes to. `Nothing to do` is said only of hosts that were all seen."""
    if plan.steps:
        actions = Counter(step.action for step in plan.steps)
        told = ", ".join(f"{actions[action]} to {action}" for action in Action if actions[action])
        changed = len({step.host for step in plan.steps})
        return f"Plan: {told} on {counted(changed, 'host')}{moved(plan.steps)}{_left(plan)}"
    hosts = in_service(plan)
    if plan.unobserved:
        seen = len(hosts) - len(plan.unobserved)
        told = f"No steps on the {counted(seen, 'host')} that could be seen" if seen else "No host could be seen"
        return told + _left(plan)
    if plan.blocked or plan.refused or _differing_suspended(plan):
        return f"No steps to take{_left(plan)}"
    items = sum(len(host.items) + len(host.removals) for host in hosts)
    good = sum(map(as_desired, hosts))
    where = "in the selected part: " if plan.filtered else ""
    suspended = f"; {len(plan.hosts) - len(hosts)} suspended" if len(hosts) < len(plan.hosts) else ""
    told = counted(items, "item") if good == items else f"{good} of {counted(items, 'item')}"
    return f"Nothing to do: {where}{told} as desired on {counted(len(hosts), 'host')}{suspended}"


def steps_by_host(plan: Plan) -> dict[HostName, list[Step]]:
    by_host: dict[HostName, list[Step]] = {}
    for step in plan.steps:
        by_host.setdefault(step.host, []).append(step)
    return by_host


def alike(by_host: Mapping[HostName, Sequence[Step]], told: Callable[[Step], object]) -> Iterator[tuple[HostName, ...]]:
    """Hosts with the same steps, by what is told of each, apart from the numbers; in the order of their first."""
    groups: dict[object, list[HostName]] = {}
    for host, steps in by_host.items():
        groups.setdefault(tuple(told(step) for step in _numbered_from_one(steps)), []).append(host)
    for hosts in groups.values():
        yield tuple(hosts)


def _host_blocks(plan: Plan, paint: Paint, *, show_content: bool) -> Iterator[list[str]]:
    by_host = steps_by_host(plan)

    def told(step: Step) -> tuple[object, ...]:
        return symbol(step), action_of(step), told_of(step), step.number, step.changes

    for hosts in alike(by_host, told):
        steps = by_host[hosts[0]]
        width = min(max(len(name(step.model)) for step in steps), _WIDEST)
        digits = len(str(steps[-1].number))
        verbs = max(_VERBS, *(len(step.action) for step in steps))
        header = paint.strong(some(hosts))
        if len(hosts) > 1:
            header += paint.faint(f"  ({len(hosts)} hosts alike; steps are numbered as on {name(hosts[0])})")
        block = [header]
        for step in steps:
            sign = symbol(step)
            line = paint.by_symbol(f"{sign} {step.action:<{verbs}}  {name(step.model):<{width}}", sign)
            block.append(f"  {step.number:>{digits}}  {line}  {told_of(step)}".rstrip())
            block += [f"  {'':>{digits}}      {line}" for line in change_lines(step.changes, show_content=show_content)]
        yield block


def _numbered_from_one(steps: Sequence[Step]) -> Iterator[Step]:
    first = steps[0].number - 1
    for step in steps:
        after = None if step.new_after is None else step.new_after - first
        yield replace(step, number=step.number - first, new_after=after)


def _taken_lines(taken: Mapping[Taken, Sequence[HostName]], paint: Paint) -> Iterator[str]:
    """One line for each content that goes, with the hosts that lose it, and why."""
    for each, losing in taken.items():
        sign, digest = each.symbol, each.digest.short if each.digest else ""
        parts = [each.what, digest, each.shown_size or "size not known"]
        told = ", ".join(part for part in parts if part)
        yield f"  {paint.by_symbol(f'{sign} {name(each.model)}', sign)}  {told} on {some(losing)}: {each.why}"


def moved(steps: Iterable[Step]) -> str:
    """`; 4.7 GB to transfer, 2 downloads of unknown size`."""
    incoming = sum(step.bytes_in or 0 for step in steps)
    unknown = sum(step.action is Action.PULL and step.bytes_in is None for step in steps)
    freed = sum(step.bytes_freed or 0 for step in steps)
    parts = [
        f"{show_size(incoming)} to transfer" if incoming else "",
        counted(unknown, "download of unknown size", "downloads of unknown size") if unknown else "",
        f"up to {show_size(freed)} freed" if freed else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"; {told}" if told else ""


def _left(plan: Plan) -> str:
    """`; 1 blocked, 2 hosts not observed`: what the plan leaves as it is."""
    parts = [
        counted(len(plan.blocked), "item blocked", "items blocked") if plan.blocked else "",
        f"{len(plan.refused)} refused by a guard" if plan.refused else "",
        f"{counted(len(plan.unobserved), 'host')} not observed" if plan.unobserved else "",
        f"{counted(_differing_suspended(plan), 'suspended host differs', 'suspended hosts differ')}"
        if _differing_suspended(plan)
        else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"; {told}" if told else ""


def _differing_suspended(plan: Plan) -> int:
    return sum(
        any(d.state is not State.AS_DESIRED and d.state is not State.UNVERIFIED for d in host.items)
        or bool(host.removals)
        for host in plan.hosts
        if host.host in plan.suspended
    )
