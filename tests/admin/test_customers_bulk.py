"""What is written from the customers page: segments, and statuses of many people."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.admin.conftest import Answer, Browser
from tests.admin.test_customers import fill, names, people
from tinycrm_core.model import Page, Status
from tinycrm_core.people import Customers

HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')


def current(answer: Answer) -> str | None:
    found = re.search(
        r'aria-current="page">([^<]*)</a>\s*(?:<a|</nav>)', answer.text.split("Segments")[-1]
    )
    return unescape(found[1]) if found else None


# Segments --------------------------------------------------------------------------------------


def test_a_question_is_saved_renamed_and_deleted_as_a_segment(admin: Browser) -> None:
    fill(admin)
    query = "status@shop=paid&sort=name"
    assert "Save segment" in admin.get(f"/?{query}").text
    sent = {"query": query, "do": "save", "name": " Payers <b> "}
    page = admin.follow(admin.post("/segment", sent))
    assert current(page) == "Payers <b>"
    assert "The segment was saved." in page.text
    assert len(names(page)) == 3
    assert [each.filter for each in admin.crm.segments.list()] == ["project:shop status:paid"]
    form = admin.get(f"/segment?{query}")
    assert 'value="Payers &lt;b&gt;"' in form.text
    renamed = {"query": query, "do": "rename", "old": "Payers <b>", "name": "Payers"}
    assert current(admin.follow(admin.post("/segment", renamed))) == "Payers"
    page = admin.follow(admin.post("/segment", {"query": query, "do": "delete", "old": "Payers"}))
    assert current(page) is None
    assert not admin.crm.segments.list()
    assert len(names(page)) == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "1 to 100"), ("x" * 101, "1 to 100"), ("a\x07b", "1 to 100"), ("Taken", "already")],
)
def test_a_name_that_will_not_do_comes_back_with_the_reason(
    admin: Browser, name: str, reason: str
) -> None:
    fill(admin)
    admin.crm.segments.add("Taken", "status:paid")
    form = admin.post("/segment", {"query": "status=trial", "do": "save", "name": name})
    assert form.status == 422
    said = re.search(r'id="name-reason" role="alert">([^<]*)<', form.text)
    assert said
    assert reason in said[1]
    assert 'name="query" value="status=trial"' in form.text
    assert len(admin.crm.segments.list()) == 1


def test_what_a_segment_cannot_be_is_refused(admin: Browser) -> None:
    assert admin.post("/segment", {"query": "q=statsu:1", "do": "save", "name": "x"}).status == 422
    assert admin.post("/segment", {"query": "", "do": "burn", "name": "x"}).status == 422
    assert admin.post("/segment", {"query": "", "do": "delete", "old": "nobody"}).status == 404
    assert not admin.crm.segments.list()


# Statuses --------------------------------------------------------------------------------------


def fact(answer: Answer, label: str) -> str:
    text = re.sub(r"<[^>]*>", "", re.sub(r"</div>", "|", answer.text))
    found = re.search(rf"{label}([\d,]+)\|", text)
    assert found, label
    return found[1]


def test_statuses_of_everybody_who_matches_after_a_preview(admin: Browser) -> None:
    fill(admin)
    query = "q=person&all=1"
    page = admin.get(f"/?{query}")
    assert "All 6 that match" in page.text
    form = admin.get("/status?q=person")
    assert "Nothing has been written yet." in form.text
    preview = admin.get("/status?q=person&on=shop&to=churned")
    assert fact(preview, "Meant") == "6"
    assert fact(preview, "Not on shop, left alone") == "3"
    assert fact(preview, "Already churned there") == "0"
    assert fact(preview, "Will change") == "3"
    assert admin.crm.customers.count("status@shop:churned") == 0
    sent = {"query": "q=person", "on": "shop", "to": "churned"}
    page = admin.follow(admin.post("/status", sent))
    assert "3 people changed their status." in page.text
    assert admin.crm.customers.count("status@shop:churned") == 3
    assert admin.crm.customers.count("project:shop") == 3
    history = admin.crm.customers.history("p001@example.com")
    assert history[0].via == "admin mara"
    assert history[0].changes["status"] == ("paid", "churned")
    assert "Nobody would change." in admin.get("/status?q=person&on=shop&to=churned").text


def test_statuses_of_those_picked(admin: Browser) -> None:
    fill(admin)
    ids = re.findall(r'name="id" value="([^"]*)"', admin.get("/?sort=name").text)
    picked = [("id", ids[1]), ("id", ids[2]), ("id", ids[1])]
    preview = admin.get("/status?" + urlencode([*picked, ("on", "shop"), ("to", "free")]))
    assert fact(preview, "Will change") == "1"
    sent = [*picked, ("query", ""), ("on", "shop"), ("to", "free"), ("n", "0")]
    page = admin.follow(admin.post("/status", sent))
    assert "One person changed status." in page.text
    assert names(page) == ["Person 001", "Person 002"] or people(page) == "2 people."
    assert admin.crm.customers.count("status@shop:free") == 1


def test_many_go_batch_after_batch(admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes drops out of the question, and still everybody is reached once."""
    for name, value in (("BATCH", 4), ("BATCHES", 2)):
        monkeypatch.setattr(f"tinycrm_integrations.web.pages.standing.{name}", value)
    fill(admin, 40)
    sent = {"query": "status@shop=paid", "on": "shop", "to": "trial", "n": "0"}
    rounds = 0
    while (answer := admin.post("/status", sent)).status == 200:
        rounds += 1
        assert "data-go-on" in answer.text
        found = re.search(r'name="n" value="(\d+)"', answer.text)
        assert found
        assert int(found[1]) == 8 * rounds
        sent["n"] = found[1]
    assert rounds == 2
    assert "20 people changed their status." in admin.follow(answer).text
    assert admin.crm.customers.count("status@shop:trial") == 20


