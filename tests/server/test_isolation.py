"""A1: every route, as `/openapi.json` lists them, against what belongs to somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_server.app import create_app

PEOPLE = ("alice@example.com", "bo@example.com")


@dataclass
class Two:
    """A server with two accounts that have the same people and the same kinds of things.

    The keys belong to the second one, so that nothing can fall back on the first by mistake.
    """

    live: Live
    own: TinyCRM
    other: TinyCRM
    mine: dict[str, str]
    theirs: dict[str, str]


def fill(crm: TinyCRM, slug: str) -> dict[str, str]:
    """Everything a path or a body can name, by the name it has there."""
    project = crm.project(slug)
    keep, absorb = (str(project.identify(each).customer_id) for each in PEOPLE)
    project.identify("carol@example.com")
    project.identify("dan@example.com")
    merge = crm.customers.merge("carol@example.com", "dan@example.com")
    crm.keys.create(slug)
    (key, _), *_ = crm.keys.list()
    return {
        "customer": keep, "keep": keep, "absorb": absorb, "merge": str(merge), "slug": slug,
        "project": slug, "key": str(key.id),
    }  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def two(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Two]:
    where = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/crm.db"}.get(request.param)
    where = where or request.getfixturevalue("fresh_postgres_url")
    with TinyCRM(where) as crm, serving(crm) as live:
        own = crm.account("acme")
        theirs, mine = fill(crm, "hidden"), fill(own, "shop")
        live.keys["admin"] = own.keys.create(scope="admin").secret
        live.keys["read"] = own.keys.create(scope="read").secret
        live.keys["write"] = own.keys.create("shop").secret
        yield Two(live, own, crm, mine, theirs)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    app: Any = create_app(TinyCRM())
    while not hasattr(app, "openapi"):
        app = app.app
    return [
        (method.upper(), path, operation)
        for path, each in app.openapi()["paths"].items()
        for method, operation in each.items()
    ]


OPERATIONS = operations()
IN_BODY = {"merge", "preview", "add_key"}
NAMING = [each for each in OPERATIONS if "{" in each[1] or each[2]["operationId"] in IN_BODY]


def resolved(path: str, named: dict[str, str]) -> str:
    kind = path.split("/")[2].removesuffix("s")
    return path.replace("{id}", named.get(kind, "")).replace("{slug}", named["slug"])


def body_of(operation: dict[str, Any], named: dict[str, str], own: dict[str, str]) -> list[Any]:
    """Bodies that name something of `named`: each member alone, beside the caller's own."""
    match operation["operationId"]:
        case "merge" | "preview":
            own_pair = {"keep": own["keep"], "absorb": own["absorb"]}
            return [
                {"keep": named["keep"], "absorb": own["absorb"]},
                {"keep": own["keep"], "absorb": named["absorb"]},
                {"keep": own["keep"], "absorb": [own["absorb"], named["absorb"]]},
                {**own_pair, "choices": [{"project": None, "field": "name", "of": named["keep"]}]},
            ]
        case "add_key":
            return [{"project": named["slug"]}]
        case "change_project":
            return [{"name": "Taken"}]
    return [None]


def state(crm: TinyCRM) -> Any:
    """Everything of an account that a call could have changed."""
    return (
        [crm.customers.export_person(each.email) for each in crm.customers.find(sort="email")],
        crm.projects.list(),
        [(key.id, key.revoked_at) for key, _ in crm.keys.list()],
    )


@pytest.mark.parametrize(
    "operation", NAMING, ids=[f"{method} {path}" for method, path, _ in NAMING]
)
def test_a1_what_is_foreign_is_not_there(
    two: Two, operation: tuple[str, str, dict[str, Any]]
) -> None:
    """A1: a foreign id and one that never existed get the same answer, and nothing changes."""
    method, path, described = operation
    before = state(two.other)
    nothing = {name: str(uuid4()) for name in two.theirs} | {"slug": "never", "project": "never"}
    foreign = [
        two.live.ask(method, resolved(path, two.theirs), body, key="admin")
        for body in body_of(described, two.theirs, two.mine)
    ]
    absent = [
        two.live.ask(method, resolved(path, nothing), body, key="admin")
        for body in body_of(described, nothing, two.mine)
    ]
    assert [(a.status, a.body) for a in foreign] == [(a.status, a.body) for a in absent]
    assert {each.status for each in foreign} == {404}
    assert state(two.other) == before


@pytest.mark.parametrize(
    "operation", OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)
def test_a1_keys_do_what_they_are_for(two: Two, operation: tuple[str, str, dict[str, Any]]) -> None:
    """A1: each route refuses every kind of key but its own, and nobody gets in without one."""
    method, path, described = operation
    (needed,) = (name for rule in described["security"] for name in rule)
    sent = resolved(path, two.mine)
    body = {} if "requestBody" in described else None
    before = state(two.own)
    assert two.live.ask(method, sent, body).status == 401
    wrong = ["admin", "read"] if needed == "project_key" else ["write"]
    for key in wrong:
        assert two.live.ask(method, sent, body, key=key).status == 403
    if needed == "account_key" and described["operationId"] not in READING:
        assert two.live.ask(method, sent, body, key="read").status == 403
    assert state(two.own) == before


READING = {
    "customers", "customers_csv", "customers_jsonl", "customer", "history", "preview",
    "projects", "project",
}  # fmt: skip


def test_a1_answers_show_one_account_only(two: Two) -> None:
    """A1: nothing that can be read mentions what only the other account has."""
    two.other.project("hidden").identify(PEOPLE[0], name="Foreign Name")
    for method, path, described in OPERATIONS:
        if method == "GET":
            answer = two.live.ask(method, resolved(path, two.mine), key="admin")
            assert answer.status == 200, described
            for word in ("hidden", "Foreign Name", *two.theirs.values()):
                assert word not in answer.text, path


def test_a1_a_filter_knows_the_products_of_its_account_only(two: Two) -> None:
    answer = two.live.ask("GET", "/v1/customers?project=hidden", key="read")
    assert (answer.status, answer.error["choices"]) == (422, ["shop"])
    assert "hidden" not in json.dumps(answer.error["choices"])
