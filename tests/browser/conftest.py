"""A real browser, driven by Playwright: Debian's `chromium`, or the one that `CHROMIUM` names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.screens import Look
from tests.daemon.listener.boards import a_few
from tests.daemon.listener.served import Served, served

SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    name = os.environ.get("CHROMIUM", "chromium")
    program = shutil.which(name)
    if program is None:
        pytest.fail(f"no browser: `{name}` is not there; install Debian's `chromium`, or name another by CHROMIUM")
    # Its sandbox needs rights that root in a container does not have, and refuses root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Served]:
    """Six hosts, of which each shows another thing, as of now."""
    with served(tmp_path, a_few(datetime.now(UTC)), now=lambda: datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; whatever a page complains of, its policy included, fails the test."""
    looks: list[Look] = []

    def opened(url: str, *, width: int = 1280, dark: bool = False, script: bool = True, motion: bool = False) -> Page:
        looked = Look(browser, width=width, dark=dark, script=script, motion=motion)
        looks.append(looked)
        looked.page.goto(url)
        return looked.page

    yield opened
    complaints = [complaint for looked in looks for complaint in looked.close()]
    assert complaints == []


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Keeps a picture of the whole page, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def kept(page: Page, name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return kept
