"""Setting up in a real browser, with and without a script: from the token to the first person."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.watching import Watched
from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_server.owners.setup import Setup
from tinycrm_server.owners.tables import Place
from tinycrm_server.running import application
from tinycrm_server.settings import Settings

SHOTS = os.environ.get("TINYCRM_TEST_SHOTS")
PASSWORD = "correct horse battery"


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("script", "width", "theme"), [(True, 1280, "light"), (False, 360, "dark")]
)
def test_from_the_token_to_the_first_person(
    browser: Browser, tmp_path: Path, script: bool, width: int, theme: str
) -> None:
    """F12 as far as the server, D4: no violation, no fault, nothing sideways at 360 px."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        token = Setup(Place(crm.store)).new_token()
        with serving(crm, app=application(crm, Settings())) as live:
            watched = Watched(browser)
            page = watched.open(script=script, width=width, theme=theme)
            set_up(page, live, token, f"{'script' if script else 'plain'}-{theme}")
            if script:
                assert page.evaluate(
                    "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                )
            assert watched.close() == []


def set_up(page: Page, live: Live, token: str, name: str) -> None:
    page.goto(live.url)
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Email").fill("me@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Become the owner").click()
    expect(page.get_by_role("alert")).to_contain_text("console")
    shot(page, f"{name}-1-owner")
    page.get_by_label("Token").fill(token)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Become the owner").click()
    shot(page, f"{name}-2-product")
    page.get_by_label("Name", exact=True).fill("Newsletter")
    page.get_by_role("button", name="Add and make a key").click()
    key = page.locator(".fresh code").first.inner_text()
    assert re.fullmatch(r"tcrm_proj_\w+", key)
    shot(page, f"{name}-3-call")
    page.get_by_text("curl", exact=True).click()
    expect(page.locator("pre.curl")).to_be_visible()
    assert live.post("/v1/identify", {"email": "ann@example.com"}, key=key[:-1]).status == 401
    waiting = page.locator("#waiting")
    is_live = name.startswith("script")
    if not is_live:
        page.get_by_role("link", name="Look again").click()
    expect(waiting).to_contain_text("43 characters, not 42")
    shot(page, f"{name}-4-rejected")
    person = {"email": "ann@example.com", "name": "Ann Lee", "status": "paid"}
    assert live.post("/v1/identify", person, key=key).status == 200
    if not is_live:
        page.get_by_role("link", name="Look again").click()
    expect(waiting).to_contain_text("Ann Lee")
    shot(page, f"{name}-5-arrived")
    page.get_by_role("link", name="Open the table").first.click()
    expect(page.locator("#main")).to_contain_text("Ann Lee")
    page.goto(f"{live.url}/account")
    shot(page, f"{name}-6-account")
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_url(f"{live.url}/login")
    shot(page, f"{name}-7-login")
    page.get_by_label("Email").fill("me@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#main")).to_contain_text("Ann Lee")
