"""Metrics of passes that run by themselves: the file is whole, and remembers what the process cannot."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.daemon.metrics import Values, write_textfile
from fleet.daemon.one_shot import outcome_of, write_one_shot
from fleet.daemon.status import Condition, Outcome
from fleet.daemon.textfile import check_place
from fleet.errors import ExitCode, FleetError
from fleet.reconcile.report import Report, StepResult
from fleet.reconcile.step import Action, Plan, Refusal
from tests.daemon.metrics.made import EARLIER, NOW, a_fleet, a_host, a_result
from tests.daemon.metrics.test_exposition import Scraped

NOTHING = Plan("acme-prod")


def report(*results: StepResult, refused: tuple[Refusal, ...] = (), seconds: float = 2.0) -> Report:
    return Report(Plan("acme-prod", refused=refused), NOTHING, results, seconds=seconds)


def written(path: Path, done: Report, values: Values) -> Scraped:
    write_one_shot(path, done, values, NOW)
    return Scraped(path.read_bytes())


def test_the_file_is_whole_readable_by_the_collector_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.prom"
    write_textfile(path, b"old")
    umask = os.umask(0o077)
    try:
        write_textfile(path, b"new")
    finally:
        os.umask(umask)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["fleet.prom"]


def test_a_reader_keeps_the_whole_old_file_while_a_new_one_comes(tmp_path: Path) -> None:
    path = tmp_path / "fleet.prom"
    write_textfile(path, b"old " * 1000)
    with open(path, "rb") as reader:
        first = reader.read(4)
        write_textfile(path, b"new")
        assert first + reader.read() == b"old " * 1000


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    path = tmp_path / "fleet.prom"
    path.symlink_to(target)

    write_textfile(path, b"new")

    assert target.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("place", ["missing/fleet.prom", "."])
def test_a_place_that_cannot_be_written_is_named_before_and_after(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    with pytest.raises(FleetError) as before:
        check_place(path)
    with pytest.raises(FleetError) as after:
        write_textfile(path, b"new")

    for caught in (before, after):
        assert caught.value.code is Code.FILE_KEPT
        assert str(path) in str(caught.value)
    assert [*tmp_path.iterdir()] == []


def test_counts_go_on_from_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.prom"
    values = Values(a_fleet(), (a_host("gpu-a"),))
    refused = (Refusal(Code.TOO_MANY_DELETES, "too many", "say so"),)
    written(path, report(a_result(Action.PULL, bytes_in=100), a_result(Action.DELETE)), values)

    found = written(path, report(a_result(Action.PULL, bytes_in=11), refused=refused, seconds=0.5), values)

    assert found("steps_total", action="pull", outcome="done") == 2
    assert found("bytes_received_total") == 111
    assert found("deletes_total", host="gpu-a") == 1
    assert found("guard_tripped_total", guard="too-many-deletes") == 1
    assert found("passes_total", outcome="changed") == 1
    assert found("passes_total", outcome="failed") == 1
    assert found("pass_duration_seconds_sum") == 2.5
    lengths = {end: found("pass_duration_seconds_bucket", le=end) for end in ("0.25", "0.5", "1.0", "2.5", "+Inf")}
    assert lengths == {"0.25": 0, "0.5": 1, "1.0": 1, "2.5": 2, "+Inf": 2}


def test_a_pass_without_success_leaves_the_moments_of_the_last_ones(tmp_path: Path) -> None:
    """Else the alert on a success that lies too far back would end with the first failure."""
    path = tmp_path / "fleet.prom"
    hosts = (a_host("gpu-a", converged=EARLIER), a_host("gpu-b", converged=EARLIER))
    written(path, report(), Values(a_fleet(last_success=EARLIER), hosts))

    later = NOW + timedelta(hours=1)
    hosts = (a_host("gpu-a", Condition.UNKNOWN), a_host("gpu-b", converged=later))
    found = written(path, report(), Values(a_fleet(last_success=None), hosts))

    assert found("last_success_timestamp_seconds") == EARLIER.timestamp()
    assert found("host_last_converged_timestamp_seconds", host="gpu-a") == EARLIER.timestamp()
    assert found("host_last_converged_timestamp_seconds", host="gpu-b") == later.timestamp()


def test_the_file_of_another_fleet_is_not_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "fleet.prom"
    written(path, report(a_result(Action.PULL)), Values(a_fleet(name="other"), ()))

    assert written(path, report(), Values(a_fleet(), ()))("steps_total", action="pull", outcome="done") == 0


@pytest.mark.parametrize(
    "former",
    [
        b"\xff\xfe\x00",
        b"{{{",
        b'ollama_fleet_bytes_received_total{fleet="acme-prod"} -5\n',
        b'ollama_fleet_bytes_received_total{fleet="acme-prod"} NaN\n',
        b'ollama_fleet_bytes_received_total{fleet="acme-prod"} +Inf\n',
        b'ollama_fleet_last_success_timestamp_seconds{fleet="acme-prod"} 1e300\n',
        b'ollama_fleet_pass_duration_seconds_sum{fleet="acme-prod"} NaN\n',
        b'ollama_fleet_pass_duration_seconds_bucket{fleet="acme-prod",le="0.1"} 9\n',
    ],
)
def test_a_damaged_former_file_is_no_reason_to_fail(tmp_path: Path, former: bytes) -> None:
    path = tmp_path / "fleet.prom"
    path.write_bytes(former)

    found = written(path, report(a_result(Action.PULL, bytes_in=7)), Values(a_fleet(last_success=None), ()))

    assert found("bytes_received_total") == 7
    assert found("last_success_timestamp_seconds") is None
    assert found("pass_duration_seconds_sum") == 2.0


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (report(), Outcome.UNCHANGED),
        (report(a_result(Action.PULL)), Outcome.CHANGED),
        (report(a_result(Action.PULL), refused=(Refusal(Code.FROZEN, "", ""),)), Outcome.FAILED),
        (Report(NOTHING, NOTHING, interrupted=ExitCode.TERMINATED), Outcome.CUT_SHORT),
    ],
)
def test_how_a_pass_ended(ended: Report, outcome: Outcome) -> None:
    assert outcome_of(ended) is outcome
