"""The same in Chromium, by clicking: sign up in each product, then look at the one row."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.examples.conftest import PATIENCE, Portfolio
from tests.examples.test_http import ADA, LOVELACE, PASSWORD, eventually

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE * 1000)
    yield context.new_page()
    context.close()


def test_the_same_person_is_one_row_in_the_admin(portfolio: Portfolio, page: Page) -> None:
    urls = portfolio.urls
    page.goto(urls["newsletter"])
    page.get_by_role("link", name="Sign up").click()
    page.fill("input[name=email]", ADA)
    page.fill("input[name=password1]", PASSWORD)
    page.get_by_role("button", name="Sign Up").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Write to me weekly").click()

    page.goto(urls["shop"])
    page.get_by_role("link", name="Sign up").click()
    page.fill("input[name=email]", ADA)
    page.fill("input[name=password]", PASSWORD)
    page.fill("input[name=password_confirm]", PASSWORD)
    page.locator("input[type=submit]").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Buy the pro plan").click()

    page.goto(urls["links"])
    page.fill("#register input[name=email]", ADA)
    page.fill("#register input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#who")).to_have_text(f"You are {ADA}.")
    crm = portfolio.crm
    eventually(lambda: len(crm.projects.list()) == 3)  # each comes with its first event
    eventually(lambda: crm.customers.count("project:newsletter project:links status@shop:paid"))
    page.fill("#change input[name=email]", LOVELACE)
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#who")).to_have_text(f"You are {LOVELACE}.")
    eventually(lambda: crm.customers.count(f"email:{LOVELACE}"))

    page.goto(urls["admin"])
    expect(page.locator("tbody tr")).to_have_count(1)
    row = page.locator("tbody tr")
    expect(row).to_contain_text(LOVELACE)
    for product in ("newsletter", "shop", "links"):
        expect(row).to_contain_text(re.compile(product))
    row.locator("a.who").click()
    expect(page.locator("h1")).to_contain_text(re.compile("lovelace"))
    expect(page.locator("body")).to_contain_text(ADA)
