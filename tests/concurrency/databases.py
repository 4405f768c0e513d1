"""Stored rows as they are, beside the library: what a test compares, counts and finds broken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from tests.sql.questions.people import values_of
from tinycrm_core.params import kind_of, param_instant, walk
from tinycrm_core.sql.tables import tables_of

# Each finds rows that must not exist.
ORPHANS = {
    "a customer without an address": """
        SELECT c.email FROM tinycrm_customers c WHERE NOT EXISTS (
            SELECT 1 FROM tinycrm_customer_emails e WHERE e.account_id = c.account_id
                AND e.customer_id = c.customer_id AND e.email = c.email AND e.position = 0)""",
    "a customer without a membership": """
        SELECT c.email FROM tinycrm_customers c WHERE NOT EXISTS (
            SELECT 1 FROM tinycrm_memberships m
            WHERE m.account_id = c.account_id AND m.customer_id = c.customer_id)""",
    "an address without a customer": """
        SELECT e.email FROM tinycrm_customer_emails e WHERE NOT EXISTS (
            SELECT 1 FROM tinycrm_customers c
            WHERE c.account_id = e.account_id AND c.customer_id = e.customer_id)""",
    "a place in the order of addresses that is taken twice or left empty": """
        SELECT min(email) FROM tinycrm_customer_emails GROUP BY account_id, customer_id
        HAVING count(DISTINCT position) <> count(*) OR max(position) <> count(*) - 1""",
    "a membership without a customer or a project": """
        SELECT m.status FROM tinycrm_memberships m WHERE NOT EXISTS (
            SELECT 1 FROM tinycrm_customers c
            WHERE c.account_id = m.account_id AND c.customer_id = m.customer_id)
        OR NOT EXISTS (
            SELECT 1 FROM tinycrm_projects p
            WHERE p.account_id = m.account_id AND p.project_id = m.project_id)""",
    "history without a customer": """
        SELECT h.email FROM tinycrm_history h WHERE NOT EXISTS (
            SELECT 1 FROM tinycrm_customers c
            WHERE c.account_id = h.account_id AND c.customer_id = h.customer_id)""",
    "a customer whose number of products or last activity is not that of the memberships": """
        SELECT c.email FROM tinycrm_customers c LEFT JOIN tinycrm_memberships m
            ON m.account_id = c.account_id AND m.customer_id = c.customer_id
        GROUP BY c.account_id, c.customer_id, c.email, c.project_count, c.last_seen_at
        HAVING c.project_count <> count(m.project_id)
            OR coalesce(c.last_seen_at, -1) <> coalesce(max(m.last_active_at), -1)""",
}


@contextmanager
def opened(where: str) -> Iterator[Connection]:
    """A connection of its own, made as nobody in the library makes one."""
    engine = create_engine(where, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def dump(where: str) -> dict[str, list[str]]:
    """Every row of every table."""
    with opened(where) as connection:
        tables = tables_of(connection.dialect.name).metadata.sorted_tables
        return {
            table.name: sorted(
                repr(tuple(row))
                for row in connection.execute(text(f"SELECT * FROM {table.name}")).fetchall()
            )
            for table in tables
        }


def broken(where: str) -> list[str]:
    """What is inconsistent among all rows of all accounts; recounts whatever is derived."""
    with opened(where) as connection:
        found = [
            f"{what}: {rows[:3]}"
            for what, query in ORPHANS.items()
            if (rows := connection.execute(text(query)).fetchall())
        ]
        found += _standings(connection)
        found += _params(connection)
        if connection.dialect.name == "sqlite":
            found += _sqlite(connection)
    return found


def _sqlite(connection: Connection) -> list[str]:
    damage = connection.execute(text("PRAGMA integrity_check")).scalars().all()
    found = [f"integrity_check: {line}" for line in damage if line != "ok"]
    found += [
        f"foreign_key_check: {row}"
        for row in connection.execute(text("PRAGMA foreign_key_check")).fetchall()
    ]
    # Fails if the index does not hold exactly what the customers' rows hold.
    connection.execute(
        text("INSERT INTO tinycrm_search (tinycrm_search, rank) VALUES ('integrity-check', 1)")
    )
    connection.rollback()
    return found


def _standings(connection: Connection) -> list[str]:
    """Customers whose standing is not that of their memberships."""
    places: dict[tuple[int, str], list[tuple[int, str]]] = {}
    query = "SELECT account_id, customer_id, project_id, status FROM tinycrm_memberships"
    for account_id, customer_id, project_id, status in connection.execute(text(query)):
        places.setdefault((account_id, str(customer_id)), []).append((project_id, status[0]))
    query = "SELECT account_id, customer_id, standing FROM tinycrm_customers"
    wrong = [
        (customer_id, standing)
        for account_id, customer_id, standing in connection.execute(text(query))
        if standing
        != " ".join(f"{n}{s}" for n, s in sorted(places.get((account_id, str(customer_id)), [])))
    ]
    return [f"a standing that is not that of the memberships: {wrong[:3]}"] if wrong else []


def _params(connection: Connection) -> list[str]:
    """Differences of `param_values` and `param_keys` from the params of all memberships."""
    values: Counter[tuple[Any, ...]] = Counter()
    counts: Counter[tuple[int, int, str]] = Counter()
    kinds: Counter[tuple[int, int, str, str]] = Counter()
    rows = connection.execute(
        text("SELECT account_id, customer_id, project_id, params FROM tinycrm_memberships")
    )
    for account_id, customer_id, project_id, stored in rows:
        params = json.loads(stored) if isinstance(stored, str) else stored
        owner = (account_id, str(customer_id), project_id)
        values.update({(*owner, *_exact(value)) for value in values_of(params)})
        for path, value in walk(params):
            key = (account_id, project_id, path)
            counts[key] += 1
            kinds[*key, kind_of(value)] += 1
            kinds[*key, "date"] += kind_of(value) == "text" and param_instant(value) is not None
    query = (
        "SELECT account_id, customer_id, project_id, path, kind, num, txt FROM tinycrm_param_values"
    )
    stored_values = Counter(
        (account_id, str(customer_id), project_id, *_exact(value))
        for account_id, customer_id, project_id, *value in connection.execute(text(query))
    )
    stored_counts: Counter[tuple[int, int, str]] = Counter()
    stored_kinds: Counter[tuple[int, int, str, str]] = Counter()
    query = "SELECT account_id, project_id, path, count, kinds FROM tinycrm_param_keys"
    for account_id, project_id, path, count, counted in connection.execute(text(query)):
        stored_counts[account_id, project_id, path] = count
        each = json.loads(counted) if isinstance(counted, str) else counted
        for kind, number in each.items():
            stored_kinds[account_id, project_id, path, kind] = number
    pairs: list[tuple[str, Counter[Any], Counter[Any]]] = [
        ("param_values", values, stored_values),
        ("param_keys.count", counts, +stored_counts),
        ("param_keys.kinds", +kinds, +stored_kinds),
    ]
    return [
        f"{name}: missing or too few {list((there - have).items())[:3]}, "
        f"too many {list((have - there).items())[:3]}"
        for name, there, have in pairs
        if there != have
    ]


def _exact(value: Any) -> tuple[str, str, Decimal, str]:
    path, kind, number, word = value
    return path, kind, Decimal(str(number)), word[:200]


def rows(where: str, table: str) -> int:
    """How many rows a table has."""
    with opened(where) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def sqlite_url(folder: Path) -> str:
    """A new SQLite file."""
    return f"sqlite:///{folder / 'crm.db'}"
