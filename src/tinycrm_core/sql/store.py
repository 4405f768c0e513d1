"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine, select, table, text
from sqlalchemy.engine import URL

from tinycrm_core.errors import SchemaError, StoreError
from tinycrm_core.patience import at_most
from tinycrm_core.sql import migrate
from tinycrm_core.sql.checks import complaints
from tinycrm_core.sql.directory import key_state
from tinycrm_core.sql.engine import Connections, begin_sqlite
from tinycrm_core.sql.failures import translated
from tinycrm_core.sql.people import People
from tinycrm_core.sql.people_postgres import PostgresPeople
from tinycrm_core.sql.people_sqlite import SQLitePeople
from tinycrm_core.sql.registry import Known
from tinycrm_core.sql.tables import PREFIX, SEARCH_TABLE, TRIGRAM_INDEX, tables_of
from tinycrm_core.sql.transaction import SQLTransaction
from tinycrm_core.state import KeyState
from tinycrm_core.store import Transaction

QUESTION_SECONDS = 5
"""How long one statement of a reading transaction may take."""
_STEPS = 200_000
_QUESTIONS = ("SET LOCAL jit = off",)
"""Compiling a question takes PostgreSQL longer than walking for a page."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """The tables are there and of this version."""

    people: Callable[[Connection], People]
    has_trigrams: bool


class SQLStore:
    """Implements `Store` on a SQLite file, on PostgreSQL, or on an engine of the host.

    `target` is a URL (`sqlite:///crm.db`, `postgresql://user:password@host/name`) or a SQLAlchemy
    engine, which is used as it is and never disposed of. `schema` places the tables in a schema of
    PostgreSQL. Tables are made on first use; older ones are refused unless `auto_migrate`.

    `synchronous` is SQLite's: `FULL` loses nothing that was acknowledged; `NORMAL` is faster and
    may lose the last moments when the machine loses power, but never damages the file.

    Nothing is opened before the first use. Works behind poolers in transaction mode; there turn
    off prepared statements by `?prepare_threshold=none` in the URL, or for an engine of the host by
    `connect_args={"prepare_threshold": None}`.
    """

    def __init__(
        self,
        target: str | URL | Engine,
        *,
        schema: str | None = None,
        auto_migrate: bool = False,
        synchronous: str = "FULL",
    ) -> None:
        self._connections = Connections(target, synchronous=synchronous)
        dialect = self._connections.dialect
        if schema is not None and dialect == "sqlite":
            raise StoreError("schema: only PostgreSQL has schemas", field="schema")
        quote = self._connections.engine.dialect.identifier_preparer.quote
        self._schema = schema
        self._prefix = f"{quote(schema)}.{PREFIX}" if schema else PREFIX
        self._auto_migrate = auto_migrate
        self.tables = tables_of(dialect, schema)
        self._ready: _Ready | None = None
        self._known: Known = {}

    @property
    def where(self) -> str:
        """The file or URL, without a password."""
        return self._connections.where

    # Transactions ---------------------------------------------------------------------------
    def begin(
        self, account: str, *, write: bool = True, connection: Connection | None = None
    ) -> AbstractContextManager[Transaction]:
        """See `Store.begin`. With `connection` the work joins the transaction of the host.

        Then errors undo a savepoint, and nothing is committed before the host commits.
        """
        if connection is not None:
            return self._join(account, connection, write=write)
        return self._begin(account, write=write)

    def joined(self, connection: Connection) -> JoinedStore:
        """This store with all its work inside the transaction of a connection of the host."""
        return JoinedStore(self, connection)

    @contextmanager
    def _begin(self, account: str, *, write: bool) -> Iterator[Transaction]:
        with translated(self.where):
            ready = self._ready or self._get_ready()
            with self._connections.begin(write=write, opened=False) as connection:
                transaction = self._transaction(connection, ready)
                opening = self._connections.opening
                if write:
                    transaction.enter(account, write=True, opening=opening)
                    yield transaction
                    transaction.commit()
                else:
                    if self._connections.dialect == "postgresql":
                        milliseconds = math.ceil(at_most(QUESTION_SECONDS) * 1000)
                        opening += (f"SET LOCAL statement_timeout = {milliseconds}", *_QUESTIONS)
                    with self._bounded(connection):
                        transaction.enter(account, write=False, opening=opening)
                        yield transaction
            transaction.registry.committed()

    @contextmanager
    def _join(self, account: str, connection: Connection, *, write: bool) -> Iterator[Transaction]:
        with translated(self.where):
            driver = connection.connection.driver_connection
            if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
                # A savepoint without a transaction around it would commit by itself.
                begin_sqlite(connection, write=write)
            with connection.begin_nested():
                ready = self._ready or self._look(connection)
                if ready is None:
                    migrate.upgrade(connection, self._schema, self.where)
                    ready = self._look(connection)
                if ready is None:
                    raise SchemaError(f"{self.where}: the tables of TinyCRM could not be made")
                transaction = self._transaction(connection, ready)
                transaction.enter(account, write=write)
                yield transaction
                transaction.finish()

    def _transaction(self, connection: Connection, ready: _Ready) -> SQLTransaction:
        return SQLTransaction(
            connection,
            self.tables,
            ready.people(connection),
            has_trigrams=ready.has_trigrams,
            known=self._known,
        )

    @contextmanager
    def _bounded(self, connection: Connection) -> Iterator[None]:
        """Statements end after a few seconds: whoever asks too much gets an error, not a stall."""
        driver = connection.connection.driver_connection
        if not self._connections.owned or not isinstance(driver, sqlite3.Connection):
            yield
            return
        until = time.monotonic() + at_most(QUESTION_SECONDS)
        driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)

    # Tables ---------------------------------------------------------------------------------
    def _get_ready(self) -> _Ready:
        self._connections.check_file()
        with self._connections.begin(write=False) as connection:
            ready = self._look(connection)
        if ready is None:
            self._upgrade()
            with self._connections.begin(write=False) as connection:
                ready = self._look(connection)
        if ready is None:
            raise SchemaError(f"{self.where}: the tables of TinyCRM could not be made")
        self._ready = ready
        return ready

    def _look(self, connection: Connection) -> _Ready | None:
        """What is there; None if tables have to be made or, with `auto_migrate`, changed."""
        found = migrate.version(connection, self._schema)
        refusal = migrate.refusal(found)
        if refusal and not (self._auto_migrate and found and found < migrate.HEAD):
            raise SchemaError(f"{self.where}: {refusal}")
        if found != migrate.HEAD:
            return None
        has_trigrams = self._has_trigrams(connection)
        if self._connections.dialect == "sqlite":
            return _Ready(partial(SQLitePeople, has_trigrams=has_trigrams), has_trigrams)
        return _Ready(partial(PostgresPeople, prefix=self._prefix), has_trigrams)

    def _has_trigrams(self, connection: Connection) -> bool:
        if self._connections.dialect == "postgresql":
            found = connection.exec_driver_sql(
                "SELECT to_regclass(%s)", (self._prefix.removesuffix(PREFIX) + TRIGRAM_INDEX,)
            )
            return found.scalar() is not None
        found = connection.exec_driver_sql(
            "SELECT 1 FROM sqlite_master WHERE name = ?", (SEARCH_TABLE,)
        )
        if found.scalar() is None:
            return False
        # A SQLite without FTS5 cannot keep the index of one that had it.
        connection.execute(select(text("1")).select_from(table(SEARCH_TABLE)).limit(0))
        return True

    def _upgrade(self) -> None:
        with self._connections.begin(write=True) as connection:
            migrate.upgrade(connection, self._schema, self.where)

    def migrate(self) -> None:
        with translated(self.where):
            self._connections.check_file()
            self._upgrade()
        self._ready = None

    # Across accounts ------------------------------------------------------------------------
    def find_key(self, digest: bytes) -> tuple[str, KeyState] | None:
        accounts, keys = self.tables.accounts, self.tables.api_keys
        query = (
            select(accounts.c.slug, keys)
            .join(keys, keys.c.account_id == accounts.c.account_id)
            .where(keys.c.hash == digest, keys.c.revoked_at.is_(None))
        )
        with self.connection() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else (row["slug"], key_state(row))

    def accounts(self) -> list[str]:
        accounts = self.tables.accounts
        with self.connection() as connection:
            query = select(accounts.c.slug).order_by(accounts.c.account_id)
            return list(connection.execute(query).scalars())

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Connection]:
        """A transaction that belongs to no account, for tables of others beside ours."""
        with translated(self.where):
            if self._ready is None:
                self._get_ready()
            with self._connections.begin(write=write) as connection:
                yield connection

    def check(self) -> list[str]:
        try:
            with translated(self.where):
                self._connections.check_file()
                with self._connections.begin(write=False) as connection:
                    return complaints(connection, self.tables)
        except StoreError as error:
            return [error.message]

    def fault(self) -> StoreError | None:
        """Why nothing can be stored, as a quick look tells that makes nothing; None if it can.

        Tables that are not there yet are no fault, because the first use makes them.
        """
        file = self._connections.file
        try:
            with translated(self.where):
                place = file if file is None or file.exists() else file.parent
                if place is not None and not os.access(place, os.W_OK):
                    raise StoreError(f"{file}: this user cannot write there")
                if file is None or file.exists():
                    self._connections.check_file()
                    with self._connections.begin(write=False) as connection:
                        self._look(connection)
        except StoreError as error:
            return error
        return None

    def close(self) -> None:
        self._connections.close()


@dataclass(frozen=True, slots=True)
class JoinedStore:
    """A store inside the host's transaction; the host commits."""

    store: SQLStore
    connection: Connection

    def begin(self, account: str, *, write: bool = True) -> AbstractContextManager[Transaction]:
        return self.store.begin(account, write=write, connection=self.connection)

    def find_key(self, digest: bytes) -> tuple[str, KeyState] | None:
        return self.store.find_key(digest)

    def accounts(self) -> list[str]:
        return self.store.accounts()

    def migrate(self) -> None:
        self.store.migrate()

    def check(self) -> list[str]:
        return self.store.check()

    def close(self) -> None:
        """Nothing to give back: the connection is the host's."""
