"""Pages of a browser that tell whatever goes wrong in them."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

PATIENCE = 60_000
"""Milliseconds to wait for what is to come, however busy the machine is."""

expect.set_options(timeout=PATIENCE)

WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation",
        event => window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""


def told(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text} ({message.location['url']})"


class Watched:
    """Opens pages in browsers of their own, and knows what went wrong in any of them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._opened: list[tuple[Page, bool]] = []
        self._faults: list[str] = []

    def open(
        self, *, width: int = 1280, theme: str = "light", script: bool = True, **options: Any
    ) -> Page:
        """An empty page of a new browser; `options` are those of its context."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=theme,  # type: ignore[arg-type]
            java_script_enabled=script,
            **options,
        )
        context.set_default_timeout(PATIENCE)
        if script:
            context.add_init_script(WATCH)
        page = context.new_page()
        note = self._faults.append
        page.on("console", lambda message: note(told(message)))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("requestfailed", self._failed)
        page.on("dialog", lambda dialog: note(f"dialog: {dialog.message}"))
        self._opened.append((page, script))
        return page

    def _failed(self, request: Request) -> None:
        # Not what the browser itself gave up to go to another page.
        if request.failure != "net::ERR_ABORTED":
            self._faults.append(f"failed: {request.url}: {request.failure}")

    def close(self) -> list[str]:
        """Close them all; the faults."""
        for page, script in self._opened:
            if script:
                self._faults += page.evaluate("window.violations")
            page.context.close()
        # Chromium reports the status of an answered page as if a resource were missing.
        return [each for each in self._faults if not re.search("status of (409|422)", each)]
