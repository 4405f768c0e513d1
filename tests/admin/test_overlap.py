"""Overlap: shared numbers that open the very people they count, and questions with choices."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.admin.conftest import Answer, Browser
from tests.admin.page_forms import PageForm, forms
from tests.admin.test_projects import heading
from tinycrm_core.errors import TookTooLong
from tinycrm_core.patience import at_most
from tinycrm_core.people import Customers
from tinycrm_core.testing import day
from tinycrm_integrations.web.timelimit import TimeLimit

PEOPLE = {
    "ann": {"shop": "paid", "news": "free"},
    "bob": {"shop": "free", "news": "paid", "blog": "paid"},
    "cid": {"shop": "churned", "news": "paid"},
    "dan": {"blog": "trial"},
    "eve": {"shop": "paid"},
}


@pytest.fixture
def shared(admin: Browser) -> Browser:
    for slug in ("shop", "news", "blog", "empty"):
        admin.crm.projects.add(slug)
    for name, statuses in PEOPLE.items():
        for slug, status in statuses.items():
            admin.crm.project(slug).identify(f"{name}@example.com", name=name, status=status)
    return admin


def numbers(answer: Answer) -> dict[str, tuple[int, str]]:
    """What a number is about, the number, and where it leads."""
    cells = re.findall(
        r'<td class="num[^>]*><a href="([^"]*)">([\d,]+)<span class="vh"> ([^<]*)', answer.text
    )
    return {
        about: (int(count.replace(",", "")), html.unescape(link)) for link, count, about in cells
    }


def people_behind(admin: Browser, link: str) -> int:
    pairs = parse_qsl(urlsplit(link).query)
    assert link.startswith("/a%20b/crm/?"), link
    return admin.crm.customers.count(pairs)


@pytest.mark.parametrize(
    "query",
    ["", "?status=paid", "?active__gt=-30d", "?status__not=churned", "?project__in=shop,news"],
)
def test_every_number_is_that_of_the_list_behind_it(shared: Browser, query: str) -> None:
    page = shared.get(f"/overlap{query}")
    assert page.status == 200
    found = numbers(page)
    assert len(found) == 4 * 4 + 4
    for about, (number, link) in found.items():
        assert people_behind(shared, link) == number, about


def test_the_matrix_counts_people(shared: Browser) -> None:
    page = shared.get("/overlap")
    assert heading(page) == "3 of 5 people are on more than one of your four products"
    found = {about: number for about, (number, _) in numbers(page).items()}
    assert found["on shop"] == 4
    assert found["on shop and news"] == found["on news and shop"] == 3
    assert found["on news and blog"] == 1
    assert found["on empty"] == found["only on empty"] == 0
    assert (found["only on shop"], found["only on blog"]) == (1, 1)
    paid = shared.get("/overlap?status=paid")
    assert heading(paid) == "1 of 5 people are paid on more than one of your four products"
    assert re.search(r'aria-current="true">Paid on both', paid.text)
    assert {a: n for a, (n, _) in numbers(paid).items()}["only on news"] == 1


def sentences(answer: Answer) -> list[PageForm]:
    return [each for each in forms(answer) if each.action.endswith("/overlap/ask")]


def test_the_questions_count_and_name_people_and_lead_to_them(shared: Browser) -> None:
    shared.crm.project("blog").identify("dan@example.com", params={"trial_ends": "2100-01-01"})
    page = shared.get("/overlap/questions")
    asks = re.findall(r'<a class="n" href="([^"]*)">([\d,+]+)', page.text)
    assert len(asks) == len(sentences(page)) == 6
    for link, count in asks:
        assert people_behind(shared, html.unescape(link)) == int(count)
    assert asks[0][1] == "3"
    assert re.search(r'<p class="small">(ann|bob|cid), (ann|bob|cid), (ann|bob|cid)<', page.text)
    assert "Nobody at the moment" in page.text, "nobody's trial ends this week"
    for sentence in sentences(page):
        answer = shared.get(f"{sentence.action}?{urlencode(sentence.fields)}")
        assert answer.status == 303
        assert answer.location in {html.unescape(link) for link, _ in asks}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"ask": "several", "n": "3"}, {"bob"}),
        ({"ask": "free-paid", "a": "shop", "b": "blog"}, {"bob"}),
        ({"ask": "churned-paid", "a": "shop", "b": "news"}, {"cid"}),
        ({"ask": "not-on", "a": "shop", "b": "news"}, {"eve"}),
        ({"ask": "not-on", "a": "shop", "b": "shop"}, set()),
        ({"ask": "quiet-active", "a": "shop", "days": "30", "b": "news"}, {"fay"}),
        ({"ask": "trial-ends", "when": "today", "on": "blog"}, {"gus"}),
        ({"ask": "trial-ends", "when": "today", "on": "shop"}, set()),
        ({"ask": "trial-ends", "when": "today..+7d", "on": ""}, {"gus"}),
    ],
)
def test_a_question_with_other_choices(
    shared: Browser, query: dict[str, str], expected: set[str]
) -> None:
    crm = shared.crm
    crm.project("shop").identify("fay@example.com", name="fay", at=day(0))
    crm.project("news").identify("fay@example.com")
    today = f"{crm.customers.get('fay@example.com').last_seen_at:%Y-%m-%d}"  # type: ignore[union-attr]
    crm.project("blog").identify(
        "gus@example.com", name="gus", status="trial", params={"trial_ends": today}
    )
    answer = shared.get("/overlap/ask?" + urlencode(query))
    found = crm.customers.find(parse_qsl(urlsplit(answer.location).query))
    assert {each.name for each in found} == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ask=nothing",
        "ask=free-paid&a=shop",
        "ask=free-paid&a=shop&b=gone",
        "ask=several&n=99",
        "ask=several&n=2+or+status:paid",
        "ask=trial-ends&when=%22%3E&on=",
    ],
)
def test_a_question_that_cannot_be_asked_is_said(shared: Browser, query: str) -> None:
    answer = shared.get(f"/overlap/ask?{query}")
    assert answer.status == 422
    assert heading(answer) == "That question cannot be asked"


@pytest.mark.parametrize(
    "query",
    [
        "nope=1",
        "status=payd",
        "projects=2",
        "project=shop",
        "status@shop=paid",
        "status@shop=paid&status@news=paid",
        "q=ann",
    ],
)
def test_an_overlap_that_cannot_be_counted_is_said(shared: Browser, query: str) -> None:
    answer = shared.get(f"/overlap?{query}")
    assert answer.status == 422
    assert heading(answer) == "That overlap cannot be counted"


def test_there_is_nothing_to_share_yet(admin: Browser) -> None:
    assert heading(admin.get("/overlap")) == "No products yet, so nothing overlaps"
    admin.crm.project("shop").identify("ann@example.com")
    page = admin.get("/overlap")
    assert heading(page) == "One product, so nothing overlaps yet"
    assert "/overlap/questions" not in page.text
    assert sentences(admin.get("/overlap/questions")) == []


def test_the_number_of_questions_does_not_grow_with_the_square_of_the_products(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("combinations", "count", "tally", "find"):
        inner = getattr(Customers, name)

        def noted(
            *args: object, name: str = name, inner: object = inner, **named: object
        ) -> object:
            asked.append(name)
            return inner(*args, **named)  # type: ignore[operator]

        monkeypatch.setattr(Customers, name, noted)
    costs = []
    for number in range(20):
        admin.crm.project(f"p{number}").identify("ann@example.com")
        asked.clear()
        admin.get("/overlap/questions")
        costs.append(len(asked))
    assert costs[3] == costs[4] == costs[19], "one question for each status"
    asked.clear()
    page = admin.get("/overlap")
    assert asked.count("combinations") == 1
    assert asked.count("count") == 1
    assert len(re.findall('<th scope="col"', page.text)) == 13
    assert "The 12 products with most people." in page.text


def test_what_takes_too_long_leaves_the_page_usable(
    shared: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        raise TookTooLong("the database gave up")

    for name in ("combinations", "count", "tally", "find"):
        monkeypatch.setattr(Customers, name, slow)
    page = shared.get("/overlap")
    assert page.status == 200
    assert heading(page) == "People on more than one of your four products"
    assert 'href="/a%20b/crm/overlap?count=all"' in page.text
    page = shared.get("/overlap/questions")
    assert len(sentences(page)) == 6
    assert page.text.count(">?</a>") == 6
    assert all(
        shared.get(f"{s.action}?{urlencode(s.fields)}").status == 303 for s in sentences(page)
    )


def test_the_time_of_a_page_is_shared_by_its_questions() -> None:
    limit = TimeLimit(5)
    first = limit.ask(lambda: at_most(60))
    second = limit.ask(lambda: at_most(60))
    assert first is not None
    assert second is not None
    assert 5 >= first > second > 0, "each may take what the ones before it left"
    asked: list[int] = []
    assert TimeLimit(0).ask(lambda: asked.append(1)) is None
    assert asked == []


def test_counting_anyway_asks_the_same_of_more_time(shared: Browser) -> None:
    page = shared.get("/overlap?status=paid&count=all")
    assert heading(page) == heading(shared.get("/overlap?status=paid"))
    assert 'hx-get="/a%20b/crm/overlap/questions?count=all"' in page.text
    assert shared.get("/projects?count=all").status == 200


def test_counting_anyway_keeps_the_question(
    shared: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        raise TookTooLong("the database gave up")

    monkeypatch.setattr(Customers, "combinations", slow)
    page = shared.get("/overlap?status=paid&done=merged")
    assert 'href="/a%20b/crm/overlap?status=paid&amp;count=all"' in page.text
