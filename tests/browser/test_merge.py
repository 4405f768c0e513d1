"""Merging two people and parting them again, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere
from tests.browser.test_axe import findings
from tinycrm_core.testing import day, person


@pytest.fixture
def two(demo: Place) -> Iterator[tuple[str, str]]:
    """Two records of one person."""
    one, other = (f"{name}{uuid4().hex[:10]}@example.com" for name in ("ann", "bob"))
    shop = demo.crm.project("shop")
    shop.identify(one, name="Ann Zed", status="free", params={"plan": "old"}, at=day(1))
    shop.identify(other, name="Annie Zed", status="paid", params={"plan": "new"}, at=day(2))
    demo.crm.project("waitlist").identify(other, at=day(3))
    yield one, other
    for each in (one, other):
        demo.crm.customers.delete(each)


@everywhere
@pytest.mark.parametrize("script", [True, False])
def test_merge_by_address_choose_and_undo(
    visit: Visit, demo: Place, two: tuple[str, str], script: bool
) -> None:
    one, other = two
    before = [person(demo.crm, each) for each in two]
    page = visit(f"/customers/{before[0].id}", script=script)
    page.get_by_role("link", name="Merge…").click()
    page.get_by_label("Email of the other person").fill(other)
    page.get_by_role("button", name="Show both").click()
    expect(page.locator("h1")).to_have_text(f"Merge {other} into {one}")
    expect(page.get_by_text("Three things differ.")).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^paid"))).to_be_checked()
    page.get_by_role("radio", name="old").check()
    page.get_by_role("radio", name=re.compile("^free")).check()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".outcome .badge.free").first).to_contain_text("shop free")
    expect(page.get_by_role("radio", name="old")).to_be_checked()
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.locator("[data-done]")).to_contain_text("Merged into one person.")
    expect(page.locator("h1")).to_contain_text("Annie Zed is free on shop and waitlist")
    expect(page.locator(".mails")).to_contain_text(f"{other} merged")
    page.get_by_role("button", name="Undo the merge").click()
    expect(page.locator("[data-done]")).to_contain_text("They are separate people again.")
    assert [person(demo.crm, each) for each in two] == before


def test_the_keyboard_is_enough(visit: Visit, demo: Place, two: tuple[str, str]) -> None:
    one, other = two
    ids = "&".join(f"id={person(demo.crm, each).id}" for each in two)
    page = visit(f"/merge?{ids}")
    page.get_by_role("radio", name=re.compile("^Ann Zed known")).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name=re.compile("^Annie Zed known"))).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="Ann Zed", exact=True)).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("[data-done]")).to_contain_text("Merged into one person.")
    merged = person(demo.crm, one)
    assert (merged.email, merged.name) == (other, "Ann Zed")


def test_a_page_that_is_out_of_date_is_shown_again(
    visit: Visit, demo: Place, two: tuple[str, str]
) -> None:
    one, _ = two
    ids = "&".join(f"id={person(demo.crm, each).id}" for each in two)
    page = visit(f"/merge?{ids}", script=False)
    demo.crm.project("shop").identify(one, status="churned")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was merged")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.locator("h1")).to_contain_text("churned on shop")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing(
    visit: Visit, demo: Place, two: tuple[str, str], width: int, theme: str
) -> None:
    ids = "&".join(f"id={person(demo.crm, each).id}" for each in two)
    page = visit(f"/merge?{ids}", width=width, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("button", name="Merge", exact=True)).to_be_in_viewport()
    assert findings(page) == []
    page.goto(page.url.partition("?")[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []
