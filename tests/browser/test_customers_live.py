"""Living in the customers page: clicks, keys and typing swap it without leaving it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, everywhere

PAYING = "/?q=status@linkbio:paid"


def settled(page: Page) -> Page:
    """The page once nothing is on its way."""
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    return page


def mark(page: Page) -> None:
    """Leave something in the window that a reload would lose."""
    page.evaluate("window.stayed = true")


def stayed(page: Page) -> bool:
    return bool(page.evaluate("window.stayed === true"))


def rows(page: Page) -> list[str]:
    return page.locator("tbody .who").all_inner_texts()


# Asking ------------------------------------------------------------------------------------------


@everywhere
def test_every_badge_and_value_asks_and_back_answers_again(visit: Visit) -> None:
    page = settled(visit("/"))
    mark(page)
    first = rows(page)
    page.locator("tbody .badge.paid").first.click()
    expect(page.locator("h1")).to_contain_text("paid on")
    expect(page.locator(".chip")).to_have_count(1)
    page.locator("tbody td.one a").first.click()
    expect(page.locator("h1")).to_contain_text("with p.plan")
    page.locator("th[scope=col] a", has_text="Customer").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_count(1)
    assert stayed(page)
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.locator("h1")).to_have_text("Everyone")
    expect(page.locator("tbody .who")).to_have_text(first)
    page.go_forward()
    expect(page.locator("h1")).to_contain_text("paid on")
    page.reload()
    expect(page.locator("h1")).to_contain_text("paid on")


@everywhere
def test_a_condition_is_added_in_a_dialog(visit: Visit) -> None:
    page = settled(visit("/"))
    mark(page)
    page.keyboard.press("f")
    dialog = page.get_by_role("dialog", name="Add a filter")
    expect(dialog).to_be_visible()
    expect(page.locator("[data-hint]")).to_contain_text("Seen so far: free, trial, paid, churned")
    dialog.locator("[name=what]").select_option("p.orders")
    expect(page.locator("[data-hint]")).to_contain_text("A range stands as 1..9")
    dialog.locator("[name=on]").select_option("shop")
    dialog.locator("[name=how]").select_option("at least, since")
    dialog.locator("[name=value]").fill("5")
    dialog.locator("[name=value]").press("Enter")
    expect(page.locator("h1")).to_contain_text("at least 5")
    # What is wrong comes back as a page, with what was typed and the reason beside it.
    page.get_by_role("link", name="Add filter").click()
    dialog.locator("[name=what]").select_option("active anywhere")
    dialog.locator("[name=value]").fill("soon")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("date")
    expect(page.locator("[name=value]")).to_have_value("soon")


def test_columns_and_the_count_beside_them(visit: Visit) -> None:
    page = settled(visit(PAYING))
    page.get_by_role("link", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_label("First known").check()
    dialog.get_by_label("Last active").uncheck()
    dialog.get_by_role("button", name="Show").click()
    expect(page.locator("thead th", has_text="First known")).to_be_visible()
    expect(page.locator("thead th", has_text="Last active")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("People who are paid on linkbio")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_facets_come_by_themselves_and_follow_the_question(visit: Visit) -> None:
    page = settled(visit("/"))
    line = page.locator("#facets li a", has_text="linkbio")
    expect(line.locator(".n")).to_have_text("1,800")
    line.click()
    expect(page.locator("h1")).to_have_text("People who are on linkbio")
    expect(page.locator("#facets li a[aria-current]")).to_contain_text("linkbio")
    newsletter = page.locator("#facets li a", has_text="newsletter").locator(".n")
    expect(newsletter).not_to_have_text("2,481")
    page.locator("#facets a", has_text="total_spend").click()
    expect(page.locator("#facets")).to_contain_text("on average")
    assert page.url.endswith("/?project=linkbio")


def test_the_whole_count_is_loaded_apart(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinycrm_integrations.web.pages.customers.CAP", 100)
    page = visit("/")
    expect(page.locator("#result")).to_have_text("50 of more than 100 people. 3,575 in all.")


# Selecting ---------------------------------------------------------------------------------------


@everywhere
def test_a_selection_is_counted_and_acts(visit: Visit) -> None:
    page = settled(visit(PAYING))
    bar = page.get_by_role("region", name="Selected people")
    expect(bar).to_be_hidden()
    boxes = page.locator("tbody [name=id]")
    boxes.nth(0).check()
    expect(bar).to_be_visible()
    expect(bar.get_by_role("button", name="Merge")).to_be_disabled()
    boxes.nth(2).check()
    with page.expect_download() as file:
        bar.get_by_role("button", name="Export").click()
    assert file.value.suggested_filename == "customers.csv"
    bar.get_by_role("button", name="Merge").click()
    expect(page).to_have_url(re.compile(r"/merge\?id=[\w-]{36}&id=[\w-]{36}$"))
    page.go_back()
    page.get_by_label("Select these 50").check()
    expect(page.locator("tbody [name=id]:checked")).to_have_count(50)
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()


def test_everybody_who_matches_is_one_click_further(visit: Visit, demo: Place) -> None:
    number = demo.crm.customers.count("status@waitlist:free")
    assert number > 50
    page = settled(visit("/?status@waitlist=free"))
    page.locator("tbody [name=id]").first.check()
    page.get_by_role("link", name="Select all").click()
    expect(page.get_by_role("region", name="Everybody who matches")).to_be_visible()
    page.get_by_role("link", name="Set status").click()
    page.get_by_label("On").select_option("waitlist")
    page.get_by_label("status").select_option("trial")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".facts")).to_contain_text(f"Will change{number}")
    assert demo.crm.customers.count("status@waitlist:free") == number
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("h1")).to_have_text("People who are free on waitlist")


def test_many_are_done_batch_after_batch(
    visit: Visit, demo: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One confirmation is enough, however many there are."""
    for name, value in (("BATCH", 5), ("BATCHES", 2)):
        monkeypatch.setattr(f"tinycrm_integrations.web.pages.standing.{name}", value)
    tired = demo.crm.project("tired")
    for n in range(35):
        tired.identify(f"n{n}@tired.example", status="trial")
    page = visit("/status?status@tired=trial&on=tired&to=churned")
    page.get_by_role("button", name="Set status").click()
    expect(page.locator("[data-done]")).to_contain_text("35 people changed their status.")
    assert demo.crm.customers.count("status@tired:churned") == 35
    for n in range(35):
        demo.crm.customers.delete(f"n{n}@tired.example")
    demo.crm.projects.delete("tired")


