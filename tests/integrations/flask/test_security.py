"""Flask-Security in its default configuration, over HTTP: what happens reports itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from tests.integrations.customers import Customers
from tests.integrations.flask.forms import change_email, fill, log_in, sign_up
from tests.integrations.flask.live import serving, visitor
from tests.integrations.flask.products import PASSWORD, security_product
from tests.patience import eventually
from tinycrm_integrations.flask import TinyCRM


@pytest.fixture
def app(tmp_path: Path, reported: dict[str, Any]) -> Flask:
    app = security_product(tmp_path, **reported)
    TinyCRM(app)
    return app


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with serving(app) as url:
        yield url


def test_a_sign_up_is_one_person_who_is_free(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        assert sign_up(client, "Ada@Example.com").status_code == 302
    assert customers.statuses(app) == {"ada@example.com": "free"}
    (change,) = customers.crm.customers.history("ada@example.com")
    assert (change.via, change.project) == ("flask", "notes")
    assert PASSWORD not in str(customers.crm.customers.export_person("ada@example.com"))


def test_a_refused_sign_up_reports_nobody(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        refused = fill(client, "/register", email="a@example.com", password="short")
        assert refused.status_code == 200
    assert customers.of(app) == {}


def test_a_sign_up_with_a_status_of_its_own(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    app = security_product(tmp_path, **reported, TINYCRM_SIGNUP_STATUS="trial")
    TinyCRM(app)
    with serving(app) as url, visitor(url) as client:
        sign_up(client, "ada@example.com")
    assert customers.statuses(app) == {"ada@example.com": "trial"}


@pytest.mark.parametrize("status", ["paid", "churned"])
def test_f2_three_logins_change_no_status(
    app: Flask, url: str, customers: Customers, status: str
) -> None:
    with visitor(url) as client:
        sign_up(client, "ada@example.com")
    assert customers.of(app)
    customers.crm.project("notes").identify("ada@example.com", status=status)
    reporter = app.extensions["tinycrm"].reporter
    for _ in range(3):
        reporter._told.clear()  # so that none passes for an echo of the one before
        with visitor(url) as client:
            assert log_in(client, "ada@example.com").status_code == 302
            assert client.get("/me").text == "ada@example.com"
    assert customers.statuses(app) == {"ada@example.com": status}


def test_a_login_of_somebody_from_before_brings_them_in(
    app: Flask, url: str, customers: Customers
) -> None:
    with visitor(url) as client:
        app.testing = True
        sign_up(client, "ada@example.com")
        app.testing = False
    assert customers.of(app) == {}
    with visitor(url) as client:
        log_in(client, "ada@example.com")
    assert customers.statuses(app) == {"ada@example.com": "free"}


def test_f3_a_sign_up_whose_commit_fails_leaves_nothing(
    app: Flask, url: str, customers: Customers
) -> None:
    session = app.database.session

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    event.listen(session, "before_commit", fail)
    with visitor(url) as client:
        assert sign_up(client, "ada@example.com").status_code == 500
    event.remove(session, "before_commit", fail)
    assert customers.of(app) == {}
    with visitor(url) as client:
        assert sign_up(client, "ada@example.com").status_code == 302
    assert list(customers.of(app)) == ["ada@example.com"]


def test_another_address_is_the_same_person(app: Flask, url: str, customers: Customers) -> None:
    with visitor(url) as client:
        sign_up(client, "ada@example.com")
        sent = app.security._mail_util.sent
        assert change_email(client, sent, "ada@lovelace.example").status_code == 302
    eventually(lambda: "ada@lovelace.example" in customers.of(app))
    (person,) = customers.of(app).values()
    assert (person.email, person.aliases) == ("ada@lovelace.example", ("ada@example.com",))


def test_another_address_that_is_known_from_elsewhere_joins_both(
    app: Flask, url: str, customers: Customers
) -> None:
    customers.crm.project("shop").identify("ada@lovelace.example", status="paid")
    with visitor(url) as client:
        sign_up(client, "ada@example.com")
        change_email(client, app.security._mail_util.sent, "ada@lovelace.example")
    eventually(lambda: len(customers.of(app)) == 1)
    person = customers.of(app)["ada@lovelace.example"]
    assert {each.project: str(each.status) for each in person.memberships} == {
        "shop": "paid",
        "notes": "free",
    }


def test_a_confirmed_address_is_told_where_only_those_count(
    tmp_path: Path, reported: dict[str, Any], customers: Customers
) -> None:
    """F10: an address that nobody has confirmed reaches nobody's row."""
    app = security_product(
        tmp_path,
        **reported,
        TINYCRM_SKIP_UNVERIFIED=True,
        SECURITY_CONFIRMABLE=True,
        TINYCRM_SIGNUP_STATUS="trial",
    )
    TinyCRM(app)
    with serving(app) as url, visitor(url) as client:
        sign_up(client, "ada@example.com")
        assert customers.of(app) == {}
        _, body = app.security._mail_util.sent[-1]
        link = body[body.index("/confirm/") :].split()[0]
        assert client.get(link).status_code == 302
    assert customers.statuses(app) == {"ada@example.com": "trial"}


def test_f9_a_sign_up_that_logs_in_is_one_event(app: Flask, url: str, customers: Customers) -> None:
    """There are three signals: user_registered, user_logged_in, user_authenticated."""
    with visitor(url) as client:
        sign_up(client, "ada@example.com")
    assert len(customers.of(app)) == 1
    assert app.extensions["tinycrm"].crm.stats().delivered == 1


def test_the_form_never_leaves_the_request(
    app: Flask, url: str, customers: Customers, lines: Callable[[], list[str]]
) -> None:
    with visitor(url) as client:
        sign_up(client, "ada@example.com")
    customers.of(app)
    held = repr(vars(app.extensions["tinycrm"].reporter)) + "".join(lines())
    assert PASSWORD not in held
