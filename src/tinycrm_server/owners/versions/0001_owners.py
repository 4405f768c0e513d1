"""The first tables of the server."""

from __future__ import annotations

from typing import Any

revision = "0001"
down_revision = None

WORDS = {
    "sqlite": {"big": "INTEGER", "text": "TEXT", "bytes": "BLOB", "uuid": "BLOB"},
    "postgresql": {
        "big": "BIGINT",
        "text": 'TEXT COLLATE "C"',
        "bytes": "BYTEA",
        "uuid": "UUID",
    },
}

TABLES = """
CREATE TABLE {p}owners (
    owner_id {uuid} NOT NULL PRIMARY KEY,
    email {text} NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created_at {big} NOT NULL
);
CREATE TABLE {p}account_owners (
    account_id {big} NOT NULL,
    owner_id {uuid} NOT NULL,
    created_at {big} NOT NULL,
    PRIMARY KEY (account_id, owner_id)
);
CREATE TABLE {p}sessions (
    account_id {big} NOT NULL,
    hash {bytes} NOT NULL,
    owner_id {uuid} NOT NULL,
    created_at {big} NOT NULL,
    seen_at {big} NOT NULL,
    PRIMARY KEY (account_id, hash)
);
CREATE UNIQUE INDEX tinycrm_sessions_hash ON {p}sessions (hash);
CREATE TABLE {p}setup_tokens (
    hash {bytes} NOT NULL PRIMARY KEY,
    ends_at {big} NOT NULL
);
CREATE TABLE {p}rejected_calls (
    account_id {big} NOT NULL PRIMARY KEY,
    at {big} NOT NULL,
    call TEXT NOT NULL,
    status {big} NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL
)
"""


def upgrade(op: Any, schema: str | None) -> None:
    """Make the tables."""
    connection = op.get_bind()
    quote = connection.dialect.identifier_preparer.quote
    prefix = f"{quote(schema)}.tinycrm_" if schema else "tinycrm_"
    for statement in TABLES.format(p=prefix, **WORDS[connection.dialect.name]).split(";"):
        connection.exec_driver_sql(statement)
