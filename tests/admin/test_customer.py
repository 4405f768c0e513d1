"""The page of one person, and what can be done to them there."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from tests.admin.conftest import Answer, Browser
from tests.admin.page_forms import form, forms, send
from tests.admin.test_projects import EVIL, heading, reason
from tinycrm_core.bound import BoundProject
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Conflict, Forgotten
from tinycrm_core.model import Customer
from tinycrm_core.people import Customers
from tinycrm_core.testing import day, on, person

ANN, BOB = "ann@example.com", "bob@example.com"


def path(crm: TinyCRM, email: str = ANN) -> str:
    return f"/customers/{person(crm, email).id}"


def changes(answer: Answer) -> list[str]:
    """The lines of the history as text, newest first."""
    rows = re.findall(
        r'<ul class="changes">(.*?)</ul></td>\s*<td class="quiet">([^<]*)', answer.text, re.DOTALL
    )
    plain = [(re.sub(r"<[^>]*>", " ", what), via) for what, via in rows]
    return [html.unescape(f"{' '.join(what.split())} | {via}") for what, via in plain]


# What it shows ----------------------------------------------------------------------------------
def test_products_stand_side_by_side_with_params_down_to_the_leaves(admin: Browser) -> None:
    shop = admin.crm.project("shop")
    admin.crm.projects.add("blog")
    shop.identify(
        ANN,
        name="Ann",
        status="paid",
        params={"plan": "pro", "billing": {"card": {"brand": "visa"}}, "tags": ["a"], "gone": None},
        at=day(1),
    )
    admin.crm.project("news").identify(ANN, status="trial", at=day(3))
    page = admin.get(path(admin.crm))
    assert heading(page).replace("\n", " ") == "Ann is paid on shop, and on trial on news"
    assert "Not on blog." in page.text
    assert re.search(r"Last active <time[^>]*>[^<]*</time> on news\.", page.text)
    text = html.unescape(page.text)
    for name, value in (
        ("plan", "pro"), ("billing.card.brand", "visa"), ("tags", '["a"]'), ("gone", "null"),
    ):  # fmt: skip
        assert re.search(
            rf"<code>{re.escape(name)}</code></dt><dd>(<a[^>]*>)?{re.escape(value)}<",
            text.replace("<wbr>", ""),
        )


def test_every_value_leads_to_those_who_share_it(admin: Browser) -> None:
    shop = admin.crm.project("shop")
    shop.identify(ANN, params={"plan": "pro", "a": {"b c": {"d": 5}}, "on": True, "no": None})
    shop.identify(BOB, params={"plan": "free"}, at=day(1))
    page = admin.get(path(admin.crm))
    links = [html.unescape(each) for each in re.findall(r'<dd><a href="([^"]*)"', page.text)]
    assert len(links) == 5
    for link in links:
        found = admin.crm.customers.find(parse_qsl(urlsplit(link).query))
        assert [each.email for each in found] == [ANN], link


def test_many_params_fold(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN, params={f"k{n:03}": n for n in range(256)})
    page = admin.get(path(admin.crm))
    assert '<summary class="link">236 more</summary>' in page.text
    assert "k255" in page.text


def test_a_person_on_many_products_keeps_a_short_sentence(admin: Browser) -> None:
    for number in range(10):
        admin.crm.project(f"p{number}").identify(ANN)
    page = admin.get(path(admin.crm))
    assert heading(page).endswith("is free on p0, p1, p2, p3 and 6 more")
    chosen = send(admin, page, path(admin.crm), history="p7")
    assert changes(chosen) == ["joined as free | call"]
    admin.crm.projects.delete("p7")
    assert '<span class="quiet">deleted</span>' in admin.get(path(admin.crm)).text


def test_addresses_tell_how_they_came(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify("old@example.com")
    crm.customers.change_email("old@example.com", ANN)
    crm.project("shop").identify(BOB)
    crm.customers.merge(ANN, BOB)
    page = admin.get(path(crm))
    assert re.search(r"<b>ann@example.com</b>", page.text)
    assert re.search(r"<span>old@example.com</span> <small>until <time", page.text)
    assert re.search(r"<span>bob@example.com</span> <small>merged <time", page.text)


def test_history_tells_who_what_and_from_what_to_what(admin: Browser) -> None:
    crm = TinyCRM.over(admin.crm.store, via="till")
    crm.project("shop").identify(ANN, name="Ann", params={"plan": "free", "old": 1})
    crm.project("shop").identify(ANN, status="paid", params={"plan": "pro"}, unset=["old"])
    crm.project("shop").identify(ANN, status="free", at=day(1))
    crm.customers.change_email(ANN, "new@example.com")
    page = admin.get(path(crm, "new@example.com"))
    assert changes(page) == [
        "email ann@example.com new@example.com | till",
        "status free, too late to count | till, as of 2 Jan 2026",
        "status free paid plan free pro old 1 removed | till",
        "joined as free name Ann plan free old 1 | till",
    ]


def test_history_by_product_and_page_by_page(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinycrm_integrations.web.pages.customer_history.PAGE", 4)
    for number in range(10):
        admin.crm.project("shop").identify(ANN, params={"n": number})
    for number in range(3):
        admin.crm.project("news").identify(ANN, params={"m": number})
    here = path(admin.crm)
    assert len(changes(admin.get(f"{here}?history=news"))) == 3
    seen, address, pages = [], f"{here}?history=shop", 0
    while True:
        page = admin.get(address)
        seen += changes(page)
        pages += 1
        admin.crm.project("shop").identify(ANN, params={"later": pages})
        older = re.search(r'rel="next" href="([^"#]*)', page.text)
        if older is None:
            break
        address = html.unescape(older[1])
    assert [re.findall(r"\d+", each)[-1] for each in seen] == [str(n) for n in range(9, -1, -1)]
    assert pages == 3, "entries that arrive meanwhile move no page"
    assert "Newest" in page.text
    for odd in ("?history=nope", "?after="):
        assert len(changes(admin.get(here + odd))) == 4
    for wrong in ("?after=x", "?after=-1", "?after=٣"):
        assert admin.get(here + wrong).status == 422


@pytest.mark.parametrize(
    "ident", ["x", "0190d6c8-0000-7000-8000-000000000001", "%00", "..", "é", "5" * 300]
)
def test_nobody_has_a_clear_page(admin: Browser, ident: str) -> None:
    for ending in ("", "/change", "/delete", "/export"):
        answer = admin.get(f"/customers/{ident}{ending}")
        assert answer.status == 404
        assert heading(answer) == "There is nobody here"
    for ending in ("email", "name", "status", "delete"):
        assert admin.post(f"/customers/{ident}/{ending}").status == 404


def test_export_is_everything_as_a_file(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN, name="Änn", params={"a": "\u2028☃"})
    answer = admin.get(f"{path(admin.crm)}/export")
    assert json.loads(answer.body) == admin.crm.customers.export_person(ANN)
    assert answer.header("Content-Type") == "application/json"
    assert str(answer.header("Content-Disposition")).startswith("attachment;")
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Cache-Control") == "no-store"


# Changing ---------------------------------------------------------------------------------------
def test_the_main_email_is_changed_and_the_old_one_stays(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN)
    page = admin.get(f"{path(admin.crm)}/change")
    after = admin.follow(send(admin, page, "/email", email=" New@Example.com "))
    assert "The change was saved." in after.text
    assert person(admin.crm, ANN).email == "new@example.com"
    assert changes(after)[0] == "email ann@example.com new@example.com | admin mara"


@pytest.mark.parametrize(("typed", "said"), [("", "empty"), ("ann", "@"), ("a b@example.com", "")])
def test_a_wrong_address_stands_there_with_the_reason(
    admin: Browser, typed: str, said: str
) -> None:
    admin.crm.project("shop").identify(ANN)
    before = admin.crm.customers.export_person(ANN)
    answer = send(admin, admin.get(f"{path(admin.crm)}/change"), "/email", email=typed)
    assert answer.status == 422
    assert said in reason(answer, "email")
    assert dict(form(answer, "/email").fields)["email"] == typed
    assert admin.crm.customers.export_person(ANN) == before


def test_a_forgotten_address_is_refused(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN)
    admin.crm.customers.delete(BOB, forget=True)
    answer = send(admin, admin.get(f"{path(admin.crm)}/change"), "/email", email=BOB)
    assert answer.status == 422
    assert "forgotten" in reason(answer, "email")


def test_somebody_elses_address_is_no_silent_merge(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN)
    crm.project("shop").identify(BOB, name="Bob")
    answer = send(admin, admin.get(f"{path(crm)}/change"), "/email", email=BOB)
    assert answer.status == 409
    assert reason(answer, "email").endswith("this address belongs to Bob, bob@example.com.")
    assert crm.customers.count() == 2
    offered = re.search(r'href="([^"]*/merge\?[^"]*)"', answer.text)
    assert offered
    merging = admin.get(html.unescape(offered[1]))
    assert heading(merging) == "Merge ann@example.com into bob@example.com"


def test_an_address_that_is_taken_at_this_moment_is_told_as_a_merge(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN)
    page = admin.get(f"{path(crm)}/change")
    change = Customers.change_email

    def late(self: Customers, old: str, new: str) -> object:
        crm.project("shop").identify(BOB)
        return change(self, old, new)

    monkeypatch.setattr(Customers, "change_email", late)
    answer = send(admin, page, "/email", email=BOB)
    after = admin.follow(answer)
    assert "Merged into one person." in after.text
    assert heading(after).startswith(BOB)


def test_the_name_is_changed_through_identify(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN, name="Ann", at="2200-01-01", active=False)
    page = admin.get(f"{path(admin.crm)}/change")
    after = admin.follow(send(admin, page, "/name", name=" Ann Lee "))
    assert person(admin.crm, ANN).name == "Ann Lee"
    assert person(admin.crm, ANN).last_seen_at is None, "changing is nobody's activity"
    assert changes(after)[0] == "name Ann Ann Lee | admin mara"
    for typed in ("", "  ", "a\x00b", "x" * 100_000):
        answer = send(admin, page, "/name", name=typed)
        assert answer.status == 422
        assert reason(answer, "name")
    assert person(admin.crm, ANN).name == "Ann Lee"


def test_somebody_on_no_product_keeps_the_name(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN, name="Ann")
    admin.crm.projects.delete("shop")
    page = admin.get(f"{path(admin.crm)}/change")
    answer = send(admin, page, "/name", name="Other")
    assert answer.status == 422
    assert admin.crm.projects.list() == ()
    assert heading(admin.get(path(admin.crm))) == "Ann is on no product"


def test_only_statuses_that_were_changed_are_written(admin: Browser) -> None:
    crm = admin.crm
    crm.projects.add("blog")
    crm.project("shop").identify(ANN, status="trial")
    crm.project("news").identify(ANN, status="free")
    page = admin.get(f"{path(crm)}/change")
    crm.project("shop").identify(ANN, status="paid")
    answer = send(admin, page, "/status", **{"status-news": "churned"})
    after = admin.follow(answer)
    assert [(m.project, m.status) for m in person(crm, ANN).memberships] == [
        ("shop", "paid"), ("news", "churned"),
    ]  # fmt: skip
    assert changes(after)[0] == "status free churned | admin mara"
    send(admin, page, "/status", **{"status-blog": "trial"})
    assert on(crm, "blog", ANN).status == "trial"


def test_a_status_that_is_none_is_refused_as_a_whole(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN)
    crm.project("news").identify(ANN)
    page = admin.get(f"{path(crm)}/change")
    answer = send(admin, page, "/status", **{"status-news": "paid", "status-shop": "payd"})
    assert answer.status == 422
    assert "free, trial, paid, churned" in reason(answer, "status-shop")
    assert {m.status for m in person(crm, ANN).memberships} == {"free"}
    assert dict(form(answer, "/status").fields)["status-news"] == "paid"


# Deleting ---------------------------------------------------------------------------------------
def test_deleting_takes_the_typed_address(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN, name="Ann")
    page = admin.get(f"{path(crm)}/delete")
    for typed in ("", "Ann", BOB, EVIL):
        answer = send(admin, page, "/delete", confirm=typed, forget="yes")
        assert answer.status == 422
        assert "Type ann@example.com" in reason(answer, "confirm")
        assert ("forget", "yes") in form(answer, "/delete").fields
    assert crm.customers.count() == 1
    after = admin.follow(send(admin, page, "/delete", confirm=" ANN@example.com"))
    assert "The person was deleted" in after.text
    assert crm.customers.count() == 0
    crm.project("shop").identify(ANN)


def test_forgetting_refuses_the_address_from_then_on(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN)
    page = admin.get(f"{path(admin.crm)}/delete")
    assert "Also refuse this address" in page.text
    after = admin.follow(send(admin, page, "/delete", confirm=ANN, forget="yes"))
    assert "refused from now on" in after.text
    with pytest.raises(Forgotten):
        admin.crm.project("shop").identify(ANN)


def test_somebody_deleted_meanwhile_comes_back_by_no_form(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN, name="Ann")
    here = path(crm)
    pages = [admin.get(f"{here}/change"), admin.get(f"{here}/delete")]
    crm.customers.delete(ANN)
    sent = [form for page in pages for form in forms(page) if here in form.action]
    assert len(sent) == 4
    for each in sent:
        answer = admin.post(each.action, each.filled(confirm=ANN))
        assert answer.status == 404
        assert heading(answer) == "There is nobody here"
    assert crm.customers.count() == 0


def test_a_conflict_inside_is_no_crash(admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.crm.project("shop").identify(ANN)
    page = admin.get(f"{path(admin.crm)}/change")

    def refused(*_: object) -> None:
        raise Conflict("somebody was quicker")

    monkeypatch.setattr(Customers, "change_email", refused)
    assert send(admin, page, "/email", email=BOB).status == 404


# Guards -----------------------------------------------------------------------------------------
def test_d1_hostile_people_stay_words(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN, name=EVIL, params={EVIL: {EVIL: EVIL}, "a": [EVIL]})
    crm.project("shop").identify(ANN, params={EVIL: "2"}, unset=["a"])
    TinyCRM.over(crm.store, via=EVIL[:60]).project("shop").identify(ANN, status="paid")
    for ending in ("", "/change", "/delete", "?history=" + "shop"):
        text = admin.get(path(crm) + ending).text
        assert not re.search(r"<img|</script><|javascript:", text)
        assert EVIL in html.unescape(text)


def test_d2_no_value_becomes_a_link_to_somewhere_else(admin: Browser) -> None:
    values = {"a": "javascript:alert(1)", "b": "https://evil.example/", "c": "//evil.example"}
    admin.crm.project("shop").identify(ANN, params=values)
    links = re.findall(r'href="([^"]*)"', admin.get(path(admin.crm)).text)
    assert all(re.match(r"/a%20b/crm/|#|\?", link) for link in links)


@pytest.mark.parametrize("ending", ["/name", "/status", "/email"])
def test_somebody_deleted_while_a_form_is_read_does_not_come_back(
    admin: Browser, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    admin.crm.project("shop").identify(ANN, name="Ann")
    page = admin.get(f"{path(admin.crm)}/change")
    typed = {"name": "Other", "status-shop": "paid", "email": "other@example.com"}
    field = {"/name": "name", "/status": "status-shop", "/email": "email"}[ending]
    find: Callable[..., Customer | None] = Customers.get_by_id

    def late(self: Customers, ident: UUID) -> Customer | None:
        found = find(self, ident)
        admin.crm.customers.delete(ANN)
        return found

    monkeypatch.setattr(Customers, "get_by_id", late)
    answer = send(admin, page, ending, **{field: typed[field]})
    assert (answer.status, heading(answer)) == (404, "There is nobody here")
    assert admin.crm.customers.count() == 0


def test_a_product_deleted_while_a_form_is_read_does_not_come_back(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slug in ("shop", "news"):
        admin.crm.project(slug).identify(ANN, name="Ann")
    page = admin.get(f"{path(admin.crm)}/change")
    send_events: Callable[..., Any] = BoundProject.send

    def late(self: BoundProject, *events: Any, **rest: Any) -> Any:
        admin.crm.projects.delete("news")
        return send_events(self, *events, **rest)

    monkeypatch.setattr(BoundProject, "send", late)
    answer = send(admin, page, "/status", **{"status-news": "paid"})
    assert answer.status == 404
    assert [each.slug for each in admin.crm.projects.list()] == ["shop"]


def test_d3_looking_changes_nothing(admin: Browser) -> None:
    crm = admin.crm
    crm.project("shop").identify(ANN)
    before = crm.customers.export_person(ANN)
    for ending in ("", "/change", "/delete", "/export"):
        assert admin.get(path(crm) + ending).status == 200
    for ending in ("email", "name", "status"):
        assert admin.get(f"{path(crm)}/{ending}?email={BOB}&name=x").status == 405
    for ending in ("email", "name", "status", "delete"):
        fields = {"email": BOB, "name": "x", "status-shop": "paid", "confirm": ANN}
        for site in ("cross-site", "same-site", "none", None):
            assert admin.post(f"{path(crm)}/{ending}", fields, site=site).status == 403
    assert crm.customers.export_person(ANN) == before


def test_every_form_carries_the_field_of_the_host(admin: Browser) -> None:
    admin.crm.project("shop").identify(ANN)
    admin.crm.project("shop").identify(BOB)
    admin.crm.customers.merge(ANN, BOB)
    admin.csrf = ("csrf_token", "t0ken")
    for ending, count in (("", 1), ("/change", 3), ("/delete", 1)):
        posting = [
            each for each in forms(admin.get(path(admin.crm) + ending)) if each.method == "post"
        ]
        assert len(posting) >= count
        for each in posting:
            assert ("csrf_token", "t0ken") in each.fields
