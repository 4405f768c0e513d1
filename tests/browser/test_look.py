"""What only a browser can tell of the layout: what moves, what sticks out, where a page begins."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit

SHIFTS = """() => new Promise(answer => {
    const found = [];
    new PerformanceObserver(list => found.push(...list.getEntries()))
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => answer(found.map(each => each.value).reduce((a, b) => a + b, 0)), 100);
})"""
UNSEEN = 0.01
"""A tenth of what Core Web Vitals call good: parts of a pixel, where a page arrives in pieces."""

WIDE = "/?cols=" + "".join(
    f"&cols={each}"
    for each in ("products", "seen", "created", "p.plan", "p.total_spend", "p.username", "p.id")
)


def shifted(page: Page) -> float:
    """How far what was there already has moved, as Core Web Vitals count it."""
    page.wait_for_load_state("networkidle")
    return float(page.evaluate(SHIFTS))


def sticks_out(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_moves_when_the_rest_of_a_page_arrives(visit: Visit, width: int) -> None:
    page = visit("/?status=paid", width=width)
    base = page.url.partition("?")[0].rstrip("/")
    expect(page.locator("#facets section").first).to_be_attached()
    moved = {"customers": shifted(page)}
    person = page.locator("tbody [name=id]").first.get_attribute("value")
    for path in ("/overlap", f"/customers/{person}", "/projects", "/import"):
        page.goto(base + path)
        if path == "/overlap":
            expect(page.locator(".asks li")).to_have_count(6)
        moved[path] = shifted(page)
    assert {path: each for path, each in moved.items() if each > UNSEEN} == {}


def test_a_shift_would_be_seen(visit: Visit) -> None:
    page = visit("/projects")
    shifted(page)
    page.evaluate("document.querySelector('main').style.paddingTop = '300px'")
    assert shifted(page) > UNSEEN


def test_the_next_page_begins_at_its_top(visit: Visit) -> None:
    page = visit("/")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="First page")).to_be_attached()
    expect(page.locator("#sentence")).to_be_focused()
    expect(page.locator("#sentence")).to_be_in_viewport()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_many_columns_scroll_in_their_table(visit: Visit, width: int) -> None:
    page = visit(WIDE, width=width)
    expect(page.locator(".people tbody tr")).to_have_count(50)
    assert not sticks_out(page)
    badges = page.locator(".people tbody .badges").first.bounding_box()
    assert badges
    assert badges["width"] > 200
    if width == 768:
        region = page.get_by_role("region", name="Table of customers")
        assert region.evaluate("each => each.scrollWidth > each.clientWidth")


def test_a_card_begins_with_the_name(visit: Visit) -> None:
    page = visit(WIDE, width=360)
    row = page.locator(".people tbody tr").first
    tops = []
    for part in (".who", ".badges", "[data-l]"):
        box = row.locator(part).first.bounding_box()
        assert box
        tops.append(box["y"])
    assert tops == sorted(tops)


def test_paper_shows_people_and_no_buttons(visit: Visit) -> None:
    page = visit("/?status=paid")
    page.emulate_media(media="print")
    expect(page.locator(".people .who").first).to_be_visible()
    for part in (".bar", ".band", ".strip", ".tools .btn"):
        expect(page.locator(part).first).to_be_hidden()


def test_colours_of_the_system_keep_shapes_and_selection(visit: Visit) -> None:
    page = visit("/?status=paid")
    page.emulate_media(forced_colors="active")
    page.locator("tbody [name=id]").first.check()
    outline = "each => getComputedStyle(each).outlineStyle"
    assert page.locator("tbody tr").first.evaluate(outline) == "solid"
    shape = "each => getComputedStyle(each, '::before').forcedColorAdjust"
    assert page.locator("tbody .badge").first.evaluate(shape) == "none"


def test_whoever_asks_for_less_motion_gets_none(visit: Visit) -> None:
    page = visit("/")
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("document.querySelector('main').setAttribute('aria-busy', 'true')")
    moving = "each => getComputedStyle(each).animationName"
    assert page.locator(".spine").evaluate(moving) == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert page.locator(".spine").evaluate(moving) == "pulse"
