"""What the tests of the SQL store share: stores, states, and a record of every statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, event

from tinycrm_core.sql import SQLStore
from tinycrm_core.state import CustomerState, Entry, Marks, MembershipState, ProjectState, Write

ACCOUNT = "acme"
PARAMS: dict[str, Any] = {
    "plan": "pro",
    "mrr": 29.5,
    "count": 2**63 - 1,
    "large": 1e16,
    "huge": 1e300,
    "tiny": 5e-324,
    "beta": True,
    "none": None,
    "dotted.key": {"in\\ner": [1, "a", {}]},
    "trial_ends": "2026-01-31",
    "text": 'e+16 "quoted" 1e+16 ключ',
}
# What may run without an account: it belongs to the whole database.
WITHOUT_ACCOUNT = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|SET LOCAL|CREATE|ALTER|"
    r"SELECT .*(sqlite_master|pg_|to_regclass|schema_version)|"
    r"(INSERT INTO|UPDATE|DELETE FROM) (\S*\.)?tinycrm_schema_version|"
    r"SELECT 1\s+FROM tinycrm_search\s+LIMIT)",
    re.DOTALL,
)


def membership(**rest: Any) -> MembershipState:
    return MembershipState(**{"joined_at": 5, "last_active_at": 7, "status": "paid"} | rest)


def customer(*emails: str, **rest: Any) -> CustomerState:
    return CustomerState(**{"id": uuid4(), "emails": emails, "created_at": 3} | rest)


def entry(state: CustomerState, **rest: Any) -> Entry:
    values = {"event_at": 11, "kind": "identify", "via": "api", "email": state.email, "at": 12}
    return Entry(uuid4(), state.id, state.id, **values | rest)


def marks() -> Marks:
    return Marks({"plan": 8}, {"left": 9}, {"source": ((1, "x"), (4, 2.5))})


def project(store: SQLStore, slug: str = "a") -> int:
    with store.begin(ACCOUNT) as tx:
        return tx.add_project(ProjectState(0, slug, slug.upper(), "leaf", 1)).id


def save(store: SQLStore, *writes: Write) -> None:
    with store.begin(ACCOUNT) as tx:
        tx.save(writes)


def load(store: SQLStore, *emails: str) -> dict[str, CustomerState]:
    with store.begin(ACCOUNT, write=False) as tx:
        return tx.load(emails, lock=False)


def people(store: SQLStore) -> dict[UUID, tuple[str, ...]]:
    """Ids and addresses of everybody in the account, read from the tables."""
    table = store.tables.customer_emails
    with store.begin(ACCOUNT, write=False) as tx:
        rows = tx.connection.execute(table.select().order_by(table.c.position)).all()
    found: dict[UUID, tuple[str, ...]] = {}
    for row in rows:
        found[row.customer_id] = (*found.get(row.customer_id, ()), row.email)
    return found


@dataclass
class Recorded:
    statements: list[str] = field(default_factory=list)

    def without_account(self) -> list[str]:
        """Statements that name neither an account nor what the whole database shares."""
        return [
            each
            for each in self.statements
            if not WITHOUT_ACCOUNT.match(each)
            and not re.search(r"account_id\s*(=|\))|\(account_id,|accounts.*slug", each, re.DOTALL)
        ]


@contextmanager
def recorded(engine: Engine) -> Iterator[Recorded]:
    """All SQL that goes through an engine."""
    record = Recorded()

    def note(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        record.statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield record
    finally:
        event.remove(engine, "before_cursor_execute", note)
