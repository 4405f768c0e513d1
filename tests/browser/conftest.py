"""The demo's people behind a real server, and a page that reports whatever goes wrong in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_server.sample import load_sample

WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation",
        event => window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with the sample portfolio."""
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    with TinyCRM(f"sqlite:///{path}") as crm:
        list(load_sample(crm))
        with serving(crm) as server:
            yield server


def failed(faults: list[str], request: Request) -> None:
    """Note what did not arrive, except what the browser itself gave up to go to another page."""
    if request.failure != "net::ERR_ABORTED":
        faults.append(f"failed: {request.url}: {request.failure}")


@pytest.fixture
def visit(browser: Browser, demo: Live) -> Iterator[Visit]:
    """Opens a path through a fresh link; afterwards nothing may have gone wrong in the page."""
    contexts = []
    faults: list[str] = []
    pages: list[Page] = []

    def visit(
        path: str = "/", *, width: int = 1280, theme: str = "light", script: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=theme,  # type: ignore[arg-type]
            java_script_enabled=script,
        )
        contexts.append(context)
        if script:
            context.add_init_script(WATCH)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: failed(faults, request))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(f"{demo.url}/enter?code={demo.entrance.new_code()}")
        if path != "/":
            page.goto(demo.url + path)
        if script:
            pages.append(page)
        return page

    yield visit
    for page in pages:
        assert page.evaluate("window.violations") == []
    for context in contexts:
        context.close()
    # Chromium reports the status of an answered page as if a resource were missing.
    assert [each for each in faults if not re.search("status of (409|422)", each)] == []
