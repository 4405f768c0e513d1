"""The customers page in a real browser: it works, says nothing to the console, and fits."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere
from tests.browser.watching import Watched
from tests.server.live import Live

PAGES = {
    "everyone": "/",
    "filtered": "/?q=status@newsletter:free%20status@linkbio:paid&sort=-p.total_spend",
    "broken": "/?q=status@newsletter:free%20statsu@linkbio:paid",
    "nobody": "/?q=zzz%20status:paid",
}


def first_person(page: Page) -> str:
    link = page.locator("tbody .who").first.evaluate("link => link.href")
    assert isinstance(link, str)
    return link


@everywhere
def test_a_question_is_typed_and_answered(visit: Visit) -> None:
    page = visit()
    expect(page.locator("h1")).to_have_text("Everyone")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.fill("#q", "status@newsletter:free status@linkbio:paid")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(re.compile("free on newsletter.*paid on linkbio"))
    expect(page).to_have_title(re.compile("^People who are free on newsletter"))
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    for badges in page.locator(".badges").all():
        expect(badges.locator(".hue-leaf.free")).to_have_count(1)
        expect(badges.locator(".hue-violet.paid")).to_have_count(1)
    expect(page.locator(".chip")).to_have_count(2)
    page.locator(".chip a").first.click()
    expect(page.locator(".chip")).to_have_count(1)
    expect(page.locator("h1")).to_have_text("People who are paid on linkbio")


@everywhere
@pytest.mark.parametrize("script", [True, False])
def test_everything_is_reached_by_links(visit: Visit, script: bool) -> None:
    """Without JavaScript too."""
    page = visit(script=script)
    who = page.locator("tbody .who")
    first = who.all_inner_texts()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    expect(who).not_to_have_text(first)
    page.get_by_role("link", name="Previous").click()
    expect(who).to_have_text(first)
    page.get_by_role("link", name="Customer", exact=True).click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Customer")
    name = who.first.inner_text()
    who.first.click()
    expect(page.locator("h1")).to_contain_text(name)
    expect(page.locator(".col")).not_to_have_count(0)
    expect(page.locator(".log tbody tr")).not_to_have_count(0)
    page.get_by_role("link", name="Back to the customers").click()
    expect(page.get_by_role("link", name="Add filter")).to_be_visible()
    page.fill("#q", "statsu@shop:paid")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("At character 1:")
    page.get_by_role("link", name="Use status").click()
    expect(page.locator("h1")).to_have_text("People who are paid on shop")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_scrolls_sideways(visit: Visit, width: int, theme: str) -> None:
    page = visit(width=width, theme=theme)
    paths = {**PAGES, "person": first_person(page)}
    base = page.url
    for name, path in paths.items():
        page.goto(urljoin(base, path))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (theme == "light")


@everywhere
def test_the_theme_is_remembered_by_the_server(visit: Visit) -> None:
    page = visit(theme="light")
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    answer = page.reload()
    assert answer
    assert 'data-theme="dark"' in answer.text()


def test_the_link_works_once(server: Live, browser: Browser) -> None:
    code = server.entrance.new_code()
    watched = Watched(browser)
    page = watched.open()
    page.goto(f"{server.url}/enter?code={code}")
    expect(page.locator("tbody tr")).to_have_count(50)
    assert code not in page.url
    page.context.clear_cookies()
    page.goto(f"{server.url}/enter?code={code}")
    expect(page.locator("h1")).to_contain_text("This link was used before")
    assert [each for each in watched.close() if "status of 401" not in each] == []


def test_d1_hostile_people_run_nothing(visit: Visit, demo: Place) -> None:
    """D1: no dialog, no violation, no request: the fixture looks for them."""
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>'
    demo.crm.project("shop").identify(
        "mallory@example.com", name=evil, params={evil: evil, "plan": evil, "nested": {evil: 1}}
    )
    page = visit("/?q=mallory@example.com")
    expect(page.locator("tbody .who")).to_have_text(evil)
    page.locator("tbody .who").click()
    expect(page.locator("h1")).to_contain_text(evil)
    expect(page.locator("main img, main script, main svg[onload]")).to_have_count(0)
    demo.crm.customers.delete("mallory@example.com")
