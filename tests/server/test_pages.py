"""The pages as a browser gets them, without a browser."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.server.live import Answer, Live, serving
from tinycrm_core.client import TinyCRM

HOSTILE = "\"><img src=x onerror=alert(1)>'</script><script>alert(2)</script>{{1234567*3}}"
# Inside an attribute or a text, these five are all that could end it.
RAW = re.compile(r"<img|<script>alert|</script><script|\bonerror=(?!alert\(1\)&gt;)")


@pytest.fixture
def inside(live: Live) -> dict[str, str]:
    """Headers of somebody who came through the link."""
    return live.session()


def page(live: Live, path: str, inside: dict[str, str]) -> Answer:
    return live.ask("GET", path, headers=inside)


def names(answer: Answer) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'class="who"[^>]*>([^<]*)<', answer.text)]


def link(answer: Answer, pattern: str) -> str:
    found = re.search(rf'<a[^>]*{pattern}[^>]*href="([^"]*)"', answer.text)
    assert found, answer.text
    return html.unescape(found[1])


def fill(live: Live, count: int) -> None:
    news, shop = live.crm.project("newsletter"), live.crm.project("shop")
    for n in range(count):
        news.identify(f"p{n:03}@example.com", name=f"Person {n:03}", params={"source": "launch"})
        if n % 2:
            shop.identify(f"p{n:03}@example.com", status="paid", params={"mrr": n})


def test_a_page_without_a_session_is_closed(live: Live) -> None:
    for path in ("/", "/customers/5", "/?q=status:paid"):
        answer = live.ask("GET", path)
        assert answer.status == 401
        assert "console" in answer.text
    assert len(live.announced) == 1, "one link is open at a time"


def test_a_link_opens_the_pages_once(live: Live) -> None:
    code = live.entrance.new_code()
    first = live.ask("GET", f"/enter?code={code}")
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert code not in first.headers["set-cookie"]
    second = live.ask("GET", f"/enter?code={code}")
    assert second.status == 401
    assert "used before" in second.text
    assert "set-cookie" not in second.headers
    assert live.announced, "a new link is on the console"
    inside = {"Cookie": first.headers["set-cookie"].partition(";")[0]}
    assert live.ask("GET", "/", headers=inside).status == 200


@pytest.mark.parametrize("code", ["", "x", "%00", "é", "a" * 5000])
def test_a_wrong_code_opens_nothing_and_spoils_nothing(live: Live, code: str) -> None:
    good = live.entrance.new_code()
    assert live.ask("GET", f"/enter?code={quote(code)}").status == 401
    assert live.ask("GET", f"/enter?code={good}").status == 303


def test_an_api_key_is_no_session(live: Live) -> None:
    assert live.ask("GET", "/", key="read").status == 401
    headers = {"Cookie": f"tinycrm_session={live.keys['read']}"}
    assert live.ask("GET", "/", headers=headers).status == 401


def test_the_page_says_what_it_shows(live: Live, inside: dict[str, str]) -> None:
    fill(live, 6)
    answer = page(live, "/?status@shop=paid&sort=name", inside)
    assert names(answer) == ["Person 001", "Person 003", "Person 005"]
    title = re.search("<title>(.*?)</title>", answer.text)
    assert title
    assert title[1] == "People who are paid on shop – TinyCRM"
    heading = re.search("<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert heading
    assert re.sub("<[^>]*>|\n", "", heading[1]) == "People who are paid on shop"
    assert "3 people." in answer.text
    assert 'aria-sort="ascending"' in answer.text
    assert 'value="project:shop status:paid"' in answer.text
    assert re.search(r"<code[^>]*>mrr</code>", answer.text)


def test_badges_stand_in_the_order_of_the_products(live: Live, inside: dict[str, str]) -> None:
    live.crm.project("shop").identify("a@example.com", status="trial")
    live.crm.project("newsletter").identify("a@example.com")
    answer = page(live, "/", inside)
    badges = re.findall(r'class="badge ([^"]*)"', answer.text)
    assert [each.split()[1] for each in badges] == ["free", "trial"]


def test_pages_follow_each_other_and_lead_back(live: Live, inside: dict[str, str]) -> None:
    fill(live, 120)
    starts, found, path = [], [], "/?sort=name"
    while True:
        answer = page(live, path, inside)
        starts.append(names(answer))
        found += names(answer)
        if 'rel="next"' not in answer.text:
            break
        path = link(answer, 'rel="next"')
    assert found == [f"Person {n:03}" for n in range(120)]
    assert [len(each) for each in starts] == [50, 50, 20]
    for earlier in (starts[1], starts[0]):
        answer = page(live, link(answer, 'rel="prev"'), inside)
        assert names(answer) == earlier
    assert 'rel="prev"' not in answer.text
    assert "50 of 120 people" in answer.text


def test_links_back_stay_short(live: Live, inside: dict[str, str]) -> None:
    fill(live, 60)
    back = "".join(f"&back={n}" for n in range(500))
    answer = page(live, "/?q=" + back, inside)
    assert link(answer, 'rel="next"').count("back=") == 20


@pytest.mark.parametrize(
    ("query", "position", "marked"),
    [
        ("status@shop:free statsu:paid", 17, "statsu"),
        ("project:nope", 8, "nope"),
        ("(a", 0, "("),
    ],
)
def test_a_broken_question_is_answered_with_its_place(
    live: Live, inside: dict[str, str], query: str, position: int, marked: str
) -> None:
    answer = page(live, f"/?q={quote(query)}", inside)
    assert answer.status == 422
    assert "nothing was searched" in answer.text
    assert f"At character {position + 1}:" in answer.text
    assert f"<mark>{marked}</mark>" in answer.text
    assert f'value="{query}"' in answer.text


def test_an_offered_repair_works(live: Live, inside: dict[str, str]) -> None:
    fill(live, 4)
    answer = page(live, "/?q=" + quote("statsu@shop:paid"), inside)
    repaired = page(live, link(answer, 'class="btn main"'), inside)
    assert names(repaired) == ["Person 003", "Person 001"]


@pytest.mark.parametrize(
    "query", ["nope=1", "sort=nope", "after=nope", "status=payd", "sort=a&sort=b", "p.a%00=1"]
)
def test_a_broken_pair_is_answered_too(live: Live, inside: dict[str, str], query: str) -> None:
    answer = page(live, f"/?{query}", inside)
    assert answer.status == 422
    assert "nothing was searched" in answer.text


def test_nobody_and_nobody_yet(live: Live, inside: dict[str, str]) -> None:
    assert "Nobody yet." in page(live, "/", inside).text
    fill(live, 2)
    answer = page(live, "/?q=" + quote("status@shop:free projects>=2"), inside)
    assert "Nobody." in answer.text
    assert "1 would without <code>project:shop status:free</code>." in answer.text
    leading = html.unescape(re.findall(r'href="([^"]*)">Leave it out', answer.text)[0])
    assert len(names(page(live, leading, inside))) == 1


def test_d1_hostile_words_stay_words(live: Live, inside: dict[str, str]) -> None:
    """D1: names, params keys and values, project names, filters and labels."""
    live.crm.projects.rename("shop", name=HOSTILE[:100])
    shop = live.crm.project("shop")
    shop.identify("mallory@example.com", name=HOSTILE, params={HOSTILE: HOSTILE, "plain": HOSTILE})
    shop.identify("mallory@example.com", params={"nested": {HOSTILE: [HOSTILE]}})
    person = live.crm.customers.get("mallory@example.com")
    assert person is not None
    paths = (
        "/",
        f"/?q={quote(HOSTILE)}",
        f"/?q={quote('p.plain:*')}",
        f"/?sort={quote(HOSTILE)}",
        f"/?{quote(HOSTILE)}=1",
        f"/customers/{person.id}",
        f"/customers/{quote(HOSTILE, safe='')}",
        f"/enter?code={quote(HOSTILE)}",
    )
    for path in paths:
        text = page(live, path, inside).text
        assert not RAW.search(text.replace(html.escape(HOSTILE), "")), path
        assert "{{1234567*3}}" not in text or "3703701" not in text
    assert HOSTILE in names(page(live, "/", inside))


def test_nothing_stands_inline(live: Live, inside: dict[str, str]) -> None:
    """D4: a page has neither inline style nor inline script, and names no other host."""
    fill(live, 3)
    person = live.crm.customers.get("p001@example.com")
    assert person is not None
    for path in ("/", "/?q=(", f"/customers/{person.id}", "/customers/x"):
        text = page(live, path, inside).text
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert not re.search(r'(?:href|src|action)="(?:\w+:|//)', text)


def test_the_person_has_a_page(live: Live, inside: dict[str, str]) -> None:
    fill(live, 2)
    live.crm.customers.change_email("p001@example.com", "new@example.com")
    person = live.crm.customers.get("new@example.com")
    assert person is not None
    text = page(live, f"/customers/{person.id}", inside).text
    for each in ("Person 001", "new@example.com", "p001@example.com", "mrr", "source", "History"):
        assert each in text
    assert page(live, "/customers/6f1c0f0e-0000-7000-8000-000000000000", inside).status == 404


def test_static_files_are_kept_and_nothing_else_is_served(
    live: Live, inside: dict[str, str]
) -> None:
    text = page(live, "/", inside).text
    found = re.findall(r'(?:href|src)="(/assets/[^"#]*)', text)
    assert {each.rpartition("/")[2] for each in found} >= {"tinycrm.css", "tinycrm.js", "mark.svg"}
    for each in found:
        answer = live.ask("GET", each)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
    folder = found[0].rpartition("/")[0]
    for name in ("..%2Frender.py", "%2e%2e", "customers.html", ""):
        assert live.ask("GET", f"{folder}/{name}").status == 404


@pytest.fixture
def mounted() -> Iterator[Live]:
    """A server that believes to live below a prefix."""
    with TinyCRM() as crm, serving(crm, root_path="/crm") as server:
        yield server


def test_links_keep_the_prefix(mounted: Live) -> None:
    mounted.crm.project("shop").identify("a@example.com", status="paid")
    answer = mounted.ask("GET", f"/enter?code={mounted.entrance.new_code()}")
    assert answer.headers["location"] == "/crm/"
    assert "path=/crm/" in answer.headers["set-cookie"].lower()
    inside = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    text = mounted.ask("GET", "/", headers=inside).text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    assert len(links) > 10
    assert not [each for each in links if not each.startswith(("/crm/", "#", "?", "customers/"))]
