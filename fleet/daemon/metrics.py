"""What the daemon knows and has counted, in Prometheus' text format: for `/metrics` and for the text-file collector.

The lines are written here and not by prometheus_client, which takes 12 µs for each: with 1,000 hosts that was 160 ms.
Its reader checks them in the tests.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleet.codes import Code
from fleet.daemon.counters import BOUNDS, GUARDS, Counted, Counters, counters_of
from fleet.daemon.described import METRICS, PREFIX
from fleet.daemon.status import Condition, FleetStatus, HostStatus, SourceState
from fleet.daemon.status import Outcome as PassOutcome
from fleet.daemon.textfile import write_textfile
from fleet.foreign import clean
from fleet.names import HostName
from fleet.reconcile.report import Outcome
from fleet.reconcile.step import Action
from fleet.state.attempts import RetryClass

__all__ = ["CONTENT_TYPE", "Counters", "Values", "counters_of", "exposed", "exposition", "write_textfile"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LONGEST = 64
"""Characters of a label value that is no name of the inventory."""
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

_Samples = dict[str, list[str]]
"""Lines without the metric's name, by the metric's name."""


class Shown(Protocol):
    """What `fleet.daemon.board.Board` offers."""

    @property
    def fleet(self) -> FleetStatus: ...
    @property
    def hosts(self) -> Mapping[HostName, HostStatus]: ...


@dataclass(frozen=True, slots=True)
class Values:
    """What is shown, at one moment."""

    fleet: FleetStatus
    hosts: tuple[HostStatus, ...]

    @classmethod
    def of(cls, shown: Shown) -> Values:
        return cls(shown.fleet, tuple(shown.hosts.values()))


def exposition(shown: Shown | Values, counters: Counters | Counted, now: datetime) -> bytes:
    """All metrics that are known, in UTF-8. A metric without a value is left out, as Prometheus wants it.

    `now` is for ages alone; moments are told as they are, since Prometheus has a clock of its own.
    """
    values = shown if isinstance(shown, Values) else Values.of(shown)
    counted = counters if isinstance(counters, Counted) else counters.taken()
    samples: _Samples = {name: [] for name in METRICS}
    always = f'fleet="{_label(values.fleet.name)}"'
    _of_fleet(samples, always, values, now)
    _counted(samples, always, counted)
    _of_process(samples, always)
    _of_hosts(samples, always, values.hosts, counted)
    return "".join(_text(samples)).encode()


async def exposed(shown: Shown | Values, counters: Counters | Counted, now: datetime) -> bytes:
    """The same, written in a thread: with 1,000 hosts the event loop would wait for some milliseconds."""
    values = shown if isinstance(shown, Values) else Values.of(shown)
    counted = counters if isinstance(counters, Counted) else counters.taken()
    return await asyncio.to_thread(exposition, values, counted, now)


def _text(samples: _Samples) -> Iterator[str]:
    for name, lines in samples.items():
        if not lines:
            continue
        described, full = METRICS[name], PREFIX + name
        yield f"# HELP {full} {described.about}\n# TYPE {full} {described.kind}\n"
        # Lines of a histogram carry the end of their name themselves.
        yield full + f"\n{full}".join(lines) + "\n"


def guard_word(code: Code) -> str:
    """What the label of a guard says: `too-many-deletes`."""
    return code.name.lower().replace("_", "-")


def _label(text: str) -> str:
    return clean(text, _LONGEST).translate(_ESCAPES)


def _of_fleet(samples: _Samples, always: str, values: Values, now: datetime) -> None:
    fleet, source = values.fleet, values.fleet.source

    def gauge(name: str, value: float | None, more: str = "") -> None:
        if value is not None:
            samples[name].append(f"{{{always}{more}}} {value!r}")

    def moment(name: str, value: datetime | None) -> None:
        gauge(name, None if value is None else value.timestamp())

    gauge("build_info", 1, f',version="{_label(fleet.version)}"')
    moment("start_timestamp_seconds", fleet.started)
    moment("last_success_timestamp_seconds", fleet.last_success)
    moment("last_pass_timestamp_seconds", fleet.passes[0].begun if fleet.passes else None)
    moment("next_pass_timestamp_seconds", fleet.next_pass)
    gauge("reconcile_interval_seconds", fleet.interval if fleet.interval > 0 else None)
    gauge("dry_run", int(fleet.dry_run))
    if source.revision:
        gauge("config_info", 1, f',revision="{_label(source.revision)}"')
    gauge("config_last_reload_success", int(source.state is SourceState.GOOD))
    moment("config_state_timestamp_seconds", source.since)
    gauge("source_broken", int(source.state is SourceState.BROKEN))
    gauge("source_unreachable", int(source.state is SourceState.UNREACHABLE))
    for condition in Condition:
        count = sum(host.condition is condition for host in values.hosts)
        gauge("hosts", count, f',condition="{condition}"')
        if condition is Condition.SUSPENDED:
            gauge("suspended_hosts", count)
    busy = [host.busy_since for host in values.hosts if host.busy_since is not None]
    gauge("busy_hosts", len(busy))
    longest = (now - min(busy)).total_seconds() if busy else 0
    gauge("operation_age_seconds", max(longest, 0), ',kind="host"')
    gauge("refusals", len(fleet.refusals) + sum(len(host.refusals) for host in values.hosts))


def _counted(samples: _Samples, always: str, counted: Counted) -> None:
    def sample(name: str, value: float, more: str = "") -> None:
        samples[name].append(f"{{{always}{more}}} {value!r}")

    sample("passes_running", counted.running)
    for ended in PassOutcome:
        if ended is not PassOutcome.RUNNING:
            sample("passes_total", counted.passes.get(ended, 0), f',outcome="{ended}"')
    samples["pass_duration_seconds"] += _histogram(always, counted.durations, counted.seconds)
    # All of them from the start: what appears with its first value shows no increase.
    for action in Action:
        for outcome in Outcome:
            more = f',action="{action}",outcome="{outcome}"'
            sample("steps_total", counted.steps.get((action, outcome), 0), more)
        sample("operation_age_seconds", counted.ages.get(action, 0), f',kind="{action}"')
    for retry in RetryClass:
        sample("retries_total", counted.retries.get(retry, 0), f',class="{retry}"')
    for code in GUARDS:
        sample("guard_tripped_total", counted.guards.get(code, 0), f',guard="{guard_word(code)}"')
    sample("bytes_received_total", counted.received)
    sample("bytes_uploaded_total", counted.uploaded)
    sample("event_loop_lag_tail_seconds", counted.lag_p99)
    sample("event_loop_lag_seconds", counted.lag)
    sample("log_lines_dropped_total", counted.dropped)
    for (credential, host), changed in sorted(counted.credentials.items()):
        more = f',credential="{_label(credential)}",host="{_label(host)}"'
        sample("credential_mtime_timestamp_seconds", changed, more)


def _histogram(always: str, durations: Iterable[int], seconds: float) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(repr, BOUNDS), "+Inf"), durations, strict=True):
        total += count
        yield f'_bucket{{{always},le="{bound}"}} {total}'
    yield f"_sum{{{always}}} {seconds!r}"
    yield f"_count{{{always}}} {total}"


def _of_process(samples: _Samples, always: str) -> None:
    """With names of our own, since a text file's would be taken for those of the collector that reads it."""
    for name, value in _process():
        samples[name].append(f"{{{always}}} {value!r}")


