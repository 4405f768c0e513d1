"""The customers page: what its address asks for is what it shows, counts and hands out."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.admin.conftest import Answer, Browser
from tinycrm_core import filters

PRODUCTS = ("newsletter", "shop", "linkbio")


def fill(admin: Browser, count: int = 6) -> None:
    """Every second person is paid on shop, every third on trial on linkbio."""
    news, shop, link = (admin.crm.project(each) for each in PRODUCTS)
    for n in range(count):
        email = f"p{n:03}@example.com"
        source = ("google", "friend")[n % 2]
        news.identify(email, name=f"Person {n:03}", params={"source": source, "mrr": n})
        if n % 2:
            shop.identify(email, status="paid", params={"plan": "pro", "source": source})
        if n % 3 == 0:
            link.identify(email, status="trial")


def names(answer: Answer) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'class="who"[^>]*>([^<]*)<', answer.text)]


def hrefs(answer: Answer, pattern: str = "") -> list[str]:
    found = re.findall(rf'<a[^>]*{pattern}[^>]*href="([^"]*)"', answer.text)
    return [html.unescape(each) for each in found]


def chips(answer: Answer) -> list[tuple[str, str]]:
    """Text and the page without it."""
    found = re.findall(r'<b class="mono">([^<]*)</b></span><a href="([^"]*)"', answer.text)
    return [(html.unescape(text), html.unescape(link)) for text, link in found]


def people(answer: Answer) -> str:
    found = re.search(r'role="status">(.*?)</p>', answer.text, re.DOTALL)
    assert found
    return re.sub(r"<[^>]*>", "", found[1])


def heads(answer: Answer) -> list[str]:
    found = re.search(r"<thead>(.*?)</thead>", answer.text, re.DOTALL)
    assert found
    cells = re.findall(r"<th[^>]*>(.*?)</th>", found[1], re.DOTALL)
    return [re.sub(r"<[^>]*>", "", each).strip() for each in cells[1:]]


# Asking --------------------------------------------------------------------------------------


def test_chips_are_drawn_from_the_question_and_each_can_go(admin: Browser) -> None:
    fill(admin)
    page = admin.get("/?project=newsletter&status@shop=paid&p.mrr__gte=3&sort=name")
    assert names(page) == ["Person 003", "Person 005"]
    texts = [text for text, _ in chips(page)]
    assert len(texts) == 2
    whole = filters.normalise(filters.And(tuple(filters.parse(each) for each in texts)))
    assert whole == filters.parse("project:newsletter p.mrr>=3 status@shop:paid")
    for text, without in chips(page):
        rest = admin.get(without)
        assert text not in [each for each, _ in chips(rest)]
        assert len(names(rest)) >= 2
        assert 'aria-sort="ascending"' in rest.text
    cleared = admin.get(hrefs(page, 'class="link"')[0])
    assert len(names(cleared)) == 6
    assert 'aria-sort="ascending"' in cleared.text


def test_a_condition_is_added_by_a_form(admin: Browser) -> None:
    fill(admin)
    form = admin.get("/add?status@shop=paid&sort=name")
    assert form.status == 200
    # What was seen is offered, with types and samples, and never by asking for the people.
    assert 'value="p.mrr" data-kind="number" data-seen="1\n2' in form.text
    assert 'value="p.source" data-kind="text"' in form.text
    assert all(f">{each}</option>" in form.text for each in PRODUCTS)
    sent = {"query": "status@shop=paid&sort=name", "on": "newsletter", "what": "p.mrr"}
    added = admin.get("/add?" + urlencode({**sent, "how": "between", "value": "2..4"}))
    page = admin.follow(added)
    assert names(page) == ["Person 003"]
    assert dict(parse_qsl(urlsplit(added.location).query))["sort"] == "name"


@pytest.mark.parametrize(
    ("what", "how", "value", "on", "expected"),
    [
        ("q", "", "person 00", "", 6),
        ("email", "starts", "p003", "", 1),
        ("projects", "gte", "2", "shop", 4),
        ("status", "", "paid", "shop", 3),
        ("status", "in", "free,paid", "", 6),
        ("project", "", "", "linkbio", 2),
        ("project", "not", "", "linkbio", 4),
        ("project", "", "shop", "", 3),
        ("p.plan", "exists", "", "shop", 3),
        ("p.plan", "missing", "", "newsletter", 6),
        ("seen", "gte", "-1d", "", 6),
    ],
)
def test_every_kind_of_condition_can_be_added(
    admin: Browser, what: str, how: str, value: str, on: str, expected: int
) -> None:
    fill(admin)
    sent = {"query": "", "on": on, "what": what, "how": how, "value": value}
    assert len(names(admin.follow(admin.get("/add?" + urlencode(sent))))) == expected


@pytest.mark.parametrize(
    ("what", "how", "value", "reason"),
    [
        ("seen", "gte", "soon", "date"),
        ("status", "", "gold", "free"),
        ("status", "contains", "a", "does not know"),
        ("p.mrr", "between", "3", ""),
        ("nonsense", "", "1", "nonsense"),
        ("p.mrr", "", "", "missing"),
    ],
)
def test_what_cannot_be_asked_is_said_beside_the_value(
    admin: Browser, what: str, how: str, value: str, reason: str
) -> None:
    fill(admin)
    sent = {"query": "status=paid", "on": "", "what": what, "how": how, "value": value}
    form = admin.get("/add?" + urlencode(sent))
    assert form.status == 422
    said = re.search(r'id="value-reason" role="alert">([^<]*)<', form.text)
    assert said
    assert reason in said[1]
    assert 'aria-invalid="true" aria-describedby="value-reason"' in form.text
    assert f'name="value" value="{value}"' in form.text
    assert '<input type="hidden" name="query" value="status=paid">' in form.text


def test_nobody_leads_to_the_smallest_change_that_helps(admin: Browser) -> None:
    fill(admin)
    page = admin.get("/?status@shop=paid&p.source@newsletter=google")
    assert people(page) == "Nobody."
    assert "3 would without <code>project:shop status:paid</code>" in page.text
    for link in re.findall(r'<a href="([^"]*)">Leave it out', page.text):
        assert len(names(admin.get(html.unescape(link)))) == 3


def test_a_wrong_question_is_shown_and_nothing_is_searched(admin: Browser) -> None:
    fill(admin)
    for query in ("q=statsu:paid", "cols=nope", "cols=p.mrr@nowhere", "sort=nope", "on-shop=1"):
        page = admin.get(f"/?{query}")
        assert page.status == 422, query
        assert "nothing was searched" in page.text
        assert 'role="alert"' in page.text


# Columns and order -----------------------------------------------------------------------------


def test_columns_are_chosen_and_survive_the_next_question(admin: Browser) -> None:
    fill(admin)
    assert heads(admin.get("/")) == ["Customer", "Products", "Last active", "mrr", "source"]
    form = admin.get("/columns?status@shop=paid")
    boxes = re.findall(r'name="cols" value="([^"]*)"( checked)?', form.text)
    assert {value for value, checked in boxes if checked} == {
        "products", "seen", "p.mrr", "p.source"
    }  # fmt: skip
    page = admin.get("/?status@shop=paid&cols=&cols=created&cols=p.source@shop")
    assert heads(page) == ["Customer", "First known", "source on shop"]
    for _, without in chips(page):
        assert heads(admin.get(without)) == ["Customer", "First known", "source on shop"]
    assert heads(admin.get("/?cols=")) == ["Customer"]


def test_a_head_sorts_and_turns(admin: Browser) -> None:
    fill(admin)
    page = admin.get("/?cols=p.mrr@newsletter&q=person")
    first = next(each for each in hrefs(page) if "sort=-p.mrr" in each)
    page = admin.get(first)
    assert names(page)[0] == "Person 005"
    assert 'aria-sort="descending"' in page.text
    turned = next(each for each in hrefs(page) if "sort=p.mrr" in each)
    assert names(admin.get(turned))[0] == "Person 000"


# Counts and facets -------------------------------------------------------------------------------


def test_a_page_never_counts_everybody(admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap the number is loaded apart."""
    monkeypatch.setattr("tinycrm_integrations.web.pages.customers.CAP", 55)
    fill(admin, 60)
    page = admin.get("/?sort=name")
    assert people(page) == "50 of more than 55 people. Count all"
    lazy = re.search(r'hx-get="([^"]*)" hx-trigger="load" hx-target="this"', page.text)
    assert lazy
    whole = admin.get(html.unescape(lazy[1]))
    assert "<b>60</b> in all." in whole.text
    assert people(admin.get("/?q=person&status@shop=paid")) == "30 people."


