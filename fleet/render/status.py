"""Hosts and models: how each item stands. Few hosts are shown in full, many by model and by what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fleet.codes import Code
from fleet.errors import ExitCode
from fleet.manifest.item import Desired
from fleet.names import HostName, ModelName
from fleet.ollama.wire import moment
from fleet.quantities import show_size
from fleet.reconcile.difference import Difference, Reason, State
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.report import Report
from fleet.reconcile.step import Plan, Refusal
from fleet.render.held_back import held_back, refused_lines
from fleet.render.left_alone import unobserved_block
from fleet.render.paint import PLAIN, Paint
from fleet.render.table import headed
from fleet.render.words import STANDS, counted, in_service, name, offloaded, sentence, show_age, some
from fleet.render.writing import FORMAT

Observations = Mapping[HostName, Observation]

_FEW = 8
"""Hosts that are shown item by item."""
_ROWS = 50
"""Of what is wrong, in the short form."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One item of one host, or one model that must go."""

    host: HostName
    item: str
    state: str
    """`current`, `drifted`, `missing`, `blocked`, `held-back`, `unverified`, `to-be-deleted` or `unknown`."""
    why: str = ""
    memory: str = ""
    """`warm`, `not warm`, `blocked`; empty where it is not declared warm."""
    digest: str | None = None
    size: int | None = None
    age: float | None = None
    """Seconds since the model was written on the host, by the clocks of both; a pull that changed nothing counts."""
    open: bool = False
    """Its content is as declared, and something else is not: its check, its publication, its registry's answer."""


def standings(plan: Plan, desired: Desired, observations: Observations) -> Iterator[Standing]:
    """How everything that is declared stands, host by host; what a host that was not observed holds is unknown."""
    held = held_back(plan)
    for host in plan.hosts:
        suspended = _suspended(plan.suspended.get(host.host))
        if host.unobserved is not None:
            why = "; ".join(part for part in (suspended, f"not observed ({host.unobserved.code.id})") if part)
            for declared in desired.hosts[host.host].items:
                memory = "unknown" if declared.warm else ""
                yield Standing(host.host, name(declared.name), "unknown", why, memory)
        for item in host.items:
            present, refusal = item.present, held.get((host.host, item.item.name))
            told = _why(item) if refusal is None else _refused(refusal)
            yield Standing(
                host.host,
                name(item.item.name),
                _state(item) if refusal is None else "held-back",
                "; ".join(part for part in (told, suspended if _differs(item) else "") if part),
                _memory(item),
                None if present is None else str(present.digest),
                None if present is None else present.size,
                _age(observations.get(host.host), item.item.name),
                open=item.trouble is not None or item.unchecked or item.publish is not None,
            )
        for removal in host.removals:
            present, refusal = removal.present, held.get((host.host, removal.present.name))
            state, why = "to-be-deleted", suspended
            if removal.blocked is not None:
                state, why = "blocked", f"{removal.blocked.message} ({removal.blocked.code.id})"
            elif refusal is not None:
                state, why = "held-back", _refused(refusal)
            age = _age(observations.get(host.host), present.name)
            yield Standing(host.host, name(present.name), state, why, "", str(present.digest), present.size, age)


def _suspended(reason: str | None) -> str:
    if reason is None:
        return ""
    return f"suspended: {reason}" if reason else "suspended"


def _refused(refusal: Refusal) -> str:
    return f"{refusal.code.title} ({refusal.code.id})"


def _differs(item: Difference) -> bool:
    return State.DIFFERS in {item.state, item.warmth.state if item.warmth else item.state}


def _age(observation: Observation | None, model: ModelName) -> float | None:
    if not isinstance(observation, Observed) or observation.at is None:
        return None
    written = moment(observation.modified.get(model, ""))
    return None if written is None else max(0.0, (observation.at - written).total_seconds())


def status_text(
    plan: Plan, desired: Desired, observations: Observations, *, paint: Paint = PLAIN, everything: bool = False
) -> str:
    """The table, ending with a newline."""
    each = tuple(standings(plan, desired, observations))
    few = everything or len(plan.hosts) <= _FEW
    lines = list(_in_full(each, paint)) if few else list(_by_model(each, paint))
    if plan.unobserved:
        lines += ["", paint.warning("Unknown, since the host was not observed:")]
        lines += unobserved_block(plan.unobserved, everything=everything)
    if plan.refused:
        lines += ["", paint.warning("Refused by a guard:"), *refused_lines(plan)]
    if plan.suspended:
        lines += ["", f"Suspended: {some(sorted(plan.suspended), 10)}"]
    lines += ["", paint.strong(_summary(each, plan))]
    return "\n".join(lines).lstrip("\n") + "\n"


