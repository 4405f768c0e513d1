"""Import in a real browser: rejects, undo, without JavaScript, on a phone, in the dark."""

from __future__ import annotations

from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere

ROWS = b"E-Mail;Name;Status\nzoe.new@example.net;Zoe;paid\nyan@example.net;Yan;vip\nnobody;No;\n"


def bring(page: Page, slug: str) -> None:
    page.set_input_files(
        "[name=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": ROWS}
    )
    page.fill("[name=new]", slug)
    page.get_by_role("button", name="Look at it").click()


@everywhere
@pytest.mark.parametrize(
    ("script", "width", "theme"), [(True, 360, "dark"), (False, 1280, "light")]
)
def test_a_file_goes_in_with_rejects_and_is_undone(
    visit: Visit, demo: Place, script: bool, width: int, theme: str
) -> None:
    page = visit("/import", script=script, width=width, theme=theme)
    bring(page, "browser-shop")
    expect(page.locator("h1")).to_contain_text("1 new person")
    expect(page.locator("h1")).to_contain_text("2 rejected")
    expect(page.locator(".tbl .bad")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Rejects as CSV").click()
    assert download.value.suggested_filename == "people-rejects.csv"
    page.get_by_label("vip becomes").select_option("paid")
    page.get_by_role("button", name="Read again").click()
    expect(page.locator("h1")).to_contain_text("2 new people")
    if script:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("h1")).to_contain_text("2 rows from people.csv are in browser-shop")
    found = demo.crm.customers.get("yan@example.net")
    assert found is not None
    page.get_by_role("button", name="Undo this import").click()
    expect(page.locator("h1")).to_contain_text("2 removed")
    assert demo.crm.customers.get("yan@example.net") is None


def test_a_pasted_nothing_is_said_beside_the_field(visit: Visit) -> None:
    page = visit("/import")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a file")


def test_a_file_of_some_size_is_waited_for(visit: Visit) -> None:
    """The page takes the place of the waiting one by itself."""
    sample = (files("tinycrm_server") / "demo" / "linkbio_supabase_auth_users.csv").read_bytes()
    head, _, rest = sample.partition(b"\n")
    page = visit("/import")
    big = head + b"\n" + rest * 8
    page.set_input_files("[name=file]", {"name": "big.csv", "mimeType": "text/csv", "buffer": big})
    page.get_by_label("Product that these people are on").select_option("linkbio")
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("h1")).to_contain_text("14,400 rows", timeout=60_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1")).to_contain_text("Bring people in")


def test_a_change_reads_the_file_again(visit: Visit) -> None:
    page = visit("/import")
    bring(page, "browser-shop")
    expect(page.locator("h1")).to_contain_text("1 new person")
    page.get_by_label("vip becomes").select_option("paid")
    expect(page.locator("h1")).to_contain_text("2 new people")
    page.get_by_label("Status goes to").select_option("email")
    expect(page.locator("#fault-column-2")).to_contain_text("E-Mail is email already")
    page.get_by_label("Status goes to").select_option("ignore")
    expect(page.locator("h1")).to_contain_text("1 rejected")
