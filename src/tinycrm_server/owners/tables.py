"""The server's own tables, beside those of the customers and in the same database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from tinycrm_core.errors import SchemaError
from tinycrm_core.sql import SQLStore
from tinycrm_core.sql.columns import Ident, big_integer, ordered_text
from tinycrm_core.sql.migrate import Revisions, refusal, upgrade, version
from tinycrm_core.store import Store

REVISIONS = Revisions(Path(__file__).parent / "versions", "tinycrm_server_version", "0001")


class Tables:
    """What belongs to an account starts its keys with it, as everything else does."""

    def __init__(self, schema: str | None = None) -> None:
        metadata = MetaData(schema=schema)
        text, time, ident = ordered_text, big_integer, Ident
        self.owners = Table(
            "tinycrm_owners",
            metadata,
            Column("owner_id", ident(), primary_key=True),
            Column("email", text(), nullable=False, unique=True),
            Column("password", Text, nullable=False),
            Column("created_at", time(), nullable=False),
        )
        self.account_owners = Table(
            "tinycrm_account_owners",
            metadata,
            Column("account_id", time(), nullable=False),
            Column("owner_id", ident(), nullable=False),
            Column("created_at", time(), nullable=False),
            PrimaryKeyConstraint("account_id", "owner_id"),
        )
        self.sessions = Table(
            "tinycrm_sessions",
            metadata,
            Column("account_id", time(), nullable=False),
            Column("hash", LargeBinary, nullable=False),
            Column("owner_id", ident(), nullable=False),
            Column("created_at", time(), nullable=False),
            Column("seen_at", time(), nullable=False),
            PrimaryKeyConstraint("account_id", "hash"),
            # The one look-up before the account is known.
            Index("tinycrm_sessions_hash", "hash", unique=True),
        )
        self.setup_tokens = Table(
            "tinycrm_setup_tokens",
            metadata,
            Column("hash", LargeBinary, primary_key=True),
            Column("ends_at", time(), nullable=False),
        )
        self.rejected_calls = Table(
            "tinycrm_rejected_calls",
            metadata,
            Column("account_id", time(), primary_key=True, autoincrement=False),
            Column("at", time(), nullable=False),
            Column("call", Text, nullable=False),
            Column("status", time(), nullable=False),
            Column("code", Text, nullable=False),
            Column("message", Text, nullable=False),
        )


@cache
def tables_of(schema: str | None) -> Tables:
    """The tables, built once for each schema."""
    return Tables(schema)


class Place:
    """Where the server keeps its tables: beside the customers, or in memory beside a store there.

    The tables are made on first use, by one process at a time.
    """

    def __init__(self, store: Store) -> None:
        self.store = store if isinstance(store, SQLStore) else SQLStore("sqlite://")
        self.customers = self.store.tables
        self.tables = tables_of(self.customers.schema)
        self._ready = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing."""
        self._get_ready()
        with self.store.connection() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it or nothing."""
        self._get_ready()
        with self.store.connection(write=True) as connection:
            yield connection

    def make_account(self, slug: str) -> None:
        """Make an account unless it is there."""
        with self.store.begin(slug):
            pass

    def migrate(self) -> None:
        """Bring the server's tables to this version."""
        with self.store.connection(write=True) as connection:
            upgrade(connection, self.customers.schema, self.store.where, REVISIONS)
        self._ready = True

    def _get_ready(self) -> None:
        if self._ready:
            return
        with self.store.connection() as connection:
            found = version(connection, self.customers.schema, REVISIONS)
        if found is None:
            self.migrate()
        elif reason := refusal(found, REVISIONS):
            raise SchemaError(f"{self.store.where}: {reason}")
        self._ready = True
