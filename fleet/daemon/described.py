"""Every metric with its kind, its labels and what it tells: one table for `/metrics`, text files and `docs/metrics.md`.

Names follow Prometheus' conventions: units in the name, `_total` for what only grows, `_timestamp_seconds` for moments,
`_info` for texts. Each has the label `fleet` besides, since text files of several fleets meet in one collector.
Label values are names of the inventory and words of closed sets: nothing that a server says makes a new series.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

PREFIX = "ollama_fleet_"


class Kind(StrEnum):
    """What Prometheus calls the type."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Described(NamedTuple):
    """`labels` are those besides `fleet`."""

    kind: Kind
    about: str
    labels: tuple[str, ...] = ()


_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM

METRICS = {
    "build_info": Described(_G, "Always 1; the label tells the version of fleet.", ("version",)),
    "start_timestamp_seconds": Described(_G, "When this process started to work."),
    "last_success_timestamp_seconds": Described(
        _G, "When the last pass ended that read its manifests and looked at every host that it could reach."
    ),
    "last_pass_timestamp_seconds": Described(_G, "When the newest pass began, however it ended."),
    "next_pass_timestamp_seconds": Described(_G, "When the next pass is due at the latest."),
    "reconcile_interval_seconds": Described(_G, "How long the daemon lets pass between two passes."),
    "dry_run": Described(_G, "1 where fleet only looks and plans, and changes nothing."),
    "config_info": Described(_G, "Always 1; the label tells the revision of the manifests in force.", ("revision",)),
    "config_last_reload_success": Described(
        _G, "1 where the manifests in force are the newest; 0 where the last reading of them failed."
    ),
    "config_state_timestamp_seconds": Described(
        _G, "Since when config_last_reload_success, source_broken and source_unreachable are as they are."
    ),
    "source_broken": Described(_G, "1 where the manifests are wrong as written, and the last good ones are in force."),
    "source_unreachable": Described(_G, "1 where the manifests could not be had, and the last good ones are in force."),
    "hosts": Described(_G, "Hosts by condition; the worst of a host's items is the host's own.", ("condition",)),
    "suspended_hosts": Described(_G, "Hosts that are left alone because somebody said so."),
    "busy_hosts": Described(_G, "Hosts that a pass works on now."),
    "refusals": Described(_G, "What guards hold back now, until a person allows it or takes it back."),
    "passes_running": Described(_G, "Passes that have begun and not ended."),
    "passes_total": Described(_C, "Ended passes by outcome.", ("outcome",)),
    "pass_duration_seconds": Described(_H, "How long passes took, from begin to end."),
    "steps_total": Described(_C, "Ended steps by action and outcome.", ("action", "outcome")),
    "retries_total": Described(
        _C,
        "What was tried again after it failed, by class: T transient, T-resume a transfer that goes on where it stopped,"
        " U unknown how it ended, P permanent as written, S a person is needed, B-* the host has no room or version.",
        ("class",),
    ),
    "guard_tripped_total": Described(_C, "How often a guard began to hold something back.", ("guard",)),
    "bytes_received_total": Described(_C, "Bytes that hosts pulled from registries."),
    "bytes_uploaded_total": Described(_C, "Bytes that fleet sent to hosts."),
    "operation_age_seconds": Described(
        _G,
        "How long the oldest step at work has been going on, by action; of kind host: how long a pass has been busy with"
        " one host. 0 where there is none.",
        ("kind",),
    ),
    "event_loop_lag_tail_seconds": Described(
        _G, "What 99 of 100 delays of the event loop over the last minute kept below."
    ),
    "event_loop_lag_seconds": Described(_G, "The longest of the last ten delays of the event loop."),
    "log_lines_dropped_total": Described(_C, "Lines of the log that were dropped because nobody took them in time."),
    "credential_mtime_timestamp_seconds": Described(
        _G, "When a file of a secret last changed; host is empty for the daemon's own.", ("credential", "host")
    ),
    "process_resident_memory_bytes": Described(_G, "Memory that this process has in use."),
    "process_open_fds": Described(_G, "Files and sockets that this process has open."),
    "process_max_fds": Described(_G, "How many files and sockets this process may have open."),
    "process_cpu_seconds_total": Described(_C, "Processor time that this process has used."),
    "host_reachable": Described(
        _G, "1 where the last look at the host succeeded; suspended hosts are left out.", ("host",)
    ),
    "host_ready": Described(_G, "1 where everything on the host is as desired.", ("host",)),
    "host_last_seen_timestamp_seconds": Described(_G, "When the host last answered.", ("host",)),
    "host_last_converged_timestamp_seconds": Described(
        _G, "When everything on the host was last as desired.", ("host",)
    ),
    "items": Described(_G, "Declared names by condition.", ("host", "condition")),
    "host_models_in_memory": Described(_G, "Models that the host holds in memory.", ("host",)),
    "host_memory_used_bytes": Described(_G, "Accelerator memory that these models take.", ("host",)),
    "host_memory_capacity_bytes": Described(
        _G, "Accelerator memory for models, where the inventory says (capacity.vram).", ("host",)
    ),
    "deletes_total": Described(_C, "Models that fleet deleted.", ("host",)),
    "tls_not_after_timestamp_seconds": Described(_G, "When the host's certificate ends, where it is known.", ("host",)),
}
"""By name without the prefix, in the order in which they are written."""
