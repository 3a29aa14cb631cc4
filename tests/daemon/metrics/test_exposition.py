"""What `/metrics` tells, read back by the reader that prometheus_client comes with."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleet.codes import Code
from fleet.daemon.board import Board
from fleet.daemon.counters import Counters
from fleet.daemon.described import METRICS, PREFIX, Kind
from fleet.daemon.metrics import Values, exposed, exposition
from fleet.daemon.status import Condition, Outcome, SourceState
from fleet.names import HostName
from fleet.reconcile.progress import StepBegun, StepEnded, StepRetried
from fleet.reconcile.report import Outcome as StepOutcome
from fleet.reconcile.step import Action
from fleet.state.attempts import RetryClass
from tests.daemon.metrics.made import EARLIER, GOOD, NOW, a_fleet, a_host, a_pass, a_result, a_step, an_item, in_memory


class Scraped:
    """Samples by name and labels, without the label `fleet`."""

    def __init__(self, text: bytes) -> None:
        self.families = [*text_string_to_metric_families(text.decode())]
        self.samples = {
            (
                each.name.removeprefix(PREFIX),
                frozenset((k, v) for k, v in each.labels.items() if k != "fleet"),
            ): each.value
            for family in self.families
            for each in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset(labels.items())))


def scrape(values: Values, counters: Counters | None = None) -> Scraped:
    return Scraped(exposition(values, counters or Counters(), NOW))


def everything_known() -> tuple[Values, Counters]:
    """A fleet and counters of which every metric has something to tell."""
    fleet = a_fleet(next_pass=NOW, passes=(a_pass(),))
    host = a_host(
        "gpu-a", Condition.READY, an_item("qwen3:8b"), seen=NOW, converged=NOW, vram=48 << 30,
        memory=(in_memory("qwen3:8b", 6 << 30), in_memory("phi4:14b", 10 << 30)),
    )  # fmt: skip
    counters = Counters()
    counters.pass_begun()
    counters.pass_ended(Outcome.CHANGED, 4.1)
    counters.certificates_seen({HostName("gpu-a"): NOW})
    counters.credentials_seen({("token_file", ""): 1.5e9})
    return Values(fleet, (host,)), counters


def test_every_metric_of_the_table_is_written_with_its_kind_and_labels_and_nothing_else_is() -> None:
    found = Scraped(exposition(*everything_known(), NOW))

    told = {}
    for family in found.families:
        name = family.name.removeprefix(PREFIX) + ("_total" if family.type == "counter" else "")
        labels = {label for each in family.samples for label in each.labels} - {"fleet", "le"}
        assert family.documentation == METRICS[name].about
        told[name] = (family.type, labels)
    assert told == {name: (str(each.kind), set(each.labels)) for name, each in METRICS.items()}


def test_every_sample_names_its_fleet() -> None:
    text = exposition(*everything_known(), NOW).decode()

    assert all('{fleet="acme-prod"' in line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize(("name", "described"), METRICS.items(), ids=METRICS)
def test_names_keep_to_the_conventions(name: str, described: Any) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert name.endswith("_total") == (described.kind is Kind.COUNTER)
    if "When" in described.about:
        assert name.endswith("_timestamp_seconds")


def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    text = exposition(*everything_known(), NOW)

    ran = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=30)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_items_are_counted_by_condition_and_no_model_is_named() -> None:
    host = a_host(
        "gpu-a", Condition.STALLED, an_item("qwen3:8b"), an_item("phi4:14b"), an_item("big:70b", Condition.STALLED)
    )

    text = exposition(Values(a_fleet(), (host,)), Counters(), NOW)

    found = Scraped(text)
    assert found("items", host="gpu-a", condition="ready") == 2
    assert found("items", host="gpu-a", condition="stalled") == 1
    assert found("items", host="gpu-a", condition="blocked") == 0
    assert b"qwen3" not in text


def test_hosts_are_reachable_or_not_and_suspended_ones_neither() -> None:
    hosts = (
        a_host("gpu-a"),
        a_host("gpu-b", Condition.UNKNOWN, code=Code.NO_ANSWER),
        a_host("gpu-c", Condition.SUSPENDED),
        a_host("gpu-d", Condition.STALLED),
    )

    found = scrape(Values(a_fleet(), hosts))

    reachable = {name: found("host_reachable", host=name) for name in ("gpu-a", "gpu-b", "gpu-c", "gpu-d")}
    assert reachable == {"gpu-a": 1, "gpu-b": 0, "gpu-c": None, "gpu-d": 1}
    assert found("suspended_hosts") == 1
    assert found("hosts", condition="unknown") == 1
    assert found("host_ready", host="gpu-a") == 1
    assert found("host_ready", host="gpu-d") == 0


def test_what_is_not_known_is_left_out_and_not_zero() -> None:
    found = scrape(Values(a_fleet(last_success=None), (a_host("gpu-a"),)))

    for name in ("last_success_timestamp_seconds", "last_pass_timestamp_seconds", "next_pass_timestamp_seconds"):
        assert found(name) is None
    for name in ("host_last_seen_timestamp_seconds", "host_last_converged_timestamp_seconds"):
        assert found(name, host="gpu-a") is None


def test_moments_are_in_seconds_since_1970() -> None:
    found = scrape(Values(a_fleet(last_success=EARLIER), (a_host("gpu-a", converged=EARLIER),)))

    assert found("last_success_timestamp_seconds") == EARLIER.timestamp()
    assert found("host_last_converged_timestamp_seconds", host="gpu-a") == EARLIER.timestamp()
    assert found("reconcile_interval_seconds") == 300


@pytest.mark.parametrize(
    ("state", "broken", "unreachable", "success"),
    [
        (SourceState.GOOD, 0, 0, 1),
        (SourceState.BROKEN, 1, 0, 0),
        (SourceState.UNREACHABLE, 0, 1, 0),
        (SourceState.NONE, 0, 0, 0),
    ],
)
def test_the_source(state: SourceState, broken: int, unreachable: int, success: int) -> None:
    found = scrape(Values(a_fleet(source=replace(GOOD, state=state)), ()))

    told = (found("source_broken"), found("source_unreachable"), found("config_last_reload_success"))
    assert told == (broken, unreachable, success)


def test_a_hostile_revision_makes_one_short_label() -> None:
    hostile = '"} 1\nollama_fleet_items{host="x"} 9\n\x1b[31m\\' + "a" * 10_000
    text = exposition(Values(a_fleet(source=replace(GOOD, revision=hostile)), ()), Counters(), NOW)

    (line,) = [line for line in text.decode().splitlines() if line.startswith("ollama_fleet_config_info{")]
    assert len(line) < 250
    assert b"\x1b" not in text
    assert Scraped(text)("items", host="x") is None


def test_all_that_can_happen_is_zero_before_it_happens() -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    found = scrape(Values(a_fleet(), (a_host("gpu-a"),)))

    assert found("passes_total", outcome="failed") == 0
    assert found("steps_total", action="delete", outcome="done") == 0
    assert found("guard_tripped_total", guard="too-many-deletes") == 0
    assert found("retries_total", **{"class": "T-resume"}) == 0
    assert found("deletes_total", host="gpu-a") == 0
    assert found("operation_age_seconds", kind="pull") == 0


def test_steps_count_by_action_and_outcome_and_bytes_by_their_way() -> None:
    counters = Counters()
    counters.step_ended(a_result(Action.PULL, bytes_in=5_000))
    counters.step_ended(a_result(Action.PULL, StepOutcome.FAILED, bytes_in=70))
    counters.step_ended(a_result(Action.UPLOAD, bytes_in=300))
    counters.step_ended(a_result(Action.DELETE))
    counters.step_ended(a_result(Action.DELETE, StepOutcome.FAILED))

    found = scrape(Values(a_fleet(), (a_host("gpu-a"),)), counters)

    assert found("steps_total", action="pull", outcome="done") == 1
    assert found("steps_total", action="pull", outcome="failed") == 1
    assert found("bytes_received_total") == 5_070
    assert found("bytes_uploaded_total") == 300
    assert found("deletes_total", host="gpu-a") == 1


def test_what_was_counted_of_a_host_that_is_gone_makes_no_series() -> None:
    counters = Counters()
    counters.step_ended(a_result(Action.DELETE, host="gone"))

    assert scrape(Values(a_fleet(), (a_host("gpu-a"),)), counters)("deletes_total", host="gone") is None


def test_guards_and_retries() -> None:
    counters = Counters()
    counters.guard_tripped(Code.TOO_MANY_DELETES)
    counters.guard_tripped(Code.HOST_EMPTIED)
    counters.guard_tripped(Code.HOST_EMPTIED)
    counters.retried(RetryClass.B_DISK)

    found = scrape(
        Values(a_fleet(refusals=("the desired state shrank",)), (a_host("gpu-a", refusals=("a", "b")),)), counters
    )

    assert found("guard_tripped_total", guard="too-many-deletes") == 1
    assert found("guard_tripped_total", guard="host-emptied") == 2
    assert found("retries_total", **{"class": "B-disk"}) == 1
    assert found("refusals") == 3


@pytest.mark.fault("K17")
def test_passes_by_outcome_and_length() -> None:
    counters = Counters()
    for seconds in (0.05, 0.1, 7.0, 1e6):
        counters.pass_begun()
        counters.pass_ended(Outcome.UNCHANGED, seconds)
    counters.pass_begun()

    found = scrape(Values(a_fleet(), ()), counters)

    assert found("passes_total", outcome="unchanged") == 4
    assert found("passes_running") == 1
    assert found("pass_duration_seconds_bucket", le="0.1") == 2, "a bucket holds what is as long as its bound"
    assert found("pass_duration_seconds_bucket", le="5.0") == 2
    assert found("pass_duration_seconds_bucket", le="10.0") == 3
    assert found("pass_duration_seconds_bucket", le="+Inf") == 4
    assert found("pass_duration_seconds_count") == 4
    assert found("pass_duration_seconds_sum") == pytest.approx(1_000_007.15)


def test_the_age_of_the_oldest_step_at_work() -> None:
    moment = 100.0
    counters = Counters(lambda: moment)
    counters.heard(StepBegun(a_step(Action.PULL, "gpu-a")))
    moment = 130.0
    counters.heard(StepBegun(a_step(Action.PULL, "gpu-b")))
    counters.heard(StepRetried(a_step(Action.PULL, "gpu-b"), 2, "stalled"))
    moment = 140.0
    assert scrape(Values(a_fleet(), ()), counters)("operation_age_seconds", kind="pull") == 40

    counters.heard(StepEnded(a_result(Action.PULL, host="gpu-a")))
    found = scrape(Values(a_fleet(), ()), counters)
    assert found("operation_age_seconds", kind="pull") == 10
    assert found("retries_total", **{"class": "T-resume"}) == 1

    counters.host_left(HostName("gpu-b"))
    assert scrape(Values(a_fleet(), ()), counters)("operation_age_seconds", kind="pull") == 0


def test_the_host_that_is_busy_the_longest() -> None:
    hosts = (
        a_host("gpu-a", busy_since=NOW - timedelta(seconds=90)),
        a_host("gpu-b", busy_since=NOW - timedelta(seconds=5)),
        a_host("gpu-c"),
    )

    found = scrape(Values(a_fleet(), hosts))

    assert found("operation_age_seconds", kind="host") == 90
    assert found("busy_hosts") == 2


@pytest.mark.fault("T1")
def test_a_wall_clock_that_was_set_back_makes_no_negative_age() -> None:
    found = scrape(Values(a_fleet(), (a_host("gpu-a", busy_since=NOW + timedelta(hours=1)),)))

    assert found("operation_age_seconds", kind="host") == 0


def test_the_worst_of_the_last_lags_is_told_until_ten_better_ones_came() -> None:
    counters = Counters()
    counters.lag(2.5)
    for _ in range(9):
        counters.lag(0.01)
    assert scrape(Values(a_fleet(), ()), counters)("event_loop_lag_seconds") == 2.5

    counters.lag(0.01)
    assert scrape(Values(a_fleet(), ()), counters)("event_loop_lag_seconds") == 0.01


def test_memory_of_hosts_and_of_this_process() -> None:
    values, counters = everything_known()

    found = Scraped(exposition(values, counters, NOW))

    assert found("host_memory_used_bytes", host="gpu-a") == 16 << 30
    assert found("host_memory_capacity_bytes", host="gpu-a") == 48 << 30
    assert found("host_models_in_memory", host="gpu-a") == 2
    assert (found("process_resident_memory_bytes") or 0) > 1 << 20
    assert (found("process_open_fds") or 0) >= 3


async def _from_a_board() -> tuple[bytes, bytes]:
    board = Board(a_fleet())
    for name in ("gpu-b", "gpu-a"):
        board.put_host(a_host(name))
    counters = Counters()
    return exposition(board, counters, NOW), await exposed(board, counters, NOW)


def test_a_board_is_read_as_it_is_in_the_loop_and_in_a_thread() -> None:
    at_once, in_thread = map(Scraped, asyncio.run(_from_a_board()))

    varying = ("process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total")
    steady = {key: value for key, value in at_once.samples.items() if key[0] not in varying}
    assert steady == {key: value for key, value in in_thread.samples.items() if key[0] not in varying}
    assert at_once("host_ready", host="gpu-a") == 1
