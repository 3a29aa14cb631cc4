"""What a person sees before, during and after a change, without touching anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, expect

from fleet.daemon.status import Condition, HostStatus, Moving
from tests.daemon.listener.boards import a_few, broken_source, fleet, host, item, passes
from tests.daemon.listener.served import Served, served

Look = Callable[..., Page]
Keep = Callable[[Page, str], None]


def _pulling(percent: int) -> HostStatus:
    moving = Moving("pull", "pulling", percent * 91_000_000, 9_100_000_000, 84_000_000.0)
    wanted = item("phi4:14b", Condition.PROGRESSING, "missing", message="missing", moving=moving)
    return host("gpu-01", item("qwen3:8b"), wanted, seen=datetime.now(UTC))


def test_before_during_and_after(listener: Served, look: Look, keep: Keep) -> None:
    page = look(listener.url)
    row = page.locator("#host-gpu-01")
    expect(row).to_contain_text("ready")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 of 6 hosts is as desired")
    keep(page, "before")

    listener.put(_pulling(20))
    expect(row).to_contain_text("progressing")
    moving = page.locator("#moving").get_by_role("row", name="gpu-01")
    expect(moving).to_contain_text("20%")
    expect(moving).to_contain_text("1.8 GB of 9.1 GB")
    expect(moving).to_contain_text("86s left")
    expect(page.get_by_role("heading", level=1)).to_have_text("0 of 6 hosts are as desired")
    listener.put(_pulling(60))
    expect(moving).to_contain_text("60%")
    keep(page, "during")

    listener.put(host("gpu-01", item("qwen3:8b"), item("phi4:14b"), seen=datetime.now(UTC)))
    expect(row).not_to_contain_text("progressing")
    expect(moving).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("1 of 6 hosts is as desired")
    keep(page, "after")


def test_a_broken_commit_is_seen_and_heals(listener: Served, look: Look) -> None:
    page = look(listener.url)
    expect(page.locator("#person")).not_to_contain_text("wrong as written")
    now = datetime.now(UTC)
    listener.put(fleet(now, source=broken_source(now)))
    expect(page.locator("#faults")).to_contain_text("fleet/models.yaml:14:5")
    expect(page.locator("#summary")).to_contain_text("the manifests are broken")
    newer = replace(passes(now)[0], number=419)
    listener.put(fleet(now, passes=(newer, *passes(now))))
    expect(page.locator("#faults")).to_have_count(0)
    expect(page.locator("#pass-419")).to_be_visible()


def test_hosts_come_and_go(listener: Served, look: Look) -> None:
    page = look(listener.url)
    listener.drop("gpu-06")
    expect(page.locator("#host-gpu-06")).to_have_count(0)
    listener.put(host("gpu-07", item("qwen3:8b")))
    expect(page.locator("#host-gpu-07")).to_be_visible()


def test_where_somebody_is_stays(listener: Served, look: Look) -> None:
    """Focus, what was typed, what was unfolded, and the place on the page."""
    page = look(listener.url)
    fold = page.locator("#ready-gpu-03")
    fold.locator("summary").click()
    page.locator("#f-host").fill("gpu-")
    page.locator("#to-gpu-02").focus()
    page.evaluate("scrollTo(0, 300)")
    # The host moves in the order, and its row is another one.
    listener.put(host("gpu-02", item("qwen3:8b"), item("phi4:14b", Condition.STALLED, "missing", message="no space")))
    expect(page.locator("#host-gpu-02")).to_contain_text("no space")
    expect(page.locator("#to-gpu-02")).to_be_focused()
    expect(page.locator("#f-host")).to_have_value("gpu-")
    assert fold.evaluate("fold => fold.open")
    assert page.evaluate("scrollY") > 0


def test_two_pages_are_both_kept_up(listener: Served, look: Look) -> None:
    one, other = look(listener.url), look(f"{listener.url}/hosts/gpu-01")
    listener.put(_pulling(35))
    expect(one.locator("#moving")).to_contain_text("35%")
    expect(other.locator("#items")).to_contain_text("35%")


def test_a_daemon_that_ends_is_told_and_found_again(tmp_path: Path, look: Look) -> None:
    now = datetime.now(UTC)
    with served(tmp_path, a_few(now), now=lambda: datetime.now(UTC)) as first:
        page = look(first.url)
        expect(page.locator("#live")).to_have_text("up to date")
    expect(page.locator("#live")).to_contain_text("not up to date: no answer since")
    board = a_few(now)
    board.put_fleet(fleet(now, name="acme, again"))
    with served(tmp_path, board, now=lambda: datetime.now(UTC), port=first.port):
        expect(page.locator("#live")).to_have_text("up to date", timeout=15_000)
        expect(page).to_have_title("acme, again: 1 of 6 hosts is as desired")


def test_a_page_of_text_that_wants_to_be_script(listener: Served, look: Look) -> None:
    page = look(listener.url)
    page.evaluate("window.harmed = false")
    evil = "<script>harmed = true</script><img src=x onerror='harmed = true'>"
    listener.put(host("gpu-01", item("qwen3:8b", Condition.STALLED, "missing", message=evil), message=evil))
    expect(page.locator("#host-gpu-01 .problems")).to_contain_text("<script>harmed = true</script>")
    assert page.evaluate("window.harmed") is False