def test_two_owners_at_once_set_each_status_once_and_leave_nobody_out(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second meets people who are done, and goes on to those who are not."""
    for name, value in (("BATCH", 4), ("BATCHES", 2)):
        monkeypatch.setattr(f"tinycrm_integrations.web.pages.standing.{name}", value)
    fill(admin, 40)
    sent = {"query": "status@shop=paid", "on": "shop", "to": "trial", "n": "0"}
    find: Callable[..., Page] = Customers.find
    others = 0

    def overtaken(self: Customers, *asked: Any, **rest: Any) -> Page:
        nonlocal others
        page = find(self, *asked, **rest)
        if others == 0 and rest.get("sort") == "created":
            others = len(page)
            for each in page:
                admin.crm.project("shop").identify(each.email, status="trial", active=False)
        return page

    monkeypatch.setattr(Customers, "find", overtaken)
    answer = admin.post("/status", sent)
    while answer.status == 200:
        answer = admin.post("/status", dict(re.findall(HIDDEN, answer.text)))
    assert others == 4
    assert "16 people changed their status." in admin.follow(answer).text
    assert admin.crm.customers.count("status@shop:trial") == 20


def test_nobody_comes_back_who_was_deleted_while_it_ran(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(admin, 6)
    find: Callable[..., Page] = Customers.find

    def meanwhile(self: Customers, *asked: Any, **rest: Any) -> Page:
        page = find(self, *asked, **rest)
        if rest.get("sort") == "created":
            admin.crm.customers.delete(page[0].email)
        return page

    monkeypatch.setattr(Customers, "find", meanwhile)
    before = admin.crm.customers.count()
    admin.post("/status", {"query": "", "on": "shop", "to": "churned"})
    assert admin.crm.customers.count() == before - 1


def test_a_request_ends_in_time_and_the_next_goes_on(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the database is, no host has to wait for all of them."""
    monkeypatch.setattr("tinycrm_integrations.web.pages.standing.BATCH", 4)
    monkeypatch.setattr("tinycrm_integrations.web.pages.standing.SECONDS", -1.0)
    fill(admin, 40)
    answer = admin.post("/status", {"query": "", "on": "shop", "to": "churned", "n": "0"})
    assert answer.status == 200
    assert admin.crm.customers.count("status@shop:churned") == 4
    wrong = {"query": "", "on": "shop", "to": "churned", "after": "x"}
    assert admin.post("/status", wrong).status == 422


def test_activity_is_not_touched_by_a_status(admin: Browser) -> None:
    fill(admin, 2)
    before = admin.crm.customers.get("p001@example.com")
    admin.post("/status", {"query": "", "on": "shop", "to": "churned"})
    after = admin.crm.customers.get("p001@example.com")
    assert before
    assert after
    assert after.last_seen_at == before.last_seen_at
    assert after.memberships[1].status == Status.CHURNED


@pytest.mark.parametrize(
    "form",
    [
        {"query": "", "on": "nowhere", "to": "paid"},
        {"query": "", "on": "shop", "to": "gold"},
        {"query": "", "on": "shop"},
        {"query": "q=statsu:1", "on": "shop", "to": "paid"},
        {"query": "", "on": "shop", "to": "paid", "id": "nonsense"},
    ],
)
def test_a_status_that_cannot_be_set_changes_nothing(admin: Browser, form: dict[str, str]) -> None:
    fill(admin)
    before = [each.memberships for each in admin.crm.customers.find(sort="name")]
    assert admin.post("/status", form).status == 422
    assert [each.memberships for each in admin.crm.customers.find(sort="name")] == before
