"""Flask-Login alone, over HTTP; and what must not happen to a host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_login
import pytest
from flask import Flask
from sqlalchemy import event

from tests.integrations.customers import Customers
from tests.integrations.flask.live import serving, visitor
from tests.integrations.flask.products import login_product
from tinycrm_core import Identify
from tinycrm_integrations.flask import TinyCRM


@pytest.fixture
def app(tmp_path: Path, reported: dict[str, Any]) -> Flask:
    app = login_product(tmp_path, **reported)
    TinyCRM(app)
    return app


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with serving(app) as url:
        yield url


def test_a_sign_up_that_logs_in_is_a_person(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        form = {"email": "ada@example.com", "name": "Ada Lovelace"}
        assert client.post("/sign-up", data=form).status_code == 201
    person = customers.of(app)["ada@example.com"]
    assert (person.name, str(person.on("notes").status)) == ("Ada Lovelace", "free")


@pytest.mark.parametrize("status", ["paid", "churned"])
def test_f2_three_logins_change_no_status(
    app: Flask, url: str, customers: Customers, status: str
) -> None:
    with visitor(url) as client:
        client.post("/sign-up", data={"email": "ada@example.com"})
    assert customers.of(app)
    customers.crm.project("notes").identify("ada@example.com", status=status)
    for _ in range(3):
        app.extensions["tinycrm"].reporter._told.clear()
        with visitor(url) as client:
            assert client.post("/login", data={"email": "ada@example.com"}).status_code == 200
    assert customers.statuses(app) == {"ada@example.com": status}
    assert app.extensions["tinycrm"].crm.stats().delivered == 4


def test_f3_a_sign_up_that_was_rolled_back_leaves_nothing(
    app: Flask, url: str, customers: Customers
) -> None:
    with visitor(url) as client:
        form = {"email": "ada@example.com", "then": "fail"}
        assert client.post("/sign-up", data=form).status_code == 409
    assert customers.of(app) == {}


def test_a_cookie_that_remembers_is_a_login(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        client.post("/sign-up", data={"email": "ada@example.com"})
    with visitor(url) as client:
        client.post("/login", data={"email": "ada@example.com", "remember": "1"})
        client.cookies.delete("session")
        customers.of(app)
        customers.crm.customers.delete("ada@example.com")
        app.extensions["tinycrm"].reporter._told.clear()
        assert client.get("/me").text == "ada@example.com"
    assert list(customers.of(app)) == ["ada@example.com"]


def test_a_visit_is_a_ping_once_in_a_while(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        client.post("/sign-up", data={"email": "ada@example.com"})
        before = customers.of(app)["ada@example.com"].last_seen_at
        sent = app.extensions["tinycrm"].crm.stats().delivered
        app.extensions["tinycrm"].reporter._pinged.clear()
        for _ in range(5):
            assert client.get("/me").text == "ada@example.com"
    assert customers.of(app)["ada@example.com"].last_seen_at > before
    assert app.extensions["tinycrm"].crm.stats().delivered == sent + 1


def test_f4_a_page_that_asks_for_nobody_loads_nobody_and_adds_no_header(
    app: Flask, tmp_path: Path, reported: dict[str, Any]
) -> None:
    """Also for a visitor who is logged in: no user, no session, no query, no Vary."""
    (tmp_path / "bare").mkdir()
    bare = login_product(tmp_path / "bare")
    statements: list[str] = []
    with app.app_context():
        event.listen(
            app.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2])
        )
    headers = []
    for product in (app, bare):
        with serving(product) as url, visitor(url) as client:
            client.post("/sign-up", data={"email": "ada@example.com"})
            product.loaded.clear()
            statements.clear()
            answers = [client.get("/"), client.get("/nothing-here")]
            assert product.loaded == []
            assert statements == []
            headers.append([without_date(each) for each in answers])
    assert headers[0] == headers[1]


def without_date(answer: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    kept = [pair for pair in answer.headers.multi_items() if pair[0] != "date"]
    return answer.status_code, kept, answer.content


def test_f4_a_page_with_a_user_asks_the_database_nothing_more(
    tmp_path: Path, reported: dict[str, Any]
) -> None:
    counts = []
    for name, settings in (("reported", reported), ("bare", {})):
        (tmp_path / name).mkdir()
        app = login_product(tmp_path / name, **settings)
        if settings:
            TinyCRM(app)
        statements: list[str] = []
        with app.app_context():
            event.listen(
                app.database.engine,
                "before_cursor_execute",
                lambda *given, found=statements: found.append(given[2]),
            )

        @app.get("/expired")
        def expired(app: Flask = app) -> str:
            email = flask_login.current_user.email
            app.database.session.commit()  # after which every attribute would be loaded again
            return email

        with serving(app) as url, visitor(url) as client:
            client.post("/sign-up", data={"email": "ada@example.com"})
            statements.clear()
            assert client.get("/me").text == client.get("/expired").text == "ada@example.com"
            counts.append(len(statements))
    assert counts[0] == counts[1] == 2


def test_f8_a_hundred_visitors_at_once_are_each_themselves(
    app: Flask, url: str, customers: Customers
) -> None:
    def come(number: int) -> None:
        email = f"p{number}@example.com"
        with visitor(url) as client:
            client.post("/sign-up", data={"email": email, "name": f"Person {number}"})
            for _ in range(3):
                assert client.get("/me").text == email

    for start in range(0, 100, 20):
        threads = [threading.Thread(target=come, args=(start + n,)) for n in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert {email: each.name for email, each in customers.of(app).items()} == {
        f"p{n}@example.com": f"Person {n}" for n in range(100)
    }


def test_f10_headers_of_a_visitor_say_nothing_about_who_it_is(
    app: Flask, url: str, customers: Customers
) -> None:
    claims = ("X-User-Email", "X-Forwarded-User", "X-Tinycrm-User", "Remote-User", "From")
    with visitor(url) as client:
        client.get("/", headers=dict.fromkeys(claims, "root@example.com"))
        form = {"email": "ada@example.com"}
        client.post("/sign-up", data=form, headers=dict.fromkeys(claims, "root@example.com"))
    assert list(customers.of(app)) == ["ada@example.com"]


def test_f11_users_without_an_address_are_left_out(
    app: Flask, url: str, customers: Customers, lines: Callable[[], list[str]]
) -> None:
    @app.post("/guest")
    def guest() -> str:
        user = app.users(email=None)
        app.database.session.add(user)
        app.database.session.commit()
        flask_login.login_user(user)
        return "a guest"

    with visitor(url) as client:
        assert client.post("/guest").status_code == 200
        assert client.get("/").status_code == 200
    assert customers.of(app) == {}
    assert lines() == []


def test_f11_an_address_that_cannot_be_used_breaks_nothing(
    app: Flask, url: str, customers: Customers, lines: Callable[[], list[str]]
) -> None:
    with visitor(url) as client:
        assert client.post("/sign-up", data={"email": "not an address"}).status_code == 201
        assert client.get("/me").status_code == 200
    assert customers.of(app) == {}
    assert len(lines()) == 2, "one for the login, one for the ping"
    assert "not an address" not in "".join(lines())


def test_f11_nothing_is_recorded_under_test_unless_asked(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    for asked in (False, True):
        (tmp_path / f"{asked}").mkdir()
        app = login_product(tmp_path / f"{asked}", **reported, TINYCRM_IN_TESTS=asked, TESTING=True)
        crm = TinyCRM(app)
        client = app.test_client()
        client.post("/sign-up", data={"email": "ada@example.com"})
        with app.app_context():
            crm.identify("bo@example.com")
            crm.ping("bo@example.com")
            crm.user_deleted("bo@example.com")
        expected = {"ada@example.com", "bo@example.com"} if asked else set()
        assert set(customers.of(app)) == expected


def test_the_mapping_can_be_replaced(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    def mapping(user: Any) -> Identify | None:
        if user.email.endswith("@staff.example"):
            return None
        return Identify(user.email, params={"number": user.id}, status="trial")

    app = login_product(tmp_path, **reported)
    TinyCRM(app, user=mapping)
    with serving(app) as url:
        for email in ("ada@example.com", "root@staff.example"):
            with visitor(url) as client:
                client.post("/sign-up", data={"email": email})
    (person,) = customers.of(app).values()
    membership = person.on("notes")
    assert membership.params == {"number": 1}
    assert str(membership.status) == "free", "a login carries no status, whatever the mapping says"


def test_two_applications_of_one_process_report_to_their_own_products(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    crm = TinyCRM()
    apps = []
    for project in ("notes", "shop"):
        (tmp_path / project).mkdir()
        settings = {**reported, "TINYCRM_PROJECT": project}
        apps.append(login_product(tmp_path / project, **settings))
        crm.init_app(apps[-1])
    for app in apps:
        with serving(app) as url, visitor(url) as client:
            client.post("/sign-up", data={"email": f"{app.config['TINYCRM_PROJECT']}@example.com"})
        customers.of(app)
    found = customers.of(apps[0])
    assert {email: [m.project for m in each.memberships] for email, each in found.items()} == {
        "notes@example.com": ["notes"],
        "shop@example.com": ["shop"],
    }


def test_f9_a_factory_that_runs_twice_and_an_init_that_runs_twice_tell_once(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    crm = TinyCRM()
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        app = login_product(tmp_path / turn, **reported)
        crm.init_app(app)
        crm.init_app(app)
    with serving(app) as url, visitor(url) as client:
        client.post("/sign-up", data={"email": "ada@example.com"})
    assert customers.of(app)
    assert app.extensions["tinycrm"].crm.stats().delivered == 1
