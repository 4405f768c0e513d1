"""D1, D2: whatever people and products are called, it stays text on every page."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urljoin

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import Place

HTML = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>{{7*7}}'
LINK = "javascript:alert(4)//'\"-->"
HTMX = "<b hx-get='/x' hx-trigger='load' data-hx-get='/y' hx-on:load='alert(5)'>"
EVILS = (HTML, LINK, HTMX)


@pytest.fixture
def mallory(demo: Place) -> Iterator[str]:
    """Somebody who wrote all of it into every field there is; the id."""
    crm = demo.crm
    crm.projects.add("evil", name=HTML[:100])
    params = {each: other for each in EVILS for other in EVILS}
    params |= {"plan": LINK, "nested": {each: each for each in EVILS}, "list": [HTML], "n": 1}
    crm.project("evil").identify("first@evil.example", name=HTMX, params={"plan": HTML})
    found = crm.project("evil").identify("mallory@evil.example", name=HTML, params=params)
    crm.project("evil").identify("mallory@evil.example", name=LINK, params={"plan": HTML})
    crm.project("evil").identify("mallory@evil.example", name=HTML)
    crm.segments.add(HTML[:100], "email~evil")
    crm.segments.add(LINK, "email~mallory")
    yield str(found.customer_id)
    for name in (HTML[:100], LINK):
        crm.segments.delete(name)
    for address in ("mallory@evil.example", "first@evil.example"):
        crm.customers.delete(address)
    crm.projects.delete("evil")


@pytest.mark.parametrize("script", [True, False])
def test_d1_d2_nothing_runs_and_nothing_leads_away(
    visit: Visit, demo: Place, mallory: str, script: bool
) -> None:
    """The fixture fails on dialogs, policy violations, console errors and failed requests."""
    page = visit("/", script=script)
    base = page.url
    first = demo.crm.customers.get("first@evil.example")
    assert first
    query = f"q={quote('email~evil')}"
    column = quote(f'p."{HTML}"'.replace('""', '"'))
    paths = [
        f"/?{query}",
        f"/?{query}&cols=&cols=products&cols=p.plan@evil",
        f"/?{query}&sort=name",
        f"/?project=evil&p.plan={quote(HTML)}",
        f"/?p.plan@evil={quote(LINK)}",
        f"/?q={quote(HTML)}",
        f"/?cols={column}",
        f"/add?{query}",
        f"/add?query=&what={quote(HTML)}&how={quote(LINK)}&value={quote(HTMX)}&on={quote(HTML)}",
        f"/columns?{query}",
        f"/segment?{query}",
        f"/narrow?{query}",
        f"/narrow?{query}&by=p.plan",
        f"/sum?{query}&of=p.n",
        f"/status?{query}&on=evil&to=paid",
        f"/status?id={mallory}",
        f"/customers/{mallory}",
        f"/merge?id={mallory}&id={first.id}",
        "/overlap",
        "/projects",
        f"/?{query}&done={quote(HTML)}&n={quote(HTML)}&id={quote(LINK)}",
    ]
    for path in paths:
        page.goto(urljoin(base, path))
        if script:
            page.wait_for_load_state("networkidle")
        stray = "main img, main script, main svg[onload], b[hx-get], [data-hx-get]"
        expect(
            page.locator(f"{stray}, [onerror], [onload], a[href^='javascript' i]")
        ).to_have_count(0)
        assert "49" not in page.locator("h1").inner_text()
    page.goto(urljoin(base, f"/customers/{mallory}"))
    expect(page.locator("h1")).to_contain_text(HTML)


def test_d1_dialogs_and_swaps_show_text_too(visit: Visit, mallory: str) -> None:
    page = visit(f"/?q={quote('email~evil')}")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("f")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("[name=what] option")).not_to_have_count(0)
    options = dialog.locator("[name=what] option").all()
    assert any("onerror" in each.inner_text() for each in options)
    for option in options:
        dialog.locator("[name=what]").select_option(option.get_attribute("value"))
    page.keyboard.press("Escape")
    page.locator(".tabs a", has_text="javascript:").click()
    expect(page.locator("tbody .who")).to_have_count(1)
    page.locator("tbody .badge").first.click()
    expect(page.locator("tbody .who")).to_have_count(2)
    expect(page.locator("main img, main script")).to_have_count(0)
