"""What a plan leaves as it is, and why: blocked, refused, not observed, suspended, not provable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.codes import Code
from fleet.names import HostName
from fleet.reconcile.difference import Blocked, HostDifference
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.step import Plan, Refusal
from fleet.render.paint import Paint
from fleet.render.words import (
    as_desired,
    blocked_lines,
    counted,
    hint_lines,
    name,
    sentence,
    some,
    unobserved_lines,
)

_PAGE = 20
"""More unobserved hosts than this are told by their codes instead of one by one."""
_UNVERIFIED = (
    "`fleet adopt` records them as they are, so that later changes are noticed; `--rebuild-unverified` builds them anew"
)


def left_alone_lines(plan: Plan, paint: Paint, *, everything: bool = False) -> list[str]:
    """Blocks with a heading each, an empty line after each; nothing for a plan that covers all."""
    lines: list[str] = []
    for heading, block in (
        ("Blocked, left alone with what depends on it:", _blocked(plan)),
        ("Refused by a guard:", _refused(plan.refused)),
        ("Not observed, so nothing is planned there:", unobserved_block(plan.unobserved, everything=everything)),
        ("Suspended, only looked at:", _suspended(plan)),
        ("Not provable from what the host shows, taken to be as desired:", _unverified(plan)),
    ):
        told = list(block)
        if told:
            lines += [paint.warning(heading), *told, ""]
    return lines


def unobserved_block(unobserved: Iterable[Unobserved], *, everything: bool = False) -> Iterator[str]:
    """Each host with its reason; of very many, each reason with its hosts."""
    each = tuple(unobserved)
    if len(each) <= _PAGE or everything:
        for host in each:
            first, *rest = unobserved_lines(host)
            yield f"  {name(host.host)}: {first}"
            yield from (f"      {line}" for line in [*rest, *hint_lines(host.hint)])
        return
    by_code: dict[object, list[Unobserved]] = {}
    for host in each:
        by_code.setdefault(host.code, []).append(host)
    for hosts in by_code.values():
        code = hosts[0].code
        yield f"  {counted(len(hosts), 'host')}: {code.title} ({code.id})"
        yield f"      {some([host.host for host in hosts])}; `-v` lists all"


def _blocked(plan: Plan) -> Iterator[str]:
    """Alike items of several hosts are told once."""
    hosts: dict[tuple[str, Blocked], list[HostName]] = {}
    for item in plan.blocked:
        hosts.setdefault((name(item.model), item.blocked), []).append(item.host)
    for (model, blocked), where in hosts.items():
        first, *rest = blocked_lines(blocked)
        yield f"  {model} on {some(where)}: {first}"
        yield from (f"      {line}" for line in rest)


def _refused(refusals: Iterable[Refusal]) -> Iterator[str]:
    for refusal in refusals:
        yield f"  {sentence(refusal.message)} ({refusal.code.id})"
        if refusal.would:
            yield "      would have:"
            yield from (f"        {sentence(would)}" for would in refusal.would)
        yield from (f"      {line}" for line in hint_lines(refusal.hint))


def _suspended(plan: Plan) -> Iterator[str]:
    found = {host.host: host for host in plan.hosts}
    for host, why in plan.suspended.items():
        seen = found.get(host, HostDifference(host))
        count = len(seen.items) - as_desired(seen) + len(seen.removals)
        told = f"{counted(count, 'item differs', 'items differ')}" if count else ""
        if seen.unobserved is not None:
            told = f"not observed ({seen.unobserved.code.id})"
        parts = "; ".join(part for part in (sentence(why), told) if part)
        yield f"  {name(host)}: {parts}" if parts else f"  {name(host)}"


def _unverified(plan: Plan) -> Iterator[str]:
    hosts: dict[str, list[HostName]] = {}
    for host, model in plan.unverified:
        hosts.setdefault(name(model), []).append(host)
    yield from (f"  {model} on {some(where)} ({Code.UNVERIFIED.id})" for model, where in hosts.items())
    if hosts:
        yield from (f"      {line}" for line in hint_lines(_UNVERIFIED))
