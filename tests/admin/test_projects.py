"""The pages about products: create, rename, colour, delete; keys made, shown once, revoked."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from tests.admin.conftest import Answer, Browser
from tests.admin.page_forms import form, forms, send
from tinycrm_core.directory import Keys, Projects
from tinycrm_core.errors import NotFound, TookTooLong
from tinycrm_core.keys import hash_key
from tinycrm_core.model import HUES
from tinycrm_core.people import Customers
from tinycrm_integrations.web.pages import projects_cards

SECRET = re.compile(r"tcrm_(?:proj|acct)_[0-9A-Za-z]{33}")
EVIL = "\"><img src=x onerror=alert(1)>'</script>"


def secret(answer: Answer) -> str:
    """The one key in full on a page."""
    found = set(SECRET.findall(answer.text))
    assert len(found) == 1
    return str(found.pop())


def reason(answer: Answer, field: str) -> str:
    """What is said beside a field."""
    found = re.search(rf'id="{field}-reason" role="alert">([^<]*)', answer.text)
    assert found, answer.text
    assert re.search(rf'aria-invalid="true" aria-describedby="{field}-reason"', answer.text)
    return html.unescape(found[1])


def heading(answer: Answer) -> str:
    found = re.search("<h1>(.*?)</h1>", answer.text, re.DOTALL)
    assert found
    return html.unescape(re.sub("<[^>]*>", "", found[1])).strip()


# All products -----------------------------------------------------------------------------------
def test_products_stand_in_order_with_people_by_status(admin: Browser) -> None:
    for number in range(3):
        admin.crm.project("shop").identify(f"p{number}@example.com", status="paid")
    admin.crm.project("shop").identify("p2@example.com", status="churned")
    admin.crm.project("news").identify("p0@example.com")
    admin.crm.keys.create("shop", label="till")
    page = admin.get("/projects")
    assert heading(page) == "Two products, one key in use"
    assert re.findall(r'class="proj hue-(\w+)"', page.text) == ["leaf", "violet"]
    assert "<b>3</b> people" in page.text
    assert (
        'href="/a%20b/crm/?status@shop=churned"><span class="status churned">1 churned' in page.text
    )
    assert "till" in page.text
    assert 'aria-current="page">Projects' in page.text


def test_nothing_yet_is_said(admin: Browser) -> None:
    page = admin.get("/projects")
    assert heading(page) == "No products, no keys in use"
    assert form(page, "/projects").fields == [("name", ""), ("slug", ""), ("hue", HUES[0])]


def test_a_count_that_takes_too_long_leaves_the_page_alone(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.crm.projects.add("shop")

    def slow(*_: object, **__: object) -> None:
        raise TookTooLong("the database gave up")

    monkeypatch.setattr(Customers, "tally", slow)
    page = admin.get("/projects")
    assert page.status == 200
    assert "not counted" in page.text
    assert 'href="/a%20b/crm/projects?count=all"' in page.text


# A new one --------------------------------------------------------------------------------------
def test_a_product_is_created_with_its_first_key_shown_once(admin: Browser) -> None:
    page = admin.get("/projects")
    made = send(admin, page, "/projects", name="Status Page", hue="rose")
    assert made.status == 200
    key = secret(made)
    (project,) = admin.crm.projects.list()
    assert (project.slug, project.name, project.hue) == ("status-page", "Status Page", "rose")
    ((stored, owner),) = admin.crm.keys.list()
    assert (stored.hash, owner) == (hash_key(key), "status-page")
    for path in ("/projects", "/projects/status-page"):
        assert key not in admin.get(path).text
    assert key not in str(made.response.headers)
    assert key not in "".join(re.findall(r'(?:href|action|value)="([^"]*)"', made.text))


def test_sending_it_again_makes_neither_a_second_product_nor_key(admin: Browser) -> None:
    page = admin.get("/projects")
    send(admin, page, "/projects", name="Shop")
    again = send(admin, page, "/projects", name="Shop")
    assert again.status == 409
    assert reason(again, "slug") == "Shop exists already."
    assert len(admin.crm.keys.list()) == 1


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": "Shop", "slug": "Not A Slug"}, "slug"),
        ({"name": "", "slug": ""}, "slug"),
        ({"name": "日本", "slug": ""}, "slug"),
        ({"name": "x" * 101, "slug": "shop"}, "name"),
        ({"name": "a\x00b", "slug": "shop"}, "name"),
        ({"name": "Shop", "slug": "shop", "hue": "beige"}, "hue"),
        ({"name": EVIL, "slug": EVIL}, "slug"),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_nothing_is_lost(
    admin: Browser, typed: dict[str, str], field: str
) -> None:
    answer = send(admin, admin.get("/projects"), "/projects", **typed)
    assert answer.status == 422
    assert f'id="{field}-reason"' in answer.text
    kept = dict(form(answer, "/projects").fields)
    assert (kept["name"], kept["slug"]) == (typed["name"], typed["slug"])
    assert "<img" not in answer.text
    assert admin.crm.projects.list() == ()


# One product ------------------------------------------------------------------------------------
def test_a_product_gets_another_name_slug_and_colour(admin: Browser) -> None:
    admin.crm.project("shop").identify("ann@example.com", status="paid")
    page = admin.get("/projects/shop")
    assert heading(page) == "shop has 1 person and no keys"
    answer = send(admin, page, "/projects/shop", name="The Shop", slug="store", hue="teal")
    assert answer.location.startswith("/a%20b/crm/projects/store?done=project-changed")
    after = admin.follow(answer)
    assert heading(after) == "The Shop has 1 person and no keys"
    assert "The product was changed." in after.text
    (project,) = admin.crm.projects.list()
    assert (project.slug, project.name, project.hue) == ("store", "The Shop", "teal")


@pytest.mark.parametrize(
    ("typed", "field", "status"),
    [
        ({"slug": "news"}, "slug", 409),
        ({"slug": ""}, "slug", 422),
        ({"slug": "../x"}, "slug", 422),
        ({"name": ""}, "name", 422),
        ({"hue": ""}, "hue", 422),
    ],
)
def test_a_wrong_change_keeps_what_was_typed(
    admin: Browser, typed: dict[str, str], field: str, status: int
) -> None:
    before = admin.crm.projects.add("shop"), admin.crm.projects.add("news")
    values = {"name": "Typed", **typed}
    answer = send(admin, admin.get("/projects/shop"), "/projects/shop", **values)
    assert answer.status == status
    assert f'id="{field}-reason"' in answer.text
    kept = dict(form(answer, "/projects/shop").fields)
    assert kept["name"] == values["name"]
    assert admin.crm.projects.list() == before


def test_products_are_moved_up_and_down_with_their_badges(admin: Browser) -> None:
    for slug in ("shop", "news", "blog"):
        admin.crm.project(slug).identify("ann@example.com")

    def order(page: Answer) -> list[str]:
        return re.findall(r'<section class="proj[^>]*id="product-([^"]*)"', page.text)

    def moves(page: Answer, slug: str) -> list[tuple[str, str]]:
        start = page.text.index(f'id="product-{slug}"')
        text = page.text[start : page.text.index("</header>", start)]
        return re.findall(r'name="place" value="(\d+)">(\w+)', text)

    page = admin.get("/projects")
    assert order(page) == ["shop", "news", "blog"]
    assert moves(page, "shop") == [("1", "Down")]
    assert moves(page, "news") == [("0", "Up"), ("2", "Down")]
    assert moves(page, "blog") == [("1", "Up")]
    answer = admin.post("/projects/blog/move", {"place": "1"})
    assert answer.location.endswith("#product-blog")
    page = admin.get(answer.location.partition("#")[0])
    assert order(page) == ["shop", "blog", "news"]
    assert "The products have a new order" in page.text
    badges = re.findall(r'class="badge[^"]*"[^>]*>(\w+)', admin.get("/").text)
    assert badges == ["shop", "blog", "news"]
    gone = admin.post("/projects/nowhere/move", {"place": "1"})
    assert (gone.status, heading(gone)) == (404, "This product is not there")
    for wrong in ("", "x", "-1", "1.5", "9" * 20):
        assert admin.post("/projects/blog/move", {"place": wrong}).status == 422
    assert order(admin.get("/projects")) == ["shop", "blog", "news"]


def test_deleting_takes_the_typed_slug(admin: Browser) -> None:
    admin.crm.project("shop").identify("ann@example.com")
    admin.crm.keys.create("shop")
    page = admin.get("/projects/shop")
    for typed in ("", "news", "Shop", EVIL):
        answer = send(admin, page, "/projects/shop/delete", confirm=typed)
        assert answer.status == 422
        assert "Type shop to delete it." in reason(answer, "confirm")
        assert dict(form(answer, "/delete").fields)["confirm"] == typed
    assert len(admin.crm.projects.list()) == 1
    gone = send(admin, page, "/projects/shop/delete", confirm="shop")
    assert "The people stay." in admin.follow(gone).text
    assert admin.crm.projects.list() == ()
    assert admin.crm.customers.count() == 1


def test_a_product_that_is_gone_meanwhile_has_a_clear_page(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    page = admin.get("/projects/shop")
    admin.crm.projects.delete("shop")
    sent = [admin.get("/projects/shop")]
    sent += [admin.post(each.action, each.fields) for each in forms(page) if "/shop" in each.action]
    assert len(sent) == 4
    for answer in sent:
        assert answer.status == 404
        assert heading(answer) == "This product is not there"
        assert 'href="/a%20b/crm/projects"' in answer.text
    assert admin.crm.projects.list() == (), "nothing was created by writing to it"


@pytest.mark.parametrize(
    ("owner", "call", "ending", "typed"),
    [
        (Projects, "rename", "/shop", {"name": "New"}),
        (Projects, "delete", "/delete", {"confirm": "shop"}),
        (Keys, "create", "/keys", {"label": "till"}),
    ],
)
def test_losing_a_race_against_whoever_deletes_it(
    admin: Browser,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    call: str,
    ending: str,
    typed: dict[str, str],
) -> None:
    admin.crm.projects.add("shop")
    page = admin.get("/projects/shop")
    action = form(page, f"/projects/shop{ending.removeprefix('/shop')}")

    def lost(*_: object, **__: object) -> None:
        raise NotFound("project: gone")

    monkeypatch.setattr(owner, call, lost)
    answer = admin.post(action.action, action.filled(**typed))
    assert answer.status == 404
    assert heading(answer) == "This product is not there"


# Keys -------------------------------------------------------------------------------------------
def test_a_second_key_for_rotation_and_then_no_third(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    first = send(admin, admin.get("/projects/shop"), "/projects/shop/keys", label="one")
    assert "The older key goes on working" not in first.text
    second = send(admin, first, "/projects/shop/keys", label="two")
    assert secret(first) != secret(second)
    assert "The older key goes on working" in second.text
    page = admin.get("/projects/shop")
    assert "Both are in use" in page.text
    assert "New key" not in admin.get("/projects").text
    known = " ".join(sorted(str(key.id) for key, _ in admin.crm.keys.list()))
    third = admin.post("/projects/shop/keys", {"label": "three", "seen": known})
    assert third.status == 409
    assert "revoke one first" in reason(third, "label")
    assert len(admin.crm.keys.list()) == 2


def test_a_key_form_that_is_sent_twice_makes_one_key(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    page = admin.get("/projects/shop")
    send(admin, page, "/projects/shop/keys", label="one")
    again = send(admin, page, "/projects/shop/keys", label="one")
    assert again.status == 409
    assert "No key was made" in reason(again, "label")
    assert dict(form(again, "/keys").fields)["label"] == "one"
    assert not SECRET.search(again.text)
    assert len(admin.crm.keys.list()) == 1


def test_a_key_is_revoked(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    made = send(admin, admin.get("/projects/shop"), "/projects/shop/keys", label="till")
    found = admin.crm.store.find_key(hash_key(secret(made)))
    assert found
    answer = send(admin, admin.get("/projects/shop"), "/revoke")
    assert answer.location.startswith("/a%20b/crm/projects/shop?")
    assert "The key was revoked" in admin.follow(answer).text
    assert admin.crm.store.find_key(hash_key(secret(made))) is None
    again = send(admin, made, "/revoke")
    assert again.status == 303, "revoking what is revoked changes nothing"


@pytest.mark.parametrize("ident", ["x", "0190d6c8-0000-7000-8000-000000000001", EVIL])
def test_a_key_that_never_was_has_a_clear_page(admin: Browser, ident: str) -> None:
    answer = admin.post(f"/keys/{ident.replace('/', '')}/revoke")
    assert answer.status == 404
    assert heading(answer) == "This key is not there"


def test_keys_of_the_account_have_a_scope(admin: Browser) -> None:
    page = admin.get("/projects")
    made = send(admin, page, "/keys", label="reports", scope="admin")
    assert made.status == 200
    ((key, owner),) = admin.crm.keys.list()
    assert (key.hash, key.scope, owner) == (hash_key(secret(made)), "admin", None)
    assert "to administer" in made.text
    wrong = send(admin, admin.get("/projects"), "/keys", label="reports", scope="everything")
    assert wrong.status == 422
    assert "read or admin" in reason(wrong, "scope")
    revoked = send(admin, admin.get("/projects"), "/revoke")
    assert revoked.location.startswith("/a%20b/crm/projects?")


def test_a_key_nobody_used_for_long_is_pointed_out(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.crm.projects.add("shop")
    admin.crm.keys.create("shop", label="till")
    assert 'class="flag">never' not in admin.get("/projects").text
    monkeypatch.setattr(projects_cards, "IDLE", timedelta(seconds=-1))
    assert 'class="flag">never' in admin.get("/projects").text


def test_d1_hostile_names_and_labels_stay_words(admin: Browser) -> None:
    admin.crm.projects.add("shop", name=EVIL)
    admin.crm.keys.create("shop", label=EVIL)
    for path in ("/projects", "/projects/shop", "/overlap"):
        text = admin.get(path).text
        assert "<img" not in text
        assert EVIL in html.unescape(text)


def test_d3_looking_changes_nothing(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    admin.crm.keys.create("shop")
    before = admin.crm.projects.list(), admin.crm.keys.list()
    ((key, _),) = before[1]
    for path in ("/projects", "/projects/shop", "/projects/shop/delete", "/projects/shop/keys"):
        assert admin.get(path).status in (200, 405)
    assert admin.get(f"/keys/{key.id}/revoke").status == 405
    for action in ("/projects", "/projects/shop", "/projects/shop/delete", "/keys"):
        refused = admin.post(action, {"confirm": "shop", "name": "x"}, site="cross-site")
        assert refused.status == 403
    assert (admin.crm.projects.list(), admin.crm.keys.list()) == before


def test_every_form_carries_the_field_of_the_host(admin: Browser) -> None:
    admin.crm.projects.add("shop")
    admin.crm.keys.create("shop")
    admin.csrf = ("csrf_token", "t0ken")
    for path in ("/projects", "/projects/shop"):
        posting = [each for each in forms(admin.get(path)) if each.method == "post"]
        assert len(posting) >= 3
        for each in posting:
            assert ("csrf_token", "t0ken") in each.fields
