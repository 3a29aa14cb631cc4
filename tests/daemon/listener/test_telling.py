"""What programs read: health, status, history, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.daemon.board import Board
from fleet.daemon.status import Condition, SourceState, SourceStatus
from tests.daemon.listener.boards import NOW, a_few, ago, fleet, host, item, passes
from tests.daemon.listener.served import Served, served


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, a_few()) as listener:
        yield listener


def test_status_is_the_whole_board(few: Served) -> None:
    status = few.ask("/api/status").json()
    assert status["type"] == "status"
    assert status["fleet"]["source"]["revision"].startswith("4f1d2c3b5a")
    assert [each["name"] for each in status["hosts"]] == [f"gpu-0{n}" for n in range(1, 7)]
    assert status["counts"]["hosts"] == {
        **dict.fromkeys(("blocked", "progressing", "ready", "stalled", "suspended", "unknown"), 1)
    }
    stalled = status["hosts"][2]["items"][0]
    assert stalled == {
        "model": "phi4:14b",
        "condition": "stalled",
        "reason": "missing",
        "since": "2026-03-01T11:55:00Z",
        "message": "no space left on device",
        "code": "FLT-314",
        "next_try": "2026-03-01T13:00:00Z",
        "tries": 3,
    }
    moving = status["hosts"][1]["items"][1]["moving"]
    assert moving == {
        "action": "pull",
        "words": "pulling 2bada8a74506",
        "completed": 3_100_000_000,
        "total": 9_100_000_000,
        "rate": 84_000_000,
    }
    ready = status["hosts"][0]["items"][2]
    assert ready["digest"].startswith("sha256:")
    assert ready["memory"] == "warm"
    assert ready["size"] == 4_700_000_000


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?host=gpu-02", ["gpu-02"]),
        ("?host=GPU-0*&condition=stalled", ["gpu-03"]),
        ("?condition=ready", ["gpu-01", "gpu-02", "gpu-03", "gpu-05", "gpu-06"]),
        ("?model=acme/assistant", ["gpu-01", "gpu-02"]),
        ("?model=phi4:*&condition=progressing", ["gpu-02"]),
        ("?host=nothing", []),
    ],
)
def test_status_is_filtered(few: Served, query: str, names: list[str]) -> None:
    hosts = few.ask(f"/api/status{query}").json()["hosts"]
    assert [each["name"] for each in hosts] == names


def test_with_a_condition_only_its_items_are_told(few: Served) -> None:
    (told,) = few.ask("/api/status?host=gpu-03&condition=stalled").json()["hosts"]
    assert [each["model"] for each in told["items"]] == ["phi4:14b"]
    assert told["counts"] == {"ready": 1, "stalled": 1}


def test_status_without_items(few: Served) -> None:
    hosts = few.ask("/api/status?items=no").json()["hosts"]
    assert len(hosts) == 6
    assert not any("items" in each for each in hosts)


def test_what_changes_is_told_the_next_time(few: Served) -> None:
    few.ask("/api/status")
    few.put(host("gpu-03", item("qwen3:8b"), item("phi4:14b")))
    few.drop("gpu-06")
    status = few.ask("/api/status").json()
    assert [each["condition"] for each in status["hosts"]] == [
        *("ready", "progressing", "ready", "unknown", "suspended"),
    ]
    assert status["counts"]["items"] == {"ready": 7, "progressing": 2, "unknown": 2, "suspended": 1}


def test_when_a_host_was_seen_last_is_never_stale(few: Served) -> None:
    few.ask("/api/status")
    few.put(host("gpu-09", item("qwen3:8b"), seen=ago(30)))
    few.ask("/api/status")
    few.put(host("gpu-09", item("qwen3:8b"), seen=ago(1)))
    (told,) = few.ask("/api/status?host=gpu-09").json()["hosts"]
    assert told["seen"] == "2026-03-01T11:59:59Z"
    assert "1s ago" in few.ask("/?host=gpu-09").text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/status?condition=fine", 400, "no-such-condition"),
        (f"/api/status?host={'x' * 300}", 400, "too-long"),
        ("/api/history?limit=many", 400, "no-number"),
        ("/api/history?before=-1", 400, "no-number"),
        ("/api/history/77", 404, "no-such-pass"),
        ("/api/history/x", 404, "not-found"),
        ("/static/../page.py", 404, "not-found"),
        ("/static/secrets", 404, "not-found"),
        ("/readyz/hosts/gpu-99", 404, "no-such-host"),
        ("/readyz/hosts/%3Cb%3E", 404, "no-such-host"),
    ],
)
def test_errors_are_documents(few: Served, path: str, status: int, code: str) -> None:
    answer = few.ask(path)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "hint"}


def test_history_is_paged(few: Served) -> None:
    few.actions.passes = passes()
    few.actions.documents[416] = {"type": "pass", "number": 416, "plan": []}
    assert [each["number"] for each in few.ask("/api/history?limit=2").json()["passes"]] == [418, 417]
    told = few.ask("/api/history?before=417&limit=1").json()["passes"]
    assert told == [
        {
            "number": 416,
            "begun": "2026-03-01T11:49:40Z",
            "seconds": 184.0,
            "ended": "2026-03-01T11:52:44Z",
            "triggers": ["git", "interval"],
            "revision": "4f1d2c3b5a69788796a5b4c3d2e1f00112233445",
            "outcome": "changed",
            "done": 6,
            "failed": 0,
        }
    ]
    assert few.ask("/api/history/416").json()["plan"] == []


def test_metrics_are_handed_on(few: Served) -> None:
    answer = few.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == "# TYPE up gauge\nup 1\n"


def test_a_host_is_ready_for_a_load_balancer_only_as_desired(few: Served) -> None:
    assert few.ask("/readyz/hosts/gpu-01").status == 200
    assert few.ask("/readyz/hosts/gpu-02").status == 503
    few.put(host("gpu-02", item("qwen3:8b")))
    assert few.ask("/readyz/hosts/gpu-02").status == 200


def test_alive_before_ready(tmp_path: Path) -> None:
    none = SourceStatus(SourceState.NONE, "/srv/fleet")
    empty: dict[str, Any] = {"passes": (), "last_success": None}
    with served(tmp_path, Board(fleet(source=none, **empty))) as listener:
        assert listener.ask("/healthz").status == 200
        assert listener.ask("/readyz").json()["message"] == "the manifests were not read so far"
        wrong = SourceStatus(SourceState.BROKEN, "/srv/fleet", message="a.yaml:1:1: no version")
        listener.put(fleet(source=wrong, **empty))
        answer = listener.ask("/readyz")
        assert answer.status == 503
        assert "a.yaml:1:1: no version" in answer.json()["message"]
        listener.put(fleet(**empty))
        assert listener.ask("/readyz").json()["message"] == "no host was looked at so far"
        listener.put(host("a", item("qwen3:8b", Condition.PROGRESSING, "missing"), seen=NOW))
        assert listener.ask("/readyz").status == 200
        # Once ready, a broken commit does not take it back: the last good manifests are in force.
        listener.put(fleet(source=SourceStatus(SourceState.BROKEN, "/srv/fleet", "4f1d", message="wrong")))
        assert listener.ask("/readyz").status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/status", "/api/events", "/static/page.js"])
def test_head_is_the_head_alone(few: Served, path: str) -> None:
    answer = few.ask(path, "HEAD")
    assert answer.status == 200
    assert answer.body == b""


def test_moments_that_servers_make_up_break_nothing(few: Served) -> None:
    far = NOW.replace(year=9999) + timedelta(days=300)
    few.put(host("gpu-01", item("qwen3:8b", next_try=far), seen=NOW.replace(year=1)))
    assert few.ask("/api/status").status == 200
    assert few.ask("/").status == 200
    assert few.ask("/hosts/gpu-01").status == 200
