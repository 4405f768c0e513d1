"""Products and their keys in a real browser."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere
from tests.browser.test_axe import findings

SECRET = re.compile(r"tcrm_proj_\w{33}")


@everywhere
def test_a_product_its_key_and_its_end(visit: Visit, demo: Place) -> None:
    """Create, copy, rotate, revoke, delete; the key is seen once and never in an address."""
    slug = f"p{uuid4().hex[:8]}"
    page = visit("/projects")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="New product").click()
    page.get_by_label("Name", exact=True).fill(f"Product {slug}")
    page.get_by_label("Slug, used in filters and calls").fill(slug)
    page.get_by_text("rose").click()
    page.get_by_role("button", name="Create product and first key").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Product {slug} has 0 people")
    key = page.locator(".fresh code").first.inner_text()
    assert SECRET.fullmatch(key)
    assert key not in page.url
    assert findings(page) == []
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("[data-copy]")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("link", name="I have stored it").click()
    expect(page).to_have_url(re.compile(f"/projects/{slug}$"))
    expect(page.locator(".fresh")).to_have_count(0)
    assert key not in page.content()
    page.get_by_label("Where it will be used").fill("till")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("The older key goes on working")).to_be_visible()
    row = page.get_by_role("row", name="first key")
    row.get_by_text("Revoke…").click()
    revoke = row.get_by_role("button", name="Revoke it")
    expect(revoke).to_be_visible()
    assert findings(page) == []
    revoke.click()
    expect(page.locator("[data-done]")).to_contain_text("The key was revoked")
    expect(page.get_by_role("rowheader")).to_have_text(["till"])
    page.get_by_label(f"Type {slug} to confirm").fill(slug)
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("[data-done]")).to_contain_text("The product was deleted")
    assert slug not in [each.slug for each in demo.crm.projects.list()]


def test_without_a_script_too(visit: Visit, demo: Place) -> None:
    slug = f"p{uuid4().hex[:8]}"
    page = visit("/projects", script=False)
    page.get_by_label("Name", exact=True).fill(slug)
    page.get_by_role("button", name="Create product and first key").click()
    expect(page.locator(".fresh code").first).to_have_text(SECRET)
    expect(page.locator("[data-copy]")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("1 to 100")
    expect(page.get_by_label(re.compile("^Name"))).to_be_visible()
    demo.crm.projects.delete(slug)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing(visit: Visit, width: int, theme: str) -> None:
    page = visit("/projects", width=width, theme=theme)
    for path in ("/projects", "/projects/shop", "/projects/shop#delete"):
        page.goto(page.url.split("/projects")[0] + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert findings(page) == []
    expect(page.get_by_role("button", name="Delete for good")).to_be_in_viewport()
