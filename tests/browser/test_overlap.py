"""Overlap in a real browser: numbers and sentences that lead to names."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit


@pytest.mark.parametrize("script", [True, False])
def test_a_number_opens_the_names_behind_it(visit: Visit, script: bool) -> None:
    page = visit("/overlap", script=script)
    expect(page.locator("h1")).to_contain_text("people are on more than one of your")
    cell = page.get_by_role("link", name="on analytics and shop")
    number = cell.inner_text().split()[0]
    cell.click()
    expect(page.locator("h1")).to_contain_text("analytics")
    found = re.compile(rf"(?<![\d,]){number} (people|person)\b")
    expect(page.locator("main .head")).to_contain_text(found)
    page.go_back()
    page.get_by_role("link", name="Paid on both").click()
    expect(page.locator("h1")).to_contain_text("are paid on more than one")
    expect(page.get_by_role("link", name="Paid on both")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("script", [True, False])
def test_a_sentence_with_other_choices_opens_its_names(visit: Visit, script: bool) -> None:
    page = visit("/overlap", script=script)
    if not script:
        page.get_by_role("link", name="Show the questions").click()
    asked = page.locator(".asks li", has_text="Churned on")
    asked.get_by_label("churned on").select_option("waitlist")
    asked.get_by_label("paid on").select_option("shop")
    asked.get_by_label("paid on").press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(re.compile("churned on waitlist.*paid on shop"))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_the_matrix_scrolls_by_itself(visit: Visit, width: int, theme: str) -> None:
    page = visit("/overlap", width=width, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 360:
        region = page.get_by_role("region", name="Matrix of products")
        region.focus()
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        expect(page.get_by_role("columnheader", name="only here")).to_be_in_viewport()
        expect(page.get_by_role("rowheader", name="shop", exact=True)).to_be_in_viewport()
