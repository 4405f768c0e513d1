"""A1: two tenants in one database never meet; every statement on a tenant's table names the tenant.

The statements are those of a scenario that uses about everything, as the driver gets them. Three
may do without: the look-up of an API key (`find_key`), the list of accounts (`accounts`) and the
version of the tables, which are asked before there is a tenant, or of the whole database.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.concurrency.databases import opened
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import NotFound
from tinycrm_core.events import Identify, Ping
from tinycrm_core.model import Customer
from tinycrm_core.sql.tables import tables_of

ACCOUNT = 7_777_777
FILTERS = """
status:trial
status:paid,free -status:churned
status!=trial
project:shop project:news
project:shop status:paid seen>-30d
status@shop:trial status@news:free p.n@news>=1
-project:news
projects>=2
email~example email^p
name:ada
name:*
joined>2020-01-01 active:-
created>-1d seen:*
p.n>1
p.n:1..100
p.plan:ada,bob
p.plan!=ada
p.flag:true
p.deep.a:*
-p.deep.a:*
p.plan~a
p.since:2026-02-01..+7d
exam
ada or bob
""".strip().splitlines()
SINCE = {"since": "2026-02-03"}
SORTS = [
    "email",
    "name",
    "created",
    "seen",
    "projects",
    "joined",
    "active",
    "active@shop",
    "joined@news",
    "p.n",
    "p.plan",
    "p.n@shop",
]


def use_everything(crm: TinyCRM) -> list[Any]:
    """Every kind of write and question; returns what the questions answered."""
    answers: list[Any] = []
    shop, news = crm.project("shop"), crm.project("news")
    for number, name in enumerate(("ada", "bob", "cy", "di")):
        shop.identify(
            f"{name}@example.com",
            name=name.title(),
            status="trial",
            params={
                "n": number,
                "plan": name,
                "flag": True,
                "deep": {"a": 1},
                "since": "2026-02-03",
            },
        )
    shop.identify("ada@example.com", status="paid", params={"n": 5}, unset=["flag"])
    events = [Identify(f"p{n}@example.com", set_once={"n": n}, status="free") for n in range(20)]
    news.send([*events, Identify("bob@example.com", params={"n": 2}), Ping("cy@example.com")])
    shop.preview([Identify("preview@example.com", params={"n": 1})])
    assert shop.ping("bob@example.com")
    merge_id = crm.customers.merge("ada@example.com", "bob@example.com")
    crm.customers.preview_merge("ada@example.com", "cy@example.com")
    crm.customers.undo_merge(merge_id)
    crm.customers.merge("ada@example.com", "bob@example.com")
    crm.customers.change_email("cy@example.com", "cyril@example.com")
    crm.customers.change_email("p1@example.com", "p2@example.com")
    assert crm.customers.delete("p3@example.com")
    assert crm.customers.delete("p4@example.com", forget=True)
    stream = io.StringIO("email,plan,n\np5@example.com,imported,7\nnew@example.com,imported,8\n")
    crm.import_csv(stream, project="shop")
    crm.import_csv(io.StringIO("email,plan\nnew2@example.com,kept\n"), project="news")
    crm.imports.undo(crm.imports.list()[0].id)
    key = crm.keys.create(project="shop")
    crm.keys.create(scope="read")
    crm.keys.revoke(crm.keys.list()[0][0].id)
    crm.store.find_key(key.hash)
    crm.segments.add("paying", "status:paid")
    crm.segments.add("gone", "status:churned")
    crm.segments.rename("paying", "payers")
    crm.segments.delete("gone")
    crm.project("brief").identify("ada@example.com", params={"a": 1})
    crm.projects.rename("brief", slug="short", name="Short")
    crm.projects.delete("short")

    for filter in ("", *FILTERS):
        answers.append(crm.customers.count(filter))
        answers.append(crm.customers.count(filter, cap=3))
        answers.append(seen(crm.customers.find(filter)))
        answers += [dict_of(crm.customers.tally(filter, by)) for by in ("status", "project", "p.n")]
        answers.append(crm.customers.aggregate("p.n", filter))
    for sort in SORTS:
        for sign in ("", "-"):
            first = crm.customers.find("", sort=sign + sort, limit=12)
            second = crm.customers.find("", sort=sign + sort, limit=12, after=first.next)
            answers.append(seen((*first, *second)))
            answers.append(seen(crm.customers.find("p.n>1 status:trial", sort=sign + sort)))
    answers.append(len(crm.customers.history("ada@example.com")))
    answers.append(len(crm.customers.merges("ada@example.com")))
    answers.append(sorted(crm.customers.export_person("ada@example.com")))
    answers.append(seen(crm.customers.stream("project:shop")))
    answers.append([each.slug for each in crm.projects.list()])
    answers.append([(slug, each.path, each.count) for slug, each in crm.projects.params()])
    answers.append([(each.name, str(each.filter)) for each in crm.segments.list()])
    answers.append(len(crm.keys.list()))
    answers.append([dict(each.totals) for each in crm.imports.list()])
    crm.export_csv(io.StringIO())
    crm.export_jsonl(io.StringIO())
    return answers


def seen(people: Iterable[Customer]) -> list[str]:
    return sorted(each.email for each in people)


def dict_of(tally: Any) -> list[tuple[str, int]]:
    return sorted((repr(value), people) for value, people in tally)


@contextlib.contextmanager
def recorded(crm: TinyCRM) -> Iterator[list[tuple[str, list[Any]]]]:
    """Every statement and the rows of values it came with."""
    found: list[tuple[str, list[Any]]] = []

    def record(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        found.append((" ".join(statement.split()), list(values) if many else [values]))

    engine = crm.store._connections.engine
    event.listen(engine, "before_cursor_execute", record)
    yield found
    event.remove(engine, "before_cursor_execute", record)


@pytest.fixture
def crm(where: str) -> Iterator[TinyCRM]:
    """A client whose account has an id that is no other number in the test."""
    with TinyCRM(where, account="here") as crm:
        crm.migrate()
        with opened(where) as connection:
            connection.execute(
                text(
                    "INSERT INTO tinycrm_accounts (account_id, slug, secret, project_seq,"
                    " created_at) VALUES (:id, 'here', :secret, 40, 0)"
                ),
                {"id": ACCOUNT, "secret": b"s" * 32},
            )
            connection.commit()
        yield crm


TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|USING|,)\s+tinycrm_(\w+)(?![\w.])", re.IGNORECASE)
# Where a table is tied to the account, or to another that is.
TIED = re.compile(r"account_id\)? = |INSERT INTO \w+ \((?:\w+, )*account_id")
# A trigram index has row ids only; the customers they lead to are those of the account.
SHARED = {"accounts", "schema_version", "search"}
BEFORE_THE_TENANT = {
    "accounts": re.compile(r"^SELECT \S*slug FROM tinycrm_accounts ORDER BY"),
    "find_key": re.compile(r"^SELECT .* WHERE tinycrm_api_keys\.hash = "),
    "the account of a slug": re.compile(r"FROM tinycrm_accounts a .* WHERE a\.slug = "),
}


def test_a1_every_statement_names_the_account(where: str, crm: TinyCRM) -> None:
    tenants = {
        table.name.removeprefix("tinycrm_")
        for table in tables_of("sqlite").metadata.sorted_tables
        if "account_id" in table.c
    } - SHARED
    with recorded(crm) as statements:
        use_everything(crm)
        assert crm.store.accounts() == ["here"]
    touched = set()
    wrong = []
    for statement, rows in statements:
        named = [name for name in TABLE.findall(statement) if name in tenants]
        touched |= set(named)
        if not named or any(each.search(statement) for each in BEFORE_THE_TENANT.values()):
            continue
        bound = all(ACCOUNT in (row.values() if isinstance(row, dict) else row) for row in rows)
        if not bound or len(TIED.findall(statement)) < len(named):
            wrong.append(statement)
    assert not wrong, f"{len(wrong)} of {len(statements)}: {wrong[:3]}"
    assert touched == tenants
    assert len(statements) > 300


def test_a1_what_one_tenant_does_changes_and_shows_nothing_of_another(where: str) -> None:
    with TinyCRM(where, account="one") as one:
        alone = use_everything(one)
        theirs = rows_of(where, 1)
        # The same people, products and names of segments, and the same numbers of products.
        beside = use_everything(one.account("two"))
        assert beside == alone
        two = one.account("two")
        two.customers.delete("ada@example.com", forget=True)
        two.projects.delete("shop")
        assert rows_of(where, 1) == theirs
        one.project("shop").identify("ada@example.com")
        # Ids are nobody's passport either.
        (merge, *_) = one.customers.merges("ada@example.com")
        ada = one.customers.get("ada@example.com")
        assert ada is not None
        theirs = rows_of(where, 1)
        assert two.customers.get_by_id(ada.id) is None
        for refused in (
            lambda: two.customers.undo_merge(merge.id),
            lambda: two.imports.undo(one.imports.list()[-1].id),
            lambda: two.keys.revoke(one.keys.list()[-1][0].id),
        ):
            with pytest.raises(NotFound):
                refused()
        assert rows_of(where, 1) == theirs


def rows_of(where: str, account: int) -> dict[str, list[str]]:
    """All rows of this account."""
    with opened(where) as connection:
        tables = tables_of(connection.dialect.name).metadata.sorted_tables
        return {
            table.name: sorted(
                repr(tuple(row))
                for row in connection.execute(
                    text(f"SELECT * FROM {table.name} WHERE account_id = {account}")
                )
            )
            for table in tables
            if "account_id" in table.c
        }