@pytest.fixture
def no_segment_left(demo: Place) -> Iterator[None]:
    yield
    for each in demo.crm.segments.list():
        if each.name.startswith("Mine"):
            demo.crm.segments.delete(each.name)


@pytest.mark.usefixtures("no_segment_left")
@pytest.mark.parametrize("script", [True, False])
def test_a_segment_lives_and_ends(visit: Visit, script: bool) -> None:
    page = visit("/?status@linkbio=paid&sort=name", script=script)
    page.get_by_role("link", name="Save segment").click()
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Save segment").click()
    tab = page.locator(".tabs [aria-current]")
    expect(tab).to_have_text("Mine")
    expect(page.locator("[data-done]")).to_contain_text("The segment was saved")
    expect(page).to_have_url(re.compile("sort=name$" if script else "done=segment-saved$"))
    page.get_by_role("link", name="Segment", exact=True).click()
    page.get_by_label("Name").fill("Mine too")
    page.get_by_role("button", name="Rename").click()
    expect(tab).to_have_text("Mine too")
    page.get_by_role("link", name="Segment", exact=True).click()
    page.get_by_role("button", name="Delete segment").click()
    expect(tab).to_have_count(0)
    expect(page.locator("h1")).to_have_text("People who are paid on linkbio")


# Keyboard ----------------------------------------------------------------------------------------


