"""S8: a fault between any two statements of any operation leaves nothing of it behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.concurrency.databases import broken, dump, opened
from tests.crash.faults import Fault, watched
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import StoreError
from tinycrm_core.events import Identify, Ping


def populate(crm: TinyCRM) -> None:
    for slug in ("shop", "news"):
        for name in ("ada", "bob", "cy"):
            crm.project(slug).identify(
                f"{name}@example.com",
                name=name.title(),
                status="trial",
                params={"n": 1, "plan": name, "deep": {"a": [1, 2]}, slug: True},
            )
    crm.customers.merge("cy@example.com", "bob@example.com")


def batch(crm: TinyCRM) -> None:
    events = [Identify(f"p{n}@example.com", params={"n": n, "new": "x"}) for n in range(5)]
    events += [
        Identify("ada@example.com", params={"n": 2}, unset=["plan"], set_once={"once": 1}),
        Identify("bob@example.com", status="paid", params={"fresh": 1}),
        Ping("cy@example.com"),
    ]
    assert not any(isinstance(each, Exception) for each in crm.project("shop").send(events))


def identify_new(crm: TinyCRM) -> None:
    crm.project("blog").identify("new@example.com", name="N", status="free", params={"a": 1})


def identify_known(crm: TinyCRM) -> None:
    crm.project("shop").identify(
        "ada@example.com", name="Ada L", status="paid", params={"n": 9, "z": None}, unset=["plan"]
    )


def identify_joining(crm: TinyCRM) -> None:
    crm.project("blog").identify("ada@example.com", params={"a": {"b": 1}})


def ping(crm: TinyCRM) -> None:
    assert crm.project("shop").ping("ada@example.com")


def merge(crm: TinyCRM) -> None:
    crm.customers.merge("ada@example.com", "cy@example.com")


def undo_merge(crm: TinyCRM) -> None:
    (record,) = crm.customers.merges("cy@example.com")
    crm.customers.undo_merge(record.id)


def change_email(crm: TinyCRM) -> None:
    crm.customers.change_email("ada@example.com", "countess@example.com")


def change_email_to_somebody_else(crm: TinyCRM) -> None:
    crm.customers.change_email("ada@example.com", "cy@example.com")


def delete(crm: TinyCRM) -> None:
    assert crm.customers.delete("bob@example.com")


def forget(crm: TinyCRM) -> None:
    assert crm.customers.delete("bob@example.com", forget=True)


def delete_project(crm: TinyCRM) -> None:
    crm.projects.delete("shop")


OPERATIONS: list[Callable[[TinyCRM], None]] = [
    identify_new,
    identify_known,
    identify_joining,
    ping,
    batch,
    merge,
    undo_merge,
    change_email,
    change_email_to_somebody_else,
    delete,
    forget,
    delete_project,
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
def test_s8_nothing_or_all(where: str, operation: Callable[[TinyCRM], Any]) -> None:
    with TinyCRM(where) as crm:
        populate(crm)
        before = dump(where)
        position = 0
        while True:
            position += 1
            with watched(crm, position) as statements:
                try:
                    operation(crm)
                except Fault:
                    assert dump(where) == before, f"after a fault before {statements.seen[-1]}"
                    continue
            break
        # The fault hit every statement, the commit last, and the operation works after all that.
        assert position > 3
        assert statements.seen[-1] == "COMMIT"
        assert len(statements.seen) == position - 1
        assert dump(where) != before
    if operation is not delete_project:  # people stay when their product goes
        assert not broken(where)


def test_s8_a_product_that_was_not_stored_is_nobody_elses(where: str) -> None:
    """An id drawn in a transaction that fails may be given to another product right after."""
    with TinyCRM(where) as crm, TinyCRM(where) as other:
        populate(crm)
        with watched(crm) as counted:
            crm.project("counted").identify("ada@example.com", params={"a": 1})
        for position in range(1, len(counted.seen) + 1):
            product = crm.project(f"mine{position}")
            with watched(crm, position), pytest.raises(Fault):
                product.identify("ada@example.com", params={"a": position})
            other.project(f"theirs{position}").identify("bob@example.com")
            product.identify("ada@example.com", params={"a": position})
            (found,) = crm.customers.find(f"project:mine{position}")
            assert found.email == "ada@example.com"
            assert crm.customers.count(f"project:theirs{position}") == 1
    assert not broken(where)


def test_a_product_renamed_elsewhere_is_not_written_to_under_its_old_name(where: str) -> None:
    with TinyCRM(where) as crm, TinyCRM(where) as other:
        crm.project("shop").identify("ada@example.com")
        other.projects.rename("shop", slug="store")
        crm.project("shop").identify("bob@example.com")
        assert [each.email for each in other.customers.find("project:shop")] == ["bob@example.com"]
        assert [each.email for each in other.customers.find("project:store")] == ["ada@example.com"]


@pytest.mark.parametrize("deferred", [False, True], ids=["in the middle", "at the commit"])
def test_s8_a_statement_that_fails_among_those_sent_together(
    fresh_postgres_url: str, deferred: bool
) -> None:
    """Nobody watches here, so that statements and the commit go to PostgreSQL in one piece."""
    kind = "CONSTRAINT TRIGGER" if deferred else "TRIGGER"
    when = "DEFERRABLE INITIALLY DEFERRED" if deferred else ""
    with TinyCRM(fresh_postgres_url) as crm:
        populate(crm)
        with opened(fresh_postgres_url) as connection, connection.begin():
            connection.exec_driver_sql(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'not now'; END $$"
            )
            connection.exec_driver_sql(
                f"CREATE {kind} fail AFTER INSERT ON tinycrm_history {when} "
                "FOR EACH ROW EXECUTE FUNCTION fail()"
            )
        before = dump(fresh_postgres_url)
        for operation in (identify_known, identify_new, batch, merge):
            with pytest.raises(StoreError, match="not now"):
                operation(crm)
            assert dump(fresh_postgres_url) == before, operation.__name__
        with opened(fresh_postgres_url) as connection, connection.begin():
            connection.exec_driver_sql("DROP TRIGGER fail ON tinycrm_history")
        for operation in (identify_known, identify_new, batch, merge):
            operation(crm)
    assert not broken(fresh_postgres_url)
