"""fastapi-users as its quick start has it, over HTTP: what happens reports itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from tests.integrations.customers import Customers
from tests.integrations.fastapi.live import serving
from tests.integrations.fastapi.products import PASSWORD, UserManager, users_product
from tests.patience import eventually
from tinycrm_core import InvalidInput
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.fastapi import ReportedUsers, Reporter
from tinycrm_integrations.users import default_mapping

ADA = "ada@example.com"


@pytest.fixture
def app(tmp_path: Path, reporter: Reporter) -> FastAPI:
    return users_product(tmp_path, reporter)


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx2.Client]:
    with serving(app) as url, httpx2.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client


def sign_up(client: httpx2.Client, email: str = ADA) -> httpx2.Response:
    return client.post("/auth/register", json={"email": email, "password": PASSWORD})


def log_in(client: httpx2.Client, email: str = ADA) -> dict[str, str]:
    """Headers of somebody who is logged in."""
    answer = client.post("/auth/jwt/login", data={"username": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_sign_up_is_a_person_who_is_free(
    app: FastAPI, client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    assert sign_up(client).status_code == 201
    assert customers.statuses(reporter) == {ADA: "free"}
    assert app.state.heard == [f"registered {ADA}"], "the manager's own method ran too"
    assert [each.via for each in customers.crm.customers.history(ADA)] == ["fastapi"]


def test_a_refused_sign_up_reports_nobody(
    client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    """F3: what was not stored is not told."""
    assert sign_up(client, "nobody").status_code == 422
    assert sign_up(client).status_code == 201
    reporter._told.clear()
    assert sign_up(client).status_code == 400
    assert list(customers.of(reporter)) == [ADA]
    assert reporter.crm.stats().delivered == 1


@pytest.mark.parametrize("status", ["paid", "churned"])
def test_f2_three_logins_change_no_status(
    client: httpx2.Client, customers: Customers, reporter: Reporter, status: str
) -> None:
    sign_up(client)
    assert customers.of(reporter)
    customers.crm.project("notes").identify(ADA, status=status)
    for _ in range(3):
        reporter._told.clear()
        headers = log_in(client)
        assert client.get("/me", headers=headers).json() == ADA
    assert customers.statuses(reporter) == {ADA: status}
    assert reporter.crm.stats().delivered >= 4


def test_another_address_is_the_same_person(
    client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    sign_up(client)
    new = "ada@lovelace.example"
    answer = client.patch("/users/me", json={"email": new}, headers=log_in(client))
    assert answer.json()["email"] == new
    eventually(lambda: new in customers.of(reporter))
    (person,) = customers.of(reporter).values()
    assert (person.email, person.aliases) == (new, (ADA,))


def test_f10_an_address_nobody_has_verified_takes_nobody_elses_row(
    client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    victim = "grace@example.com"
    customers.crm.project("shop").identify(victim, status="paid", name="Grace Hopper")
    sign_up(client)
    client.patch("/users/me", json={"email": victim}, headers=log_in(client))
    eventually(lambda: len(customers.of(reporter)[victim].memberships) == 2)
    people = customers.of(reporter)
    assert set(people) == {ADA, victim}, "no merge"
    assert people[victim].aliases == ()


def test_f10_only_the_verified_where_only_those_count(tmp_path: Path, customers: Customers) -> None:
    crm = TinyCRM(customers.url, project="notes", background=True)
    reporter = Reporter(crm, mapping=default_mapping(skip_unverified=True))
    app = users_product(tmp_path, reporter)
    with serving(app) as url, httpx2.Client(base_url=url, timeout=20, trust_env=False) as client:
        sign_up(client)
        log_in(client)
        assert customers.of(reporter) == {}
        client.post("/auth/request-verify-token", json={"email": ADA})
        assert client.post("/auth/verify", json={"token": app.state.tokens[-1]}).status_code == 200
        assert customers.statuses(reporter) == {ADA: "free"}
    crm.close()


@pytest.mark.parametrize("on_delete", ["churn", "delete", "keep"])
def test_a_deleted_user_is_treated_as_configured(
    tmp_path: Path, customers: Customers, on_delete: str
) -> None:
    crm = TinyCRM(customers.url, project="notes", background=True)
    reporter = Reporter(crm, on_delete=on_delete)
    app = users_product(tmp_path, reporter)
    customers.crm.project("shop").identify(ADA, status="paid")
    with serving(app) as url, httpx2.Client(base_url=url, timeout=20, trust_env=False) as client:
        sign_up(client)
        sign_up(client, "root@example.com")
        root = app.state.users.run("UPDATE users SET is_superuser = 1 WHERE email LIKE 'root%'")
        assert root == []
        headers = log_in(client, "root@example.com")
        ident = client.get("/users/me", headers=log_in(client)).json()["id"]
        before = customers.of(reporter)[ADA]
        assert client.delete(f"/users/{ident}", headers=headers).status_code == 204
        if on_delete == "delete":
            eventually(lambda: ADA not in customers.of(reporter))
            return
        person = customers.of(reporter)[ADA]
    crm.close()
    status = {"churn": "churned", "keep": "free"}[on_delete]
    assert str(person.on("notes").status) == status
    assert str(person.on("shop").status) == "paid"
    assert person.last_seen_at == before.last_seen_at, "the deletion is nobody's activity"


def test_a_change_by_an_administrator_is_nobodys_visit(
    app: FastAPI, client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    sign_up(client)
    sign_up(client, "root@example.com")
    app.state.users.run("UPDATE users SET is_superuser = 1 WHERE email LIKE 'root%'")
    ident = client.get("/users/me", headers=log_in(client)).json()["id"]
    before = customers.of(reporter)[ADA].last_seen_at
    headers = log_in(client, "root@example.com")
    assert client.patch(f"/users/{ident}", json={"is_verified": True}, headers=headers).is_success
    assert customers.of(reporter)[ADA].last_seen_at == before


def test_f9_what_is_told_twice_is_one_event(
    client: httpx2.Client, customers: Customers, reporter: Reporter
) -> None:
    sign_up(client)
    for _ in range(3):
        log_in(client)
    customers.of(reporter)
    assert reporter.crm.stats().delivered == 1


def test_f1_a_mapping_that_raises_changes_no_answer(
    tmp_path: Path, customers: Customers, lines: Callable[[], list[str]]
) -> None:
    def mapping(user: object) -> None:
        raise RuntimeError(f"no mapping for {user}")

    with TinyCRM(customers.url, project="notes", background=True) as crm:
        reporter = Reporter(crm, mapping=mapping)
        app = users_product(tmp_path, reporter)
        with serving(app) as url, httpx2.Client(base_url=url, trust_env=False) as client:
            assert sign_up(client).status_code == 201
            headers = log_in(client)
            for _ in range(3):
                assert client.get("/me", headers=headers).json() == ADA
        assert customers.of(reporter) == {}
    assert len(lines()) == 3, "one line for each hook"
    assert ADA not in "".join(lines())
    assert reporter.guard.failures == {"on_after_register": 1, "on_after_login": 1, "ping": 1}


def test_a_manager_without_a_reporter_is_found_at_once() -> None:
    with pytest.raises(InvalidInput, match=r"Forgetful\.tinycrm: expected a Reporter"):
        type("Forgetful", (ReportedUsers, UserManager), {})
