"""The page as its readers' browsers get it: what it tells, and what it must never let through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.daemon.status import Condition, Moving, SourceState, SourceStatus
from tests.daemon.listener.boards import NOW, a_few, broken_source, fleet, host, item, many
from tests.daemon.listener.served import Served, served

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e"


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, a_few()) as listener:
        yield listener


def _rows(text: str) -> list[str]:
    return re.findall(r'id="host-([^"]+)"', text)


def _plain(text: str) -> str:
    """What is read, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_problems_come_first(few: Served) -> None:
    assert _rows(few.ask("/").text) == ["gpu-03", "gpu-06", "gpu-04", "gpu-02", "gpu-05", "gpu-01"]


def test_it_tells_what_is_wrong_and_what_moves(few: Served) -> None:
    text = _plain(few.ask("/").text)
    assert "1 of 6 hosts is as desired" in text
    assert "phi4:14b stalled no space left on device (FLT-314)" in text
    assert "failed 3 times in a row; next try in 60m" in text
    assert "34% 3.1 GB of 9.1 GB" in text
    assert "84.0 MB/s 71s left" in text
    assert "fields differ parameters.temperature: 0.7 → 0.2 system" in text
    assert "A guard holds back gpu-03 : 3 of 4 models would be deleted" in text
    assert "75.0 GB of 80.0 GB" in text
    assert "waiting for a new fan, until 18:00" in text
    assert "416 10m ago 3m4s git, interval 4f1d2c3b5a changed , 6 done" in text


def test_a_broken_source_is_told_with_its_faults(few: Served) -> None:
    assert "wrong as written" not in few.ask("/").text
    few.put(fleet(source=broken_source()))
    text = _plain(few.ask("/").text)
    assert "The manifests are wrong as written What was good last, 4f1d2c3b5a , stays in force." in text
    assert "fleet/models.yaml:22:3: models.phi4: given twice, first at line 9" in text
    few.put(fleet(source=SourceStatus(SourceState.UNREACHABLE, "git", message="no route to host")))
    text = _plain(few.ask("/").text)
    assert "The manifests cannot be had None are in force" in text
    assert "no route to host" in text


def test_a_fleet_that_has_nothing_wrong_is_quiet(tmp_path: Path) -> None:
    board = a_few()
    for number in range(2, 7):
        board.put_host(host(f"gpu-0{number}", item("qwen3:8b")))
    with served(tmp_path, board) as listener:
        text = listener.ask("/").text
    assert "All 6 hosts are as desired" in text
    assert re.search(r'<section[^>]* id="person"[^>]* hidden>', text)
    assert re.search(r'<section[^>]* id="moving"[^>]* hidden>', text)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("?condition=stalled", ["gpu-03"]),
        ("?host=gpu-0[1]", []),
        ("?host=*-01", ["gpu-01"]),
        ("?model=phi4:*", ["gpu-03", "gpu-02"]),
        ("?group=site", ["gpu-03", "gpu-04", "gpu-05", "gpu-02", "gpu-01", "gpu-06"]),
        ("?page=99", ["gpu-03", "gpu-06", "gpu-04", "gpu-02", "gpu-05", "gpu-01"]),
    ],
)
def test_filters_and_groups(few: Served, query: str, rows: list[str]) -> None:
    assert _rows(few.ask(f"/{query}").text) == rows


def test_a_group_tells_of_all_its_hosts(few: Served) -> None:
    text = _plain(few.ask("/?group=site").text)
    assert "site: osaka 1&nbsp;stalled 1&nbsp;unknown 1&nbsp;suspended" in text
    assert "site: none 1&nbsp;blocked" in text


