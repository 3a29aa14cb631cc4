"""The page for everybody: without a script, by keyboard alone, on a phone, in the dark, read aloud, printed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.daemon.listener.boards import broken_source, fleet, host, item, many
from tests.daemon.listener.served import Served, served

Look = Callable[..., Page]
Keep = Callable[[Page, str], None]

PATHS = {"fleet": "/", "groups": "/?group=site", "models": "/models", "host": "/hosts/gpu-02", "no-host": "/hosts/none"}


@pytest.fixture(autouse=True)
def _with_a_fault(listener: Served) -> None:
    now = datetime.now(UTC)
    listener.put(fleet(now, source=broken_source(now), notes=("The clock of this machine was set back by 1h.",)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360], ids=["wide", "phone"])
@pytest.mark.parametrize("name", PATHS)
def test_nothing_serious_for_axe(listener: Served, look: Look, keep: Keep, name: str, width: int, dark: bool) -> None:
    page = look(listener.url + PATHS[name], width=width, dark=dark)
    expect(page.locator("#live")).to_have_text("up to date")
    keep(page, f"{name}-{'phone' if width < 500 else 'wide'}-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


def test_it_works_without_a_script(listener: Served, look: Look) -> None:
    page = look(listener.url, script=False)
    expect(page.get_by_role("heading", level=1)).to_have_text("1 of 6 hosts is as desired")
    expect(page.locator("meta[http-equiv=refresh]")).to_have_attribute("content", "30")
    page.get_by_label("Condition").select_option("stalled")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tr.host")).to_have_count(1)
    page.get_by_role("link", name="gpu-03").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("gpu-03 stalled")
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models over all hosts")


def test_it_works_by_keyboard_alone(listener: Served, look: Look) -> None:
    page = look(listener.url)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const at = document.activeElement, style = getComputedStyle(at);"
            " return [at.id, style.outlineStyle !== 'none' && style.outlineWidth !== '0px'] })()"
        )
        assert focused[0], "what can be reached has an id, by which it is found again after a change"
        assert focused[1], f"#{focused[0]} does not show that it has the focus"
        if focused[0] == "fold-gpu-03":
            break
    else:
        pytest.fail("the fold of ready models was not reached")
    page.keyboard.press("Enter")
    assert page.locator("#ready-gpu-03").evaluate("fold => fold.open")
    page.locator("#f-model").focus()
    page.keyboard.type("phi4:*")
    page.keyboard.press("Enter")
    expect(page.locator("tr.host")).to_have_count(2)
    expect(page).to_have_url(f"{listener.url}/?condition=&host=&model=phi4%3A*&group=")


def test_it_is_parted_for_those_who_listen(listener: Served, look: Look) -> None:
    page = look(listener.url)
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()
    expect(page.get_by_role("search")).to_be_visible()
    expect(page.get_by_role("table", name="Hosts with their models, problems first")).to_be_visible()
    status = page.get_by_role("status")
    expect(status).to_have_attribute("aria-live", "polite")
    expect(status).to_have_text(
        "1 of 6 hosts is as desired: 1 stalled, 1 blocked, 1 unknown, 1 progressing, 1 suspended; the manifests are broken"
    )
    # What moves all the time is not in it.
    before = status.text_content()
    listener.put(host("gpu-08", item("qwen3:8b")))
    expect(status).to_contain_text("2 of 7 hosts are as desired")
    assert before != status.text_content()


def test_a_table_stays_one_on_a_phone(listener: Served, look: Look) -> None:
    """Its rows are blocks there, which browsers take for no rows unless they are told."""
    page = look(listener.url, width=360)
    table = page.get_by_role("table", name="Hosts with their models, problems first")
    expect(table.get_by_role("row")).to_have_count(7)
    expect(table.get_by_role("columnheader")).to_have_count(4)


def test_no_condition_is_told_by_colour_alone(listener: Served, look: Look) -> None:
    page = look(listener.url)
    for condition in ("stalled", "blocked", "unknown", "progressing", "suspended", "ready"):
        badge = page.locator(f"tr.host .badge.c-{condition}").first
        expect(badge).to_have_text(condition)
        expect(badge.locator("use")).to_have_attribute("href", f"#mark-{condition}")


def test_a_large_text_breaks_nothing(listener: Served, look: Look) -> None:
    listener.put(host("h" * 200, item("a" * 70 + "/" + "b" * 80 + ":" + "c" * 70), labels={"x" * 80: "y" * 80}))
    page = look(listener.url, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_prints(listener: Served, look: Look, keep: Keep) -> None:
    page = look(listener.url, width=700)
    page.emulate_media(media="print")
    expect(page.get_by_role("search")).to_be_hidden()
    expect(page.locator("tr.host").first).to_be_visible()
    keep(page, "print")


def test_a_thousand_hosts(tmp_path: Path, look: Look, keep: Keep) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    now = datetime.now(UTC)
    with served(folder, many(1000, 40, now), now=lambda: datetime.now(UTC)) as listener:
        page = look(listener.url)
        expect(page.locator("tr.host")).to_have_count(50)
        expect(page.locator("#rows")).to_contain_text("1000 hosts, page 1 of 20")
        keep(page, "thousand")
        page.get_by_role("link", name="Next").click()
        expect(page.locator("#rows")).to_contain_text("page 2 of 20")
        page.get_by_label("Group by").select_option("site")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tr.group").first).to_contain_text("site: ")
        keep(page, "thousand-groups")
        page.get_by_role("link", name="Models", exact=True).click()
        expect(page.locator("tbody tr")).to_have_count(40)
        keep(page, "thousand-models")
