"""Connections: how they are set up, how a transaction begins, and what a fork does to them."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import Pool, StaticPool

from tinycrm_core.errors import StoreError
from tinycrm_core.sql.direct import Direct

BUSY_TIMEOUT = 15.0
"""Seconds a SQLite transaction waits for others."""
WAITING = {
    "connect_timeout": "10",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "60",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""How long PostgreSQL is waited for, as libpq spells it, where a URL does not say.

What was sent and is not acknowledged after 15 s, and a connection nobody answers on, are broken.
Without this a machine that is gone, or a firewall that forgot us, holds a call for many minutes.
"""
PREPARING = "prepare_threshold"
"""After how many times a statement is prepared; `none` is for poolers in transaction mode."""
_CACHE = 16_000
"""KiB of pages a connection keeps; with SQLite's 2,000 a batch of 500 events does not fit."""
_MAGIC = b"SQLite format 3\x00"
_WAL = 2


class Connections:
    """One database: TinyCRM's own engine from a URL, or the engine of a host, left as it is.

    An own engine is never shared between processes: after a fork the child starts a new pool.
    """

    def __init__(self, target: str | URL | Engine, *, synchronous: str = "FULL") -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise StoreError("synchronous must be 'FULL' or 'NORMAL'", field="synchronous")
        self.owned = not isinstance(target, Engine)
        self.engine = target if isinstance(target, Engine) else _create(target, synchronous)
        self.dialect = self.engine.dialect.name
        if self.dialect not in {"sqlite", "postgresql"}:
            raise StoreError(f"TinyCRM runs on SQLite and PostgreSQL, not on {self.dialect}")
        self.where = self.engine.url.render_as_string(hide_password=True)
        if self.dialect == "sqlite":
            self.where = self.engine.url.database or ":memory:"
        self._single = isinstance(self.engine.pool, StaticPool)
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._inherited: list[Pool] = []

    @property
    def opening(self) -> tuple[str, ...]:
        """What begins a transaction on PostgreSQL where the driver does not do it by itself."""
        return ("BEGIN",) if self.owned and self.dialect == "postgresql" else ()

    @property
    def file(self) -> Path | None:
        """The SQLite file, if the database is one."""
        name = self.engine.url.database
        if self.dialect != "sqlite" or not name or name.startswith("file:") or ":memory:" in name:
            return None
        return Path(name)

    def check_file(self) -> None:
        """Refuse a file that is no SQLite database, before anything could write to it."""
        path = self.file
        if path is None or not path.exists():
            return
        try:
            with path.open("rb") as stream:
                head = stream.read(100)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        if not head:
            return
        if len(head) < 100 or not head.startswith(_MAGIC):
            raise StoreError(f"{path}: the file is not a SQLite database")
        if head[18] != _WAL and (damage := _damage(path)):
            raise StoreError(f"{path}: the database file is damaged: {damage}")

    @contextmanager
    def begin(self, *, write: bool, opened: bool = True) -> Iterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on any error.

        Without `opened` the caller runs the statements of `opening` itself, before any other.
        """
        self._after_fork()
        # SQLite lets writers look again and again, ever less often, and whoever is new go first;
        # those of one process wait in a line.
        turn = self._turn if self._single or (write and self.dialect == "sqlite") else None
        if turn and not turn.acquire(timeout=BUSY_TIMEOUT):
            raise StoreError(f"{self.where}: the database is locked by another transaction")
        try:
            with self.engine.connect() as connection, connection.begin():
                if self.dialect == "sqlite":
                    begin_sqlite(connection, write=write)
                elif opened:
                    for each in self.opening:
                        connection.exec_driver_sql(each)
                yield connection
        except DBAPIError as error:
            code: int = getattr(error.orig, "sqlite_errorcode", 0)
            if self.owned and not self._single and code & 0xFF == sqlite3.SQLITE_READONLY:
                # A connection made when the file could not be written stays so; the next may not.
                self.engine.dispose()
            raise
        finally:
            if turn:
                turn.release()

    def close(self) -> None:
        """Close an own engine's connections."""
        if self.owned:
            self._after_fork()
            self.engine.dispose()

    def _after_fork(self) -> None:
        if self._process == os.getpid():
            return
        self._turn = threading.Lock()
        if self.owned and not self._single:
            # Kept, because closing a connection of the parent would speak for the parent.
            self._inherited.append(self.engine.pool)
            self.engine.dispose(close=False)
        self._process = os.getpid()


def _damage(path: Path) -> str | None:
    """What is wrong with a file that is about to be switched to write-ahead logging."""
    probe = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
    try:
        found = probe.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", None) in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            return str(error)
        return None  # whatever it is, opening the file will tell
    finally:
        probe.close()
    return None if found == "ok" else str(found)


def begin_sqlite(connection: Connection, *, write: bool) -> None:
    """Open the transaction in which a writer has to wait at its start, not in its middle.

    SQLite refuses to turn a reader into a writer once somebody else has written (L1), and the
    driver by itself opens a transaction only at the first change.
    """
    direct = Direct(connection)
    if direct.in_transaction:
        direct.run("ROLLBACK")  # the host's engine has begun one of the wrong kind
    direct.run("BEGIN IMMEDIATE" if write else "BEGIN")


def _create(target: str | URL, synchronous: str) -> Engine:
    try:
        url = make_url(target)
        if url.drivername in {"postgres", "postgresql"}:
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "postgresql":
            return _create_postgres(url)
        if url.get_backend_name() != "sqlite":
            raise StoreError(f"TinyCRM runs on SQLite and PostgreSQL, not on {url.drivername}")
        return _create_sqlite(url, synchronous)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StoreError(f"this is not the URL of a database TinyCRM can use: {error}") from error


def _create_postgres(url: URL) -> Engine:
    arguments: dict[str, Any] = {key: WAITING[key] for key in WAITING.keys() - url.query.keys()}
    if PREPARING in url.query:  # the driver knows it, but not as text
        text = str(url.query[PREPARING])
        if text != "none" and not text.isdecimal():
            raise StoreError(f"{PREPARING}: expected a number, or none", field=PREPARING)
        arguments[PREPARING] = None if text == "none" else int(text)
        url = url.difference_update_query([PREPARING])
    # No transactions by the driver: it would wait for the answer to each BEGIN.
    return create_engine(url, connect_args=arguments, isolation_level="AUTOCOMMIT")


def _create_sqlite(url: URL, synchronous: str) -> Engine:
    name = url.database
    single = not name or name == ":memory:" or "mode=memory" in str(url)
    # No transactions by the driver: `begin_sqlite` opens them.
    arguments: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_TIMEOUT}
    if single:
        arguments["check_same_thread"] = False
        engine = create_engine(url, connect_args=arguments, poolclass=StaticPool)
    else:
        engine = create_engine(url, connect_args=arguments)

    def set_up(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE}")
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT * 1000)}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        # Whoever is deleted does not stay behind in free space; it costs nothing to be measured.
        connection.execute("PRAGMA secure_delete=ON")
        if not single:
            _use_wal(connection)

    event.listen(engine, "connect", set_up)
    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging; while others do the same, SQLite does not wait."""
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):  # reading works in whatever mode the file is
                return
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.005)  # busy_timeout does not cover this statement, so we wait ourselves