def test_fifty_hosts_a_page(tmp_path: Path) -> None:
    with served(tmp_path, many(120, 6)) as listener:
        first, third = listener.ask("/").text, listener.ask("/?page=3").text
        assert len(_rows(first)) == 50
        assert len(_rows(third)) == 20
        assert set(_rows(first)) & set(_rows(third)) == set()
        assert 'rel="next" href="/?page=2"' in first
        assert "page=" not in re.findall(r'id="page-first" href="([^"]+)"', third)[0]
        # A filter is kept from page to page.
        assert "/?host=gpu-*&amp;group=site&amp;page=2" in listener.ask("/?host=gpu-*&group=site").text.replace(
            "%2A", "*"
        )


def test_a_host_has_a_page_of_its_own(few: Served) -> None:
    text = _plain(few.ask("/hosts/gpu-03").text)
    assert "FLT-314" in text
    assert "Declare models `absent`, raise `capacity.disk`" in text
    memory = _plain(few.ask("/hosts/gpu-01").text)
    assert "qwen3:8b 6.0 GB 6.0 GB yes never" in memory
    assert "tinyllama:latest 2.0 GB 2.0 GB no in 3m" in memory
    missing = few.ask("/hosts/gpu-77")
    assert missing.status == 404
    assert "no such host" in missing.text


def test_models_over_all_hosts(few: Served) -> None:
    text = few.ask("/models").text
    assert _plain(text).index("phi4:14b") < _plain(text).index("qwen3:8b") < _plain(text).index("gemma3:12b")
    assert "1&nbsp;stalled 1&nbsp;progressing gpu-03 , gpu-02" in _plain(text)
    assert "phi4" not in few.ask("/models?model=qwen3").text


def test_nothing_foreign_becomes_markup(few: Served) -> None:
    moving = Moving(EVIL, EVIL)
    wrong = item("qwen3:8b", Condition.STALLED, "missing", message=EVIL, changes=(EVIL,), moving=moving)
    few.put(
        host("gpu-01", wrong, message=EVIL, version=EVIL, labels={EVIL: EVIL}, refusals=(EVIL,), url=EVIL),
        fleet(
            name=EVIL, source=SourceStatus(SourceState.BROKEN, EVIL, EVIL, NOW, EVIL), notes=(EVIL,), refusals=(EVIL,)
        ),
    )
    for path in (
        "/",
        "/hosts/gpu-01",
        "/models",
        "/?group=%3Cscript%3Ealert(1)&host=%22%3E%3Cscript%3E",
        "/hosts/%3Cscript%3E",
    ):
        text = few.ask(path).text
        assert "<script>" not in text
        assert "<img" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "&lt;script&gt;alert(1)" in few.ask("/").text


@pytest.mark.parametrize(
    "path", ["/", "/hosts/gpu-01", "/hosts/none", "/models", "/static/page.js", "/api/status", "/none", "/api/events"]
)
def test_every_answer_is_closed_in(few: Served, path: str) -> None:
    answer = few.ask(path, "HEAD")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'" in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_needs_nothing_that_the_policy_forbids(few: Served) -> None:
    for path in ("/", "/?group=site", "/hosts/gpu-02", "/models"):
        text = few.ask(path).text
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text)
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/page.js" defer>']
        # Nothing is asked of another machine.
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)


def test_every_id_is_there_once(few: Served) -> None:
    """Focus and folds are kept by id."""
    for path in ("/", "/?group=site", "/hosts/gpu-02", "/models"):
        ids = re.findall(r'\sid="([^"]+)"', few.ask(path).text)
        assert sorted(ids) == sorted(set(ids))


def test_ages_grow_though_nothing_changed(tmp_path: Path) -> None:
    at = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    with served(tmp_path, a_few(), now=lambda: at[0]) as listener:
        assert "20s ago" in listener.ask("/?host=gpu-01").text
        at[0] += timedelta(seconds=100)
        assert "2m ago" in listener.ask("/?host=gpu-01").text
        # A clock that is set back makes nothing older than it is.
        at[0] -= timedelta(hours=1)
        assert "0s ago" in listener.ask("/?host=gpu-01").text
