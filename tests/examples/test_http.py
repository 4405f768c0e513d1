"""One person in three products, over HTTP: three badges, one row, also with another address."""

from __future__ import annotations

import re

import httpx2

from tests.examples.conftest import Portfolio
from tests.patience import eventually

PASSWORD = "correct horse battery 42"
ADA, LOVELACE = "ada@example.com", "ada@lovelace.example"


def visitor(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=30, trust_env=False, follow_redirects=True)


def fill(client: httpx2.Client, path: str, token: str, **fields: str) -> httpx2.Response:
    """Open a page and send the form on it, with the hidden token it carries."""
    page = client.get(path)
    found = re.search(rf'name="{token}"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    headers = {"Referer": str(client.base_url)}
    return client.post(path, data={**fields, token: found[1]}, headers=headers)


def test_the_same_person_is_one_row_with_three_badges(portfolio: Portfolio) -> None:
    crm, urls = portfolio.crm, portfolio.urls
    with (
        visitor(urls["newsletter"]) as newsletter,
        visitor(urls["shop"]) as shop,
        visitor(urls["links"]) as links,
        visitor(urls["admin"]) as admin,
    ):
        fields = {"email": "Ada@Example.com", "password1": PASSWORD}
        page = fill(newsletter, "/accounts/signup/", "csrfmiddlewaretoken", **fields)
        assert "You are" in page.text, page.text
        fields = {"email": ADA, "password": PASSWORD, "password_confirm": PASSWORD}
        assert "You are" in fill(shop, "/register", "csrf_token", **fields).text
        body = {"email": ADA, "password": PASSWORD}
        assert links.post("/auth/register", json=body).status_code == 201
        login = {"username": ADA, "password": PASSWORD}
        assert links.post("/auth/login", data=login).status_code == 204

        eventually(lambda: len(crm.projects.list()) == 3)  # each comes with its first event
        eventually(lambda: crm.customers.count("project:newsletter project:shop project:links"))
        assert crm.customers.count() == 1
        rows = admin.get("/")
        assert rows.status_code == 200
        assert rows.text.count(f">{ADA}<") == 1

        # Each says something of its own.
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', newsletter.get("/").text)
        assert token
        form = {"csrfmiddlewaretoken": token[1]}
        assert newsletter.post("/weekly", data=form).status_code == 200
        assert shop.post("/buy").status_code == 200
        assert links.put("/handle/ada").json() == {"handle": "ada"}
        eventually(lambda: _has_said_all(portfolio))

        # Another address in one of them, and a visit under it.
        assert links.patch("/users/me", json={"email": LOVELACE}).json()["email"] == LOVELACE
        eventually(lambda: crm.customers.count(f"email:{LOVELACE}"))
        assert links.put("/handle/countess").status_code == 200
        eventually(lambda: crm.customers.count("p.handle:countess"))
        shop.get("/")

        (person,) = crm.customers.find()
        assert (person.email, person.aliases) == (LOVELACE, (ADA,))
        badges = {each.project: str(each.status) for each in person.memberships}
        assert badges == {"newsletter": "free", "shop": "paid", "links": "free"}
        assert LOVELACE in admin.get("/").text
        assert {each.via for each in crm.customers.history(LOVELACE)} == {
            "django",
            "flask",
            "fastapi",
        }


def _has_said_all(portfolio: Portfolio) -> bool:
    found = portfolio.crm.customers.get(ADA)
    assert found is not None
    return (
        found.on("newsletter").params == {"weekly": True}
        and str(found.on("shop").status) == "paid"
        and found.on("links").params == {"handle": "ada"}
    )