@everywhere
def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page = settled(visit("/"))
    press = page.keyboard.press
    press("/")
    page.keyboard.type("status@linkbio:paid fjx")
    for _ in range(4):
        press("Backspace")
    press("Enter")
    expect(page.locator("h1")).to_have_text("People who are paid on linkbio")
    press("Escape")
    for key in "jjjk":
        press(key)
    expect(page.locator("tr.at")).to_have_count(1)
    name = page.locator("tbody .who").nth(1)
    expect(name).to_be_focused()
    press("x")
    press("j")
    press("x")
    expect(page.locator("tbody [name=id]:checked")).to_have_count(2)
    press("Escape")
    expect(page.locator("tbody [name=id]:checked")).to_have_count(0)
    press("]")
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    settled(page)
    press("[")
    expect(page.get_by_role("link", name="First page")).to_have_count(0)
    settled(page)
    press("?")
    expect(page.get_by_role("dialog", name="On the keyboard")).to_be_visible()
    press("j")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("j")
    who = page.locator("tr.at .who").inner_text()
    press("Enter")
    expect(page.locator("h1")).to_contain_text(who)
    page.wait_for_load_state()  # the keys of the new page have their script
    press("g")
    press("c")
    expect(page.locator("h1")).to_have_text("Everyone")


def test_single_keys_can_be_turned_off(visit: Visit) -> None:
    page = settled(visit("/"))
    page.keyboard.press("?")
    page.get_by_role("button", name="Turn single keys off").click()
    expect(page.locator("html")).to_have_attribute("data-keys", "off")
    page.keyboard.press("f")
    page.keyboard.press("j")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("tr.at")).to_have_count(0)
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="Turn single keys on").click()
    expect(page.locator("html[data-keys]")).to_have_count(0)
    settled(page)
    page.keyboard.press("j")
    expect(page.locator("tr.at")).to_have_count(1)


def test_focus_and_a_question_half_typed_survive_a_swap(visit: Visit) -> None:
    page = settled(visit("/"))
    head = page.get_by_role("link", name="Customer", exact=True)
    head.focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Customer")
    expect(head).to_be_focused()
    page.locator(".tabs a").nth(1).click()
    expect(page.locator("h1")).to_have_text("People on at least 2 products")
    expect(page.locator(":focus")).to_have_count(1)


def test_a_slow_answer_leaves_the_rows_and_says_so(visit: Visit) -> None:
    page = settled(visit("/"))
    first = rows(page)
    waiting: list[Route] = []
    page.route(re.compile(r"\?status"), lambda route: waiting.append(route))
    page.locator("tbody .badge").first.click()
    expect(page.locator("#result")).to_have_text("Looking…")
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    assert rows(page) == first
    while not waiting:
        page.wait_for_timeout(20)
    for route in waiting:
        route.continue_()
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    expect(page.locator("#result")).to_contain_text("people")


def test_a_wrong_question_is_answered_in_place(visit: Visit) -> None:
    page = settled(visit("/"))
    page.fill("#q", "statsu:paid")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("At character 1")
    page.get_by_role("link", name="Use status").click()
    expect(page.locator("h1")).to_have_text("People who are paid on some product")
    page.go_back()
    expect(page.get_by_role("alert")).to_contain_text("At character 1")


def test_a_swap_keeps_no_row_of_another_question_picked(visit: Visit) -> None:
    """Rows that stay on screen keep their mark, the others take theirs with them."""
    page = settled(visit("/?sort=name"))
    page.locator("tbody [name=id]").first.check()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    expect(page.locator("tbody [name=id]:checked")).to_have_count(0)
    expect(page.get_by_role("region", name="Selected people")).to_be_hidden()


def test_times_follow_the_clock_of_the_viewer(visit: Visit) -> None:
    page = settled(visit("/"))
    time = page.locator("tbody time").first
    assert time.get_attribute("datetime")
    assert re.fullmatch(r"now|\d+ (min|h|days)|\d+ \w+ \d{4}", time.inner_text())
    assert "UTC" not in (time.get_attribute("title") or "")
