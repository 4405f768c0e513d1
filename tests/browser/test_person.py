"""The page of one person in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere
from tests.browser.test_axe import findings
from tinycrm_core.testing import person


@pytest.fixture
def email(demo: Place) -> Iterator[str]:
    """Somebody with a history, who is nobody else's in this server."""
    address = f"{uuid4().hex[:12]}@example.com"
    for number in range(3):
        demo.crm.project("shop").identify(address, name="Zoë Q", params={"orders": number})
    demo.crm.project("newsletter").identify(address, status="trial", params={"a": {"b": "c"}})
    yield address
    demo.crm.customers.delete(address)


def test_a_value_leads_to_everybody_who_has_it(visit: Visit, demo: Place, email: str) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}")
    expect(page.locator("h1")).to_contain_text("Zoë Q is on trial on newsletter, and free on shop")
    expect(page.locator("h1 .back")).to_be_visible()
    page.get_by_role("definition").filter(has_text="c").get_by_role("link", name="c").click()
    expect(page.locator(".who")).to_have_text(["Zoë Q"])


def test_history_by_product(visit: Visit, demo: Place, email: str) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}")
    lines = page.locator(".log tbody tr")
    expect(lines).to_have_count(4)
    page.locator("#history").get_by_role("link", name="newsletter").click()
    expect(lines).to_have_count(1)
    expect(page.locator("#history h2")).to_be_in_viewport()
    page.go_back()
    expect(lines).to_have_count(4)


def test_the_address_is_copied(visit: Visit, demo: Place, email: str) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=f"Copy {email}").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == email
    expect(page.locator(".mails svg use")).to_have_count(1)


@everywhere
@pytest.mark.parametrize("script", [True, False])
def test_status_name_and_email_are_changed(
    visit: Visit, demo: Place, email: str, script: bool
) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}", script=script)
    page.get_by_role("link", name="Change…").click()
    page.locator("[name=status-shop]").select_option("churned")
    page.get_by_role("button", name="Change status").click()
    expect(page.locator("[data-done]")).to_contain_text("The change was saved.")
    expect(page.locator("h1")).to_contain_text("churned on shop")
    page.get_by_role("link", name="Change…").click()
    page.get_by_label("Identifies the person").fill("julie")
    page.get_by_role("button", name="Change email").click()
    expect(page.get_by_role("alert")).to_be_visible()
    field = page.get_by_label("Identifies the person")
    expect(field).to_have_value("julie")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(f"new.{email}")
    page.keyboard.press("Enter")
    expect(page.locator(".mails")).to_contain_text(f"{email} until")
    expect(page.locator(".log tbody tr").first).to_contain_text("admin")


def test_export_is_a_file(visit: Visit, demo: Place, email: str, tmp_path: Path) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON").click()
    assert download.value.suggested_filename.endswith(".json")
    download.value.save_as(tmp_path / "person.json")
    assert json.loads((tmp_path / "person.json").read_text())["email"] == email


@everywhere
def test_deleting_by_keyboard_alone(visit: Visit, demo: Place, email: str) -> None:
    page = visit(f"/customers/{person(demo.crm, email).id}")
    page.get_by_role("link", name="Delete…").press("Enter")
    confirm = page.get_by_label(f"Type {email} to confirm")
    confirm.focus()
    page.keyboard.type("somebody@else.example")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
    expect(confirm).to_have_value("somebody@else.example")
    confirm.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-done]")).to_contain_text("refused from now on")
    assert demo.crm.customers.get(email) is None


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing(
    visit: Visit, demo: Place, email: str, width: int, theme: str
) -> None:
    demo.crm.project("shop").identify(
        email,
        name="W" * 120,
        params={"x" * 100: "y" * 500, "url": "https://example.com/" + "a" * 300},
    )
    here = f"/customers/{person(demo.crm, email).id}"
    page = visit(here, width=width, theme=theme)
    base = page.url.removesuffix(here)
    for ending in ("", "/change", "/delete"):
        page.goto(base + here + ending)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, ending
        assert findings(page) == []