def status_document(
    report: Report, desired: Desired, observations: Observations, exit_code: ExitCode
) -> dict[str, Any]:
    """The same for machines: every host with its items."""
    plan = report.plan
    by_host: dict[HostName, list[dict[str, Any]]] = {}
    for each in standings(plan, desired, observations):
        by_host.setdefault(each.host, []).append(
            {
                "model": each.item,
                "state": each.state,
                "why": each.why or None,
                "memory": each.memory or None,
                "digest": each.digest,
                "size": each.size,
                "age_seconds": None if each.age is None else round(each.age),
            }
        )
    unobserved = {each.host: each for each in plan.unobserved}
    return {
        "type": "status",
        "format": FORMAT,
        "name": plan.name,
        "filtered": plan.filtered,
        "hosts": [
            {
                "host": host.host,
                "observed": host.unobserved is None,
                "code": unobserved[host.host].code.id if host.host in unobserved else None,
                "message": unobserved[host.host].message if host.host in unobserved else None,
                "suspended": plan.suspended.get(host.host),
                "items": by_host.get(host.host, []),
            }
            for host in plan.hosts
        ],
        "counts": asdict(report.counts),
        "exit_code": int(exit_code),
    }


def _state(item: Difference) -> str:
    if item.state is State.AS_DESIRED:
        return "current"
    if item.state is State.DIFFERS:
        return "missing" if item.present is None else "drifted"
    return str(item.state)


def _why(item: Difference) -> str:
    for stands in (item, item.warmth):
        if stands is None or stands.state in {State.AS_DESIRED, State.UNVERIFIED}:
            continue
        if stands.blocked is not None:
            return f"{stands.blocked.message} ({stands.blocked.code.id})"
        if stands is item and item.present is None:
            return "the host does not list it"
        if stands.reason is not None:
            return STANDS[stands.reason]
    if item.trouble is not None:
        return f"{item.trouble.message} ({item.trouble.code.id})"
    if item.unchecked:
        return STANDS[Reason.NOT_CHECKED]
    if item.publish is not None:
        return STANDS[item.publish]
    if item.warmth is not None and item.warmth.offloaded:
        return offloaded(item.warmth)
    return f"{Code.UNVERIFIED.title} ({Code.UNVERIFIED.id})" if item.state is State.UNVERIFIED else ""


def _memory(item: Difference) -> str:
    if item.warmth is None:
        return ""
    if item.warmth.state is State.BLOCKED:
        return "blocked"
    return "warm" if item.warmth.state is State.AS_DESIRED else "not warm"


def _in_full(each: Iterable[Standing], paint: Paint) -> Iterator[str]:
    rows = [("HOST", "MODEL", "STATE", "MEMORY", "DIGEST", "SIZE", "AGE", "WHY")]
    rows += [
        (
            name(row.host),
            row.item,
            row.state,
            row.memory or "-",
            "-" if row.digest is None else row.digest.removeprefix("sha256:")[:12],
            "-" if row.size is None else show_size(row.size),
            "-" if row.age is None else show_age(row.age),
            sentence(row.why),
        )
        for row in each
    ]
    if len(rows) > 1:
        yield from headed(rows, paint)


def _by_model(each: Sequence[Standing], paint: Paint) -> Iterator[str]:
    """One row a model with counts, then the items that are not as desired, as many as fit a page."""
    states = ("current", "drifted", "missing", "blocked", "held-back", "unverified", "to-be-deleted", "unknown")
    counts: dict[str, Counter[str]] = {}
    warm: dict[str, Counter[str]] = {}
    for row in each:
        counts.setdefault(row.item, Counter())[row.state] += 1
        warm.setdefault(row.item, Counter())[row.memory] += 1
    rows: list[tuple[str, ...]] = [("MODEL", *(state.upper() for state in states), "WARM")]
    for item in sorted(counts):
        declared = warm[item].total() - warm[item][""]
        in_memory = f"{warm[item]['warm']} of {declared}" if declared else "-"
        rows.append((item, *(str(counts[item][state] or "-") for state in states), in_memory))
    yield from headed(rows, paint)
    wrong = [row for row in each if row.state != "unknown" and not _good(row)]
    if wrong:
        yield ""
        yield from _in_full(wrong[:_ROWS], paint)
    if len(wrong) > _ROWS:
        yield f"… and {len(wrong) - _ROWS} more; `-v` shows every item"


def _summary(each: Sequence[Standing], plan: Plan) -> str:
    """What is asked of suspended hosts is not asked now, and of others nothing is known: both are left out."""
    hosts = [host for host in in_service(plan) if host.unobserved is None]
    asked = [row for row in each if row.host not in plan.suspended and row.state != "unknown"]
    parts = [
        f"{sum(map(_good, asked))} of {counted(len(asked), 'item')} as desired on {counted(len(hosts), 'host')}",
        f"{counted(len(plan.unobserved), 'host')} unknown" if plan.unobserved else "",
        f"{len(plan.suspended)} suspended" if plan.suspended else "",
    ]
    return "; ".join(part for part in parts if part)


def _good(row: Standing) -> bool:
    return row.state in {"current", "unverified"} and row.memory in {"", "warm"} and not row.open
