"""One view of the page: of a size, in the light or in the dark, with or without a script."""

from __future__ import annotations

from playwright.sync_api import Browser, ConsoleMessage, Page


class Look:
    """A browser's profile of its own, and what it complained of."""

    def __init__(self, browser: Browser, *, width: int, dark: bool, script: bool, motion: bool) -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="no-preference" if motion else "reduce",
        )
        self._context.set_default_timeout(10_000)
        self._complaints: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self._complaints.append(str(error)))

    def close(self) -> list[str]:
        """What the page complained of."""
        self._context.close()
        return self._complaints

    def _told(self, message: ConsoleMessage) -> None:
        # That a connection failed, or a page was not there, is the browser's own word and what some tests are about.
        expected = "net::ERR" in message.text or message.location["url"] == self.page.url
        if message.type in {"error", "warning"} and not expected:
            self._complaints.append(message.text)
