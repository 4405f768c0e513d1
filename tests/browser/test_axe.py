"""axe finds nothing serious, on each page and in each state, in both themes and widths.

The rules are run with Deque's axe-core, which stands beside this file with its licence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit

AXE = Path(__file__).parent / "axe" / "axe.min.js"
STATES = {
    "everyone": "/",
    "filtered": "/?q=status@newsletter:free,trial%20project:linkbio%20seen%3E-90d",
    "chosen columns": "/?cols=&cols=created&cols=p.total_spend@shop",
    "all": "/?status=paid&all=1",
    "nobody": "/?q=zzz%20status:paid",
    "broken": "/?q=statsu:paid",
    "done": "/?done=status-set&n=3",
    "add": "/add?status=paid",
    "add refused": "/add?query=&what=seen&how=gte&value=soon",
    "columns": "/columns",
    "segment": "/segment?status=paid",
    "narrow": "/narrow?status=paid",
    "count": "/count?status=paid",
    "sum": "/sum?of=p.total_spend",
    "status": "/status?status=trial&on=shop&to=free",
    "keys": "/shortcuts",
    "overlap": "/overlap",
    "projects": "/projects",
    "import": "/import",
}


def findings(page: Page) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    # Through the debugger, which no content security policy stands in the way of.
    page.evaluate(AXE.read_text("utf-8"))
    found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(visit: Visit, theme: str, width: int) -> None:
    page = visit("/", theme=theme, width=width)
    base = page.url.rstrip("/")
    boxes = page.locator("tbody [name=id]")
    one, two = (boxes.nth(n).get_attribute("value") for n in range(2))
    people = {"person": f"/customers/{one}", "merge": f"/merge?id={one}&id={two}"}
    faults = {}
    for name, path in {**STATES, **people}.items():
        response = page.goto(base + path)
        assert response
        assert response.status in (200, 422), name
        page.wait_for_load_state("networkidle")
        faults[name] = findings(page)
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_dialogs_and_selections(visit: Visit, theme: str) -> None:
    page = visit("/", theme=theme)
    page.wait_for_load_state("networkidle")
    page.locator("tbody [name=id]").nth(1).check()
    page.keyboard.press("j")
    expect(page.get_by_role("region", name="Selected people")).to_be_visible()
    expect(page.locator("tr.at")).to_have_count(1)
    assert findings(page) == []
    for key, name in (("f", "Add a filter"), ("?", "On the keyboard")):
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        assert findings(page) == []
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("summary", has_text="Export").click()
    expect(page.locator("details[open] summary", has_text="Export")).to_be_visible()
    assert findings(page) == []


def test_axe_can_find_something(visit: Visit) -> None:
    page = visit("/")
    page.evaluate("document.querySelector('main').append(new Image())")
    assert any(each.startswith("image-alt") for each in findings(page))
