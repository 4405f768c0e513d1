"""The whole customers page with JavaScript turned off."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import Place


@pytest.mark.parametrize("width", [360, 1280])
def test_asking_narrowing_and_columns_are_pages(visit: Visit, width: int) -> None:
    page = visit("/", script=False, width=width)
    page.get_by_role("link", name="Add filter").click()
    page.locator("[name=on]").select_option("linkbio")
    page.locator("[name=value]").fill("paid")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("h1")).to_have_text("People who are paid on linkbio")
    if width == 360:
        page.locator("summary", has_text="Narrow down").click()
    page.get_by_role("link", name="What they have in common").click()
    page.locator("#facets a", has_text="newsletter").click()
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_role("link", name="Columns").click()
    page.get_by_label("First known").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody td[data-l=known]")).to_have_count(50)
    expect(page.locator(".chip")).to_have_count(2)
    page.locator(".chip a").last.click()
    expect(page.locator(".chip")).to_have_count(1)


def test_picking_acts_and_counts(visit: Visit, demo: Place) -> None:
    page = visit("/?status@linkbio=paid", script=False)
    bar = page.get_by_role("region", name="Selected people")
    expect(bar).to_be_hidden()
    boxes = page.locator("tbody [name=id]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(bar).to_be_visible()
    bar.get_by_role("button", name="Merge").click()
    expect(page).to_have_url(re.compile(r"/merge\?id=[\w-]{36}&id=[\w-]{36}$"))
    page.go_back()
    boxes.nth(0).check()
    bar.get_by_role("button", name="Set status").click()
    expect(page.locator("h1")).to_contain_text("Set a status for")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".facts")).to_contain_text("Will change")
    page.goto(page.url.partition("/status")[0] + "/?status@linkbio=paid&all=1")
    number = demo.crm.customers.count("status@linkbio:paid")
    expect(page.locator(".inkbar")).to_contain_text(f"All {number:,} that match")


def test_the_theme_and_the_keys_are_forms(visit: Visit) -> None:
    page = visit("/?status@linkbio=paid", script=False)
    page.get_by_role("button", name="Theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page).to_have_url(re.compile(r"/\?status@linkbio=paid$"))
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="Theme of the system").click()
    expect(page.locator("html[data-theme]")).to_have_count(0)
