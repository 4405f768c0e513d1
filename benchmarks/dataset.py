"""The data set of the benchmarks: people of eight products, loaded straight into the tables.

    python -m benchmarks.dataset sqlite:////tmp/crm.db --customers 1000000

The same seed gives the same people. A million customers have about 1.8 million memberships and
5 million param values: `source` and `role` on all, `plan` and `mrr` where somebody pays,
`trial_ends` on trials, `beta` on a tenth.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tinycrm_core.params import param_instant
from tinycrm_core.sql.store import SQLStore
from tinycrm_core.sql.tables import SEARCH_TABLE
from tinycrm_core.times import to_micros

SLUGS = ("atlas", "beacon", "cargo", "drift", "ember", "forge", "grove", "harbor")
WEIGHTS = (40, 30, 20, 10, 6, 4, 2, 1)
SOURCES = ("google", "twitter", "producthunt", "friend", "newsletter", "hackernews", "tiktok")
SOURCE_WEIGHTS = (500, 200, 150, 100, 40, 9, 1)
ROLES = ("developer", "designer", "founder", "marketer", "other")
PRICES = (9, 19, 29, 49, 99, 199)
PRICE_WEIGHTS = (300, 300, 250, 100, 45, 5)
FIRST = (
    *("alex", "chris", "sam", "maria", "wei", "ana", "omar", "lena"),
    *("ivan", "noor", "kim", "tara", "hugo", "mina", "paul", "zoë"),
)
LAST = (
    *("chen", "smith", "garcia", "müller", "kim", "patel"),
    *("novak", "silva", "rossi", "dubois", "haddad", "okafor"),
)
DAY = 86_400_000_000

Row = tuple[Any, ...]


def people(number: int, now: int, seed: int = 1) -> Iterator[tuple[Row, list[Row], list[Row]]]:
    """One person after another: the row in customers, in memberships and in param_values."""
    pick = random.Random(seed)
    start = now - 900 * DAY
    for index in range(number):
        created = start + (now - start) * index // number
        ident = uuid.UUID(
            int=(created // 1000 << 80) | (7 << 76) | (2 << 62) | pick.getrandbits(60)
        )
        first, last = pick.choice(FIRST), pick.choice(LAST)
        email = f"{first}.{last}{index}@example{index % 50}.com"
        email = email.replace("ü", "u").replace("ë", "e")
        name = f"{first.title()} {last.title()}" if pick.random() < 0.9 else None
        wanted = pick.choices((1, 2, 3, 4, 6), (62, 18, 12, 6, 2))[0]
        projects = set(pick.choices(range(1, 9), WEIGHTS, k=wanted))
        while len(projects) < wanted:
            projects.add(pick.randrange(1, 9))
        memberships, values, seen = [], [], 0
        for project in sorted(projects):
            joined = created + int((now - created) * pick.random() ** 3)
            active = joined + int((now - joined) * pick.random() ** 0.7)
            seen = max(seen, active)
            status = pick.choices(("free", "trial", "paid", "churned"), (70, 6, 14, 10))[0]
            params = _params(pick, status, now)
            text = json.dumps(params, separators=(",", ":"))
            memberships.append((ident, project, status, joined, text, joined, joined, active))
            values += [(*value, ident, project) for value in values_of(params)]
        key = email if name is None else f"{email}\n{name.lower()}"
        folded = None if name is None else name.lower()
        standing = " ".join(f"{each[1]}{each[2][0]}" for each in memberships)
        row = (ident, email, name, 0, email, folded, key, created, seen, len(projects), standing)
        yield row, memberships, values


def _params(pick: random.Random, status: str, now: int) -> dict[str, Any]:
    params: dict[str, Any] = {
        "source": pick.choices(SOURCES, SOURCE_WEIGHTS)[0],
        "role": pick.choice(ROLES),
    }
    if status == "paid":
        price = pick.choices(PRICES, PRICE_WEIGHTS)[0]
        params |= {"plan": "pro" if price > 19 else "starter", "mrr": price}
    if status == "trial":
        ends = datetime.fromtimestamp(now / 1e6, UTC) + timedelta(days=pick.randrange(-60, 30))
        params["trial_ends"] = ends.date().isoformat()
    if pick.random() < 0.1:
        params["beta"] = True
    return params


def values_of(params: dict[str, Any]) -> Iterator[tuple[str, str, Any, str]]:
    """Path, kind, number and text of the rows in param_values."""
    for path, value in params.items():
        if isinstance(value, str):
            yield path, "s", 0, value
            if (instant := param_instant(value)) is not None:
                yield path, "d", instant, ""
        else:
            yield path, "b" if isinstance(value, bool) else "n", int(value), ""


COLUMNS = {
    "customers": "customer_id email name name_at email_key name_key search created_at last_seen_at "
    "project_count standing",
    "customer_emails": "email customer_id position",
    "memberships": "customer_id project_id status status_at params params_at joined_at "
    "last_active_at",
    "param_values": "path kind num txt customer_id project_id",
}


def load(url: str, number: int, now: int, account: str = "default") -> None:
    """Create the tables, the account with its products, and its people."""
    store = SQLStore(url)
    store.migrate()
    with store.begin(account) as tx:
        from tinycrm_core.state import ProjectState

        for slug in SLUGS:
            tx.add_project(ProjectState(0, slug, slug.title(), "leaf", now))
        account_id = tx.account_id  # type: ignore[attr-defined]
    store.close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        indexes = _drop_indexes(connection)
        driver: Any = connection.connection.driver_connection
        write = _to_sqlite if engine.dialect.name == "sqlite" else _to_postgresql
        made = people(number, now)
        while batch := list(itertools.islice(made, 50_000)):
            rows = {
                "customers": [customer for customer, _, _ in batch],
                "customer_emails": [(row[1], row[0], 0) for row, _, _ in batch],
                "memberships": [row for _, several, _ in batch for row in several],
                "param_values": [row for _, _, several in batch for row in several],
            }
            for name, several in rows.items():
                write(driver, name, account_id, several)
        _finish(connection, indexes)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _to_sqlite(driver: Any, name: str, account_id: int, rows: list[Row]) -> None:
    columns = COLUMNS[name].split()
    table = "loading" if name == "param_values" else f"tinycrm_{name}"
    if name == "param_values":
        driver.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS loading ({', '.join(columns)}, account_id)"
        )
    marks = ", ".join("?" * len(columns))
    driver.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}, account_id) VALUES ({marks}, {account_id})",
        ([v.bytes if isinstance(v, uuid.UUID) else v for v in row] for row in rows),
    )


def _to_postgresql(driver: Any, name: str, account_id: int, rows: list[Row]) -> None:
    columns = ", ".join(COLUMNS[name].split())
    with driver.cursor().copy(f"COPY tinycrm_{name} (account_id, {columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row((account_id, *row))


def _drop_indexes(connection: sa.Connection) -> list[str]:
    """Drop what can be built faster afterwards; returns the statements that build it."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('tinycrm_customers', 'tinycrm_memberships')"
        )
    else:
        found = connection.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN "
            "('tinycrm_customers', 'tinycrm_memberships') AND indexname NOT LIKE '%%_pkey'"
        )
    statements = []
    for name, statement in found.all():
        connection.exec_driver_sql(f"DROP INDEX {name}")
        statements.append(statement)
    return statements


def _finish(connection: sa.Connection, indexes: list[str]) -> None:
    if connection.dialect.name == "sqlite":
        columns = ", ".join(("account_id", *COLUMNS["param_values"].split()))
        connection.exec_driver_sql(
            f"INSERT INTO tinycrm_param_values ({columns}) SELECT {columns} FROM loading "
            "ORDER BY account_id, path, kind, num, txt, customer_id, project_id"
        )
        connection.exec_driver_sql("DROP TABLE loading")
    for statement in indexes:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO {SEARCH_TABLE}({SEARCH_TABLE}) VALUES ('rebuild')")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--customers", type=int, default=1_000_000)
    asked = parser.parse_args()
    started = time.perf_counter()
    now = to_micros(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0))
    load(asked.url, asked.customers, now)
    print(f"{asked.customers:,} customers in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
