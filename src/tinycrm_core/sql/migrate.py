"""Bringing the tables to this version: all of it in one transaction, by one process at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from tinycrm_core.errors import SchemaError, StoreError
from tinycrm_core.sql.tables import VERSION_TABLE

HEAD = "0002"
"""The revision this version of TinyCRM works with."""
LOCK_TIMEOUT = "60s"
VERSIONS = Path(__file__).parent / "versions"


@dataclass(frozen=True, slots=True)
class Revisions:
    """A line of revisions: its folder, the table that holds where it stands, and its end."""

    folder: Path
    table: str
    head: str


def ours() -> Revisions:
    """The revisions of the customers' tables, which everything here is about if nothing is said."""
    return Revisions(VERSIONS, VERSION_TABLE, HEAD)


def version(connection: Connection, schema: str | None, of: Revisions | None = None) -> str | None:
    """The revision of the tables; None where there are none yet."""
    of = of or ours()
    if not inspect(connection).has_table(of.table, schema):
        return None
    found = connection.execute(
        select(column("version_num")).select_from(table(of.table, schema=schema))
    ).scalar()
    return None if found is None else str(found)


def refusal(found: str | None, of: Revisions | None = None) -> str | None:
    """Why tables of this revision cannot be used, as the end of a sentence; None if they can."""
    of = of or ours()
    if found is None or found == of.head:
        return None
    if found > of.head:
        return f"the database is newer ({found}) than this TinyCRM ({of.head}): update TinyCRM"
    return f"the tables are of version {found}, TinyCRM needs {of.head}: run `tinycrm migrate`"


def upgrade(
    connection: Connection, schema: str | None, where: str, of: Revisions | None = None
) -> None:
    """Run what is missing, inside the transaction of this connection.

    On SQLite that must be a writing one; on PostgreSQL a lock lets others wait for a minute.
    Raises SchemaError for a newer database, before anything is changed.
    """
    of = of or ours()
    if connection.dialect.name == "postgresql":
        _take_turn(connection, schema, where)
    found = version(connection, schema, of)
    if found == of.head:
        return
    if found is not None and found > of.head:
        raise SchemaError(f"{where}: {refusal(found, of)}")
    if found is None and connection.dialect.name == "sqlite":
        _check_pages(connection, where)
    if schema and not inspect(connection).has_schema(schema):
        quote = connection.dialect.identifier_preparer.quote
        connection.exec_driver_sql("CREATE SCHEMA " + quote(schema))
    _run(connection, schema, found, of)


def _run(connection: Connection, schema: str | None, found: str | None, of: Revisions) -> None:
    # Alembic takes a while to import and is needed once in the life of a database.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(of.folder), version_locations=[str(of.folder)])
    context = MigrationContext.configure(
        connection, opts={"version_table": of.table, "version_table_schema": schema}
    )
    missing = list(scripts.iterate_revisions(of.head, found or "base"))
    for script in reversed(missing):
        script.module.upgrade(Operations(context), schema)
        context.stamp(scripts, script.revision)


def _take_turn(connection: Connection, schema: str | None, where: str) -> None:
    """A lock that ends with the transaction, so that no pooler can strand it."""
    digest = hashlib.sha256(f"{VERSION_TABLE} {schema or ''}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (number,))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise StoreError(
            f"{where}: somebody else has been migrating the tables for {LOCK_TIMEOUT}; try again"
        ) from error


def _check_pages(connection: Connection, where: str) -> None:
    """A damaged file gets no tables: what is in it may still be saved by other means."""
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise StoreError(f"{where}: the database file is damaged: {found}")
