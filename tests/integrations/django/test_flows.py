"""Sign-up, login, a changed address and a deletion, as visitors of a live product see them.

django-allauth in its quick-start configuration, under ATOMIC_REQUESTS, on SQLite, by WSGI and ASGI.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.integrations.django.live import Shop, Site
from tests.patience import eventually


def test_a_sign_up_is_one_event_though_three_signals_tell_it(site: Site) -> None:
    """F9: Django's post_save, allauth's sign-up, and the login that follows."""
    visitor = site.visitor()
    visitor.sign_up("Ann@Example.com")
    person = site.person("ann@example.com")
    assert person.on("shop").status == "free"
    site.settled()
    (entry,) = site.crm.customers.history("ann@example.com")
    assert entry.via == "django"
    assert list(entry.changes) == ["status"]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_f2_three_logins_are_activity_and_change_no_status(
    make_shop: Callable[..., Shop], kind: str
) -> None:
    with make_shop(window=0).serve(kind) as site:
        for status in ("paid", "churned"):
            email = f"{status}@example.com"
            visitor = site.visitor()
            visitor.sign_up(email)
            site.settled()
            site.crm.identify(email, status=status, active=False)
            entries = len(site.crm.customers.history(email))
            for _ in range(3):
                seen = site.person(email).last_seen_at
                visitor.log_out()
                visitor.log_in(status)
                eventually(lambda seen=seen, email=email: site.person(email).last_seen_at != seen)
            site.settled()
            assert site.person(email).on("shop").status == status
            assert len(site.crm.customers.history(email)) == entries


def test_an_address_changed_in_allauth_keeps_the_person(site: Site) -> None:
    visitor = site.visitor()
    visitor.sign_up("old.address@example.com")
    first = site.person("old.address@example.com")
    visitor.submit("/accounts/email/", email="new.address@example.com", action_add="")
    links = re.findall(
        r"http://\S+/accounts/confirm-email/\S+/", visitor.mails("new.address@example.com")
    )
    visitor.submit(links[-1])
    page = visitor.get("/accounts/email/").text
    assert "new.address@example.com" in page
    answer = visitor.submit("/accounts/email/", email="new.address@example.com", action_primary="")
    assert answer.status_code == 200
    renamed = eventually(
        lambda: (
            found
            if (found := site.person("old.address@example.com")).email != first.email
            else None
        )
    )
    assert renamed.id == first.id
    assert renamed.email == "new.address@example.com"
    assert renamed.aliases == ("old.address@example.com",)


def test_an_address_changed_without_allauth_keeps_the_person(site: Site) -> None:
    visitor = site.visitor()
    visitor.sign_up("before@example.com")
    first = site.person("before@example.com")
    assert visitor.http.post("/plain-email/", data={"email": "after@example.com"}).text == "ok"
    after = site.person("after@example.com")
    assert after.id == first.id
    assert eventually(lambda: site.person("after@example.com").aliases) == ("before@example.com",)


def test_f10_an_address_that_nobody_confirmed_takes_over_nobody(site: Site) -> None:
    victim, thief = site.visitor(), site.visitor()
    victim.sign_up("victim@example.com")
    thief.sign_up("thief@example.com")
    first, second = site.person("victim@example.com"), site.person("thief@example.com")
    thief.http.post("/plain-email/", data={"email": "victim@example.com"})
    site.settled()
    assert site.person("victim@example.com").id == first.id
    assert site.person("thief@example.com").id == second.id


def test_a_deleted_user_has_churned(site: Site) -> None:
    visitor = site.visitor()
    visitor.sign_up("leaving@example.com")
    site.settled()
    seen = site.person("leaving@example.com").last_seen_at
    assert visitor.get("/delete/").text == "gone"
    eventually(lambda: site.person("leaving@example.com").on("shop").status == "churned")
    assert site.person("leaving@example.com").last_seen_at == seen
    visitor.sign_up("leaving@example.com")
    eventually(lambda: site.person("leaving@example.com").on("shop").status == "free")


def test_f3_a_sign_up_that_is_rolled_back_leaves_nothing(site: Site) -> None:
    """By the request (ATOMIC_REQUESTS), and by a savepoint inside one that succeeds."""
    assert site.visitor().http.post("/broken-signup/").status_code == 500
    assert site.visitor().http.post("/savepoint-signup/").text == "ok"
    site.person("kept@example.com")
    site.settled()
    assert site.crm.customers.get("broken@example.com") is None
    assert site.crm.customers.get("undone@example.com") is None


def test_a_visit_soon_after_a_login_is_not_told_again(site: Site) -> None:
    visitor = site.visitor()
    visitor.sign_up("visiting@example.com")
    site.settled()
    first = site.person("visiting@example.com").last_seen_at
    visitor.get("/me/")  # the login was a visit, a moment ago
    site.settled()
    assert site.person("visiting@example.com").last_seen_at == first


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_visit_is_activity(make_shop: Callable[..., Shop], kind: str) -> None:
    """Also one to an asynchronous view, but not one to a page that asks not who it is."""
    with make_shop(window=0, tinycrm={"PING_INTERVAL": 1e-6}).serve(kind) as site:
        visitor = site.visitor()
        visitor.sign_up("visiting@example.com")
        for path in ("/me/", "/ame/"):
            site.settled()
            seen = site.person("visiting@example.com").last_seen_at
            assert visitor.get("/").text == "hello"
            site.settled()
            assert site.person("visiting@example.com").last_seen_at == seen
            assert visitor.get(path).text == "visiting@example.com"
            eventually(lambda seen=seen: site.person("visiting@example.com").last_seen_at != seen)


def test_f10_headers_make_nobody_known(site: Site) -> None:
    headers = {"X-User-Email": "forged@example.com", "X-Forwarded-User": "forged@example.com"}
    visitor = site.visitor()
    assert visitor.get("/me/", headers=headers).status_code == 200
    site.settled()
    assert site.crm.customers.get("forged@example.com") is None


def test_the_product_reports_a_purchase_itself(site: Site) -> None:
    visitor = site.visitor()
    visitor.sign_up("buyer@example.com")
    assert visitor.get("/buy/").text == "thank you"
    eventually(lambda: site.person("buyer@example.com").on("shop").status == "paid")
    assert site.person("buyer@example.com").on("shop").params == {"plan": "pro"}


def test_nothing_of_this_was_a_failure(site: Site) -> None:
    assert "TinyCRM:" not in site.log