def test_r2_a_count_that_takes_too_long_says_so(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: the page stays whole when the database gives a number up."""
    fill(admin, 60)

    def given_up(*args: object, **options: object) -> int:
        from tinycrm_core.errors import TookTooLong

        raise TookTooLong("the database gave up: the statement took longer than it may")

    for name in ("count", "tally", "aggregate"):
        monkeypatch.setattr(f"tinycrm_core.people.Customers.{name}", given_up)
    page = admin.get("/")
    assert len(names(page)) == 50
    assert people(page) == "50 of more. Count all"
    assert "it took longer than 2 s" in admin.get("/count").text
    facets = admin.get("/narrow")
    assert facets.text.count("Not counted: it took longer than 200 ms.") >= 3
    assert "not added up" in admin.get("/sum?of=p.mrr").text
    monkeypatch.undo()
    anyway = re.findall(r'href="([^"]*)"[^>]*>Count anyway', facets.text)
    for link in anyway:
        assert "Not counted" not in admin.get(html.unescape(link)).text


def test_facets_lead_to_as_many_people_as_they_say(admin: Browser) -> None:
    fill(admin, 20)
    admin.crm.project("shop").identify("p001@example.com", status="churned")
    for query in ("", "project=newsletter", "status@shop=paid", "q=person&projects__gte=2"):
        page = admin.get(f"/narrow?{query}")
        lines = re.findall(r'<li><a href="([^"]*)".*?<span class="n">([\d,]+)</span>', page.text)
        assert len(lines) > 5
        for link, number in lines:
            found = admin.get(html.unescape(link))
            assert len(names(found)) == int(number), (query, link)


def test_a_param_is_added_up_over_the_question(admin: Browser) -> None:
    fill(admin)
    page = admin.get("/narrow?status@shop=paid")
    link = next(each for each in hrefs(page) if "/sum" in each)
    text = re.sub(r"<[^>]*>", "", admin.get(link).text)
    assert "mrr: 9 in total, 3 on average, from 1 to 5, over 3 values." in text
    assert "nobody has a number there" in admin.get("/sum?of=p.plan").text
    assert admin.get("/sum?of=nope").status == 422


# Pages and files ----------------------------------------------------------------------------


def test_r1_pages_follow_by_keys(admin: Browser) -> None:
    """R1: everybody once, in order, forwards and back."""
    fill(admin, 120)
    page, found = admin.get("/?sort=name"), []
    while True:
        found += names(page)
        following = hrefs(page, 'rel="next"')
        if not following:
            break
        page = admin.get(following[0])
    assert found == [f"Person {n:03}" for n in range(120)]
    page = admin.get(hrefs(page, 'rel="prev"')[0])
    assert names(page)[0] == "Person 050"


def test_the_file_is_the_question_on_screen(admin: Browser) -> None:
    fill(admin, 60)
    page = admin.get("/?status@shop=paid&sort=-name&cols=created")
    wide, rows, lines = (each for each in hrefs(page) if "/export" in each)
    answer = admin.get(wide)
    assert answer.header("Content-Disposition") == 'attachment; filename="customers.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["name"] for each in found] == names(page)
    assert len(found) == 30
    assert len(list(csv.DictReader(io.StringIO(admin.get(rows).text)))) > 60
    objects = [json.loads(each) for each in admin.get(lines).text.splitlines()]
    assert [each["name"] for each in objects] == names(page)
    assert admin.get("/export.csv?layout=nope").status == 422
    assert admin.get("/export.csv?q=statsu:1").status == 422


def test_a_file_is_streamed(admin: Browser) -> None:
    """Not a page of it is asked for before somebody reads on."""
    fill(admin, 30)
    answer = admin.get("/export.jsonl")
    assert not isinstance(answer.response.body, bytes)
    assert json.loads(next(iter(answer.response.body)))


def test_those_picked_are_exported_alone(admin: Browser) -> None:
    fill(admin)
    ids = re.findall(r'name="id" value="([^"]*)"', admin.get("/?sort=name").text)
    query = urlencode([("id", ids[0]), ("id", ids[4])])
    found = csv.DictReader(io.StringIO(admin.get(f"/export.csv?{query}&layout=customers").text))
    assert {each["email"] for each in found} == {"p000@example.com", "p004@example.com"}
    assert admin.get("/export.csv?id=nonsense").status == 422
    gone = "00000000-0000-7000-8000-000000000000"
    assert admin.get(f"/export.csv?id={gone}").status == 404
    assert (
        admin.get("/export.csv?" + "&".join(f"id={gone[:-3]}{n:03}" for n in range(101))).status
        == 422
    )
