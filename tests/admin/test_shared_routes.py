"""What holds on every route of the admin, those of pages yet to come included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.admin.conftest import Answer, Browser
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.links import ASSETS, Links
from tinycrm_integrations.web.render import CONTENT_SECURITY_POLICY, HEADERS
from tinycrm_integrations.web.routes import Route

ROUTES = list(Admin(TinyCRM("memory://")).routes)
FORBIDDEN = ("unsafe-inline", "unsafe-eval", "http:", "https:", "*")


def label(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(admin: Browser, route: Route, ident: str) -> str:
    """A path that this route answers, about somebody or something there is."""
    named = {"version": Links().version, "name": "tinycrm.css", "slug": "shop", "project": "shop"}
    return re.sub(r"\{(\w+)\}", lambda found: named.get(found[1], ident), route.path)


def somebody(admin: Browser) -> str:
    shop = admin.crm.project("shop")
    shop.identify("ann@example.com", name="Ann", status="paid", params={"mrr": 9})
    shop.identify("bob@example.com")
    admin.crm.segments.add("Payers", "status:paid")
    admin.crm.keys.create("shop")
    return str(shop.identify("ann@example.com").customer_id)


def everything(crm: TinyCRM) -> object:
    """All that can be told about an account."""
    people = [crm.customers.export_person(each.email) for each in crm.customers.stream()]
    kept = [crm.projects.list(), crm.segments.list(), crm.imports.list()]
    return people, kept, [(key.id, key.revoked_at) for key, _ in crm.keys.list()]


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method != "GET"], ids=label)
@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "none"])
def test_d3_nothing_is_written_for_another_site(
    admin: Browser, route: Route, site: str | None
) -> None:
    """D3: not with any field, and not without one."""
    ident = somebody(admin)
    before = everything(admin.crm)
    form = {
        "do": "delete", "old": "Payers", "name": "x", "query": "", "on": "shop", "to": "churned",
        "theme": "dark", "id": ident, "confirm": "ann@example.com", "email": "x@example.com",
    }  # fmt: skip
    for fields in (form, {}):
        answer = admin.post(path_of(admin, route, ident), fields, site=site)
        assert answer.status == 403
        assert not answer.header("Set-Cookie")
    assert everything(admin.crm) == before


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET"], ids=label)
def test_d3_looking_changes_nothing(admin: Browser, route: Route) -> None:
    """D3: also not with the fields of the forms in the address."""
    ident = somebody(admin)
    before = everything(admin.crm)
    path = path_of(admin, route, ident)
    for query in ("", "?do=delete&old=Payers&name=x&on=shop&to=churned", f"?id={ident}"):
        for method in ("GET", "HEAD"):
            answer = admin.get(path + query, method=method)
            assert answer.status < 500
    assert everything(admin.crm) == before


def checked(answer: Answer) -> None:
    """D4 for one answer."""
    assert answer.header("X-Content-Type-Options") == "nosniff"
    if (answer.header("Cache-Control") or "").endswith("immutable"):
        return
    assert answer.header("Cache-Control") == "no-store"
    policy = answer.header("Content-Security-Policy") or ""
    assert "frame-ancestors 'none'" in policy
    assert not [each for each in FORBIDDEN if each in policy.replace("'none'", "")]
    assert answer.header("Referrer-Policy") in ("same-origin", "no-referrer")


@pytest.mark.parametrize("route", ROUTES, ids=label)
def test_d4_every_answer_is_protected(admin: Browser, route: Route) -> None:
    """D4: pages, files, refusals and errors."""
    ident = somebody(admin)
    path = path_of(admin, route, ident)
    answers = [
        admin.get(path),
        admin.get(f"{path}?q=statsu:1&sort=nope&id=nonsense"),
        admin.get(path_of(admin, route, str(uuid4()))),
        admin.post(path, {}),
        admin.post(path, {}, site="cross-site"),
    ]
    for answer in answers:
        if answer.status not in (303, 308):
            checked(answer)


def test_d4_what_is_no_page_is_protected_too(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4, D10: a crash says nothing about itself."""
    assert HEADERS["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    for path in ("/nothing", "/static/x/../../etc/passwd", f"/customers/{uuid4()}", "/customers/x"):
        answer = admin.get(path)
        assert answer.status == 404
        checked(answer)

    def crash(*args: object, **options: object) -> None:
        raise RuntimeError("secret path /srv/crm.db")

    monkeypatch.delenv("TINYCRM_DEBUG")
    monkeypatch.setattr("tinycrm_core.people.Customers.find", crash)
    answer = admin.get("/")
    assert answer.status == 500
    assert "secret" not in answer.text
    checked(answer)


ODD = (
    "q=" + "x" * 20_000,
    "sort=-p.%00",
    "cols=p.%F0%9F%92%A9&cols=p.a..b",
    "after=////&back=x",
    "q=%EF%BF%BD%00",
    urlencode([("status", "paid")] * 2000),
    "=&&&=x&%=%",
    "all=1&all=2",
    "of=p.%22&by=p.%22",
    "by=nonsense",
    "long=1&long=2",
    "on=shop&to=paid&id=",
    "query=%00%26&what=p.%22&how=__&value=%22",
)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET"], ids=label)
def test_no_address_breaks_a_page(admin: Browser, route: Route) -> None:
    ident = somebody(admin)
    for odd in ODD:
        answer = admin.get(f"{path_of(admin, route, ident)}?{odd}")
        assert answer.status < 500
        assert answer.body is not None


# Preferences -----------------------------------------------------------------------------------


def cookies(answer: Answer) -> Iterator[str]:
    return (value for name, value in answer.response.headers if name == "Set-Cookie")


def test_a_theme_is_kept_below_the_mount_only(admin: Browser) -> None:
    answer = admin.post("/preferences", {"theme": "dark", "back": "/a%20b/crm/?q=ann"})
    assert answer.status == 303
    assert answer.location == "/a%20b/crm/?q=ann"
    (cookie,) = cookies(answer)
    assert cookie == "theme=dark; Path=/a%20b/crm/; Max-Age=31536000; SameSite=Lax"
    admin.headers["cookie"] = "theme=dark; keys=off"
    page = admin.get("/")
    assert '<html lang="en" data-theme="dark" data-keys="off">' in page.text
    assert "Turn single keys on" in admin.get("/shortcuts").text
    admin.headers["cookie"] = "theme=%22%3E; keys=x"
    assert '<html lang="en">' in admin.get("/").text
    (cookie,) = cookies(admin.post("/preferences", {"theme": "system"}))
    assert "Max-Age=0" in cookie


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/a%20b/crm/\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "/elsewhere",
        "/a%20b/crmx/",
        "",
    ],
)
def test_d8_the_way_back_stays_in_the_admin(admin: Browser, back: str) -> None:
    """D8: whatever a form names, the answer leads below the mount."""
    answer = admin.post("/preferences", {"theme": "dark", "back": back})
    assert answer.location == "/a%20b/crm/"
    admin.prefix = ""
    answer = admin.post("/preferences", {"theme": "dark", "back": back})
    assert re.fullmatch(r"/([^/\\].*)?", answer.location)
    assert "\r" not in answer.location


@pytest.mark.parametrize("form", [{}, {"theme": "pink"}, {"theme": "dark", "keys": "maybe"}])
def test_a_preference_nobody_offers_is_refused(admin: Browser, form: dict[str, str]) -> None:
    answer = admin.post("/preferences", form)
    assert answer.status == 422
    assert not list(cookies(answer))


def test_assets_are_known_files() -> None:
    assert set(ASSETS) == {"tinycrm.css", "tinycrm.js", "htmx.js", "icons.svg", "mark.svg"}
