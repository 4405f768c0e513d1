"""Customers written straight into the tables, to ask for them there."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from tinycrm_core.model import Customer, Json
from tinycrm_core.params import kind_of, param_instant, walk
from tinycrm_core.sql.columns import stored_path
from tinycrm_core.sql.tables import SEARCH_TABLE, TRIGRAM_INDEX, Tables, tables_of
from tinycrm_core.text import fold, search_key
from tinycrm_core.times import to_micros

SLUGS = {"a": 1, "b": 2, "c": 3, "d": 4}
ACCOUNT, NEIGHBOUR = 7, 8


@dataclass
class Reading:
    """What a transaction of the store offers to questions."""

    connection: sa.Connection
    tables: Tables
    account_id: int = ACCOUNT
    has_trigrams: bool = True

    def __post_init__(self) -> None:
        if self.dialect == "postgresql":
            there = self.connection.exec_driver_sql(f"SELECT to_regclass('{TRIGRAM_INDEX}')")
            self.has_trigrams = there.scalar_one() is not None

    @property
    def dialect(self) -> str:
        return self.connection.dialect.name

    def projects(self) -> list[Any]:
        return [SimpleNamespace(id=number, slug=slug) for slug, number in SLUGS.items()]

    def load_ids(self, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, Any]:
        return {each: SimpleNamespace(id=each) for each in ids}


def created(url: str) -> sa.Engine:
    """An engine on a database with empty tables."""
    engine = sa.create_engine(url)
    tables = tables_of(engine.dialect.name)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        tables.metadata.create_all(connection)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(
                f"CREATE VIRTUAL TABLE {SEARCH_TABLE} USING fts5(search, "
                "content='tinycrm_customers', content_rowid='row_id', columnsize=0, "
                "tokenize='trigram case_sensitive 1')"
            )
        else:
            _index_trigrams(connection)
        for account in (ACCOUNT, NEIGHBOUR):
            values = {"account_id": account, "slug": str(account), "secret": b""}
            connection.execute(
                tables.accounts.insert(), values | {"project_seq": 4, "created_at": 0}
            )
            for slug, number in SLUGS.items():
                values = {"account_id": account, "project_id": number, "slug": slug, "name": slug}
                connection.execute(
                    tables.projects.insert(), values | {"hue": "leaf", "created_at": 0}
                )
    return engine


def _index_trigrams(connection: sa.Connection) -> None:
    """As the store does it: only where PostgreSQL brings the extension along."""
    known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.exec_driver_sql(known).scalar_one():
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.exec_driver_sql(
            f"CREATE INDEX {TRIGRAM_INDEX} ON tinycrm_customers USING gin (search gin_trgm_ops)"
        )


def rows(customer: Customer, account: int = ACCOUNT) -> dict[str, list[dict[str, Any]]]:
    """The rows of one person, by table."""
    key = {"account_id": account, "customer_id": customer.id}
    made: dict[str, list[dict[str, Any]]] = {"memberships": [], "param_values": []}
    made["customers"] = [
        key
        | {
            "email": customer.email,
            "name": customer.name,
            "name_at": 0,
            "email_key": fold(customer.email),
            "name_key": None if customer.name is None else fold(customer.name),
            "search": search_key(customer.email, customer.aliases, customer.name),
            "created_at": to_micros(customer.created_at),
            "last_seen_at": _micros(customer.last_seen_at),
            "project_count": len(customer.memberships),
            "standing": " ".join(
                sorted(f"{SLUGS[each.project]}{each.status[0]}" for each in customer.memberships)
            ),
        }
    ]
    for membership in customer.memberships:
        here = key | {"project_id": SLUGS[membership.project]}
        made["memberships"].append(
            here
            | {
                "status": str(membership.status),
                "status_at": 0,
                "params": membership.params,
                "params_at": 0,
                "joined_at": to_micros(membership.joined_at),
                "last_active_at": _micros(membership.last_active_at),
            }
        )
        for path, kind, num, txt in values_of(membership.params):
            row = here | {"path": path, "kind": kind, "num": num, "txt": txt}
            made["param_values"].append(row)
    return made


def values_of(params: Mapping[str, Json]) -> Iterator[tuple[str, str, Any, str]]:
    """The rows that stand for params: path, kind, number, text."""
    for full, value in walk(params):
        path = stored_path(full)
        match kind_of(value):
            case "text":
                yield path, "s", 0, value[:200]
                if (instant := param_instant(value)) is not None:
                    yield path, "d", instant, ""
            case "number":
                yield path, "n", value, ""
            case "boolean":
                yield path, "b", int(value), ""
            case "null":
                yield path, "z", 0, ""
            case _:
                yield path, "o", 0, ""


def _micros(value: Any) -> int | None:
    return None if value is None else to_micros(value)


def insert(connection: sa.Connection, customers: Sequence[Customer]) -> None:
    """Write these people, and the same ones once more to an account next door."""
    tables = tables_of(connection.dialect.name)
    for customer in customers:
        for account in (ACCOUNT, NEIGHBOUR):
            for name, values in sorted(rows(customer, account).items()):
                if values:
                    connection.execute(getattr(tables, name).insert(), values)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO {SEARCH_TABLE}({SEARCH_TABLE}) VALUES('rebuild')")


@contextlib.contextmanager
def reading(engine: sa.Engine, customers: Sequence[Customer]) -> Iterator[Reading]:
    """A transaction in which these people exist, and which leaves nothing."""
    with engine.connect() as connection:
        insert(connection, customers)
        try:
            yield Reading(connection, tables_of(engine.dialect.name))
        finally:
            connection.rollback()


def distinct(customers: Iterable[Customer]) -> list[Customer]:
    """The people under different ids."""
    return [
        replace(each, id=uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {each.id}"))
        for number, each in enumerate(customers)
    ]