def _process() -> Iterator[tuple[str, float]]:
    """What `/proc` does not tell, on other systems than Linux, is left out."""
    try:
        with open("/proc/self/statm", "rb") as file:
            yield "process_resident_memory_bytes", int(file.read().split()[1]) * resource.getpagesize()
        # One of them is for listing them.
        yield "process_open_fds", len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208  # ten times faster than Path
    except OSError:
        pass
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY:
        yield "process_max_fds", limit
    yield "process_cpu_seconds_total", time.process_time()


def _of_hosts(samples: _Samples, always: str, hosts: Iterable[HostStatus], counted: Counted) -> None:
    """The bulk: more than a dozen lines a host, so that nothing is looked up twice. Names of hosts need no escapes."""
    reachable, ready = samples["host_reachable"], samples["host_ready"]
    seen, converged = samples["host_last_seen_timestamp_seconds"], samples["host_last_converged_timestamp_seconds"]
    items, deletes = samples["items"], samples["deletes_total"]
    models, used = samples["host_models_in_memory"], samples["host_memory_used_bytes"]
    capacity, certificates = samples["host_memory_capacity_bytes"], samples["tls_not_after_timestamp_seconds"]
    ends = [(condition, f',condition="{condition}"}} ') for condition in Condition]
    for host in hosts:
        begin = f'{{{always},host="{host.name}"'
        at = begin + "} "
        if host.condition is not Condition.SUSPENDED:
            reachable.append(f"{at}{int(host.condition is not Condition.UNKNOWN)}")
        ready.append(f"{at}{int(host.ready)}")
        if host.seen is not None:
            seen.append(f"{at}{host.seen.timestamp()!r}")
        if host.converged is not None:
            converged.append(f"{at}{host.converged.timestamp()!r}")
        counts = host.counts
        items += [f"{begin}{end}{counts[condition]}" for condition, end in ends]
        models.append(f"{at}{len(host.memory)}")
        used.append(f"{at}{sum(model.vram for model in host.memory)}")
        if host.vram is not None:
            capacity.append(f"{at}{host.vram}")
        deletes.append(f"{at}{counted.deletes.get(host.name, 0)}")
        if (until := counted.certificates.get(host.name)) is not None:
            certificates.append(f"{at}{until.timestamp()!r}")
