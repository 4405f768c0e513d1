"""What `tinycrm doctor` asks of a database."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from tinycrm_core.sql import migrate
from tinycrm_core.sql.tables import PREFIX, Tables


def complaints(connection: Connection, tables: Tables) -> list[str]:
    """What is wrong, as sentences; empty when nothing is."""
    found = migrate.version(connection, tables.schema)
    if found is None:
        return ["The database has no tables of TinyCRM yet; run `tinycrm migrate`."]
    refusal = migrate.refusal(found)
    if refusal is not None:
        return [f"{refusal[:1].upper()}{refusal[1:]}."]
    sentences = _missing(connection, tables)
    if tables.dialect == "sqlite":
        sentences += _sqlite(connection)
    return sentences


def _missing(connection: Connection, tables: Tables) -> list[str]:
    inspector = inspect(connection)
    sentences = []
    for table in tables.metadata.sorted_tables:
        if not inspector.has_table(table.name, tables.schema):
            sentences.append(f"The table {table.name} is missing.")
            continue
        there = {index["name"] for index in inspector.get_indexes(table.name, tables.schema)}
        missing = sorted(str(index.name) for index in table.indexes if index.name not in there)
        sentences += [f"The index {name} is missing." for name in missing]
    return sentences


def _sqlite(connection: Connection) -> list[str]:
    damage = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    sentences = [f"The file is damaged: {line}." for line in damage if line != "ok"]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    for table in sorted({row[0] for row in orphans if str(row[0]).startswith(PREFIX)}):
        sentences.append(f"The table {table} has rows whose customer or project is missing.")
    return sentences
