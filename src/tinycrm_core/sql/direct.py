"""Running SQL on SQLite without what SQLAlchemy adds to each statement, unless somebody watches."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Row: TypeAlias = tuple[Any, ...]

_log = logging.getLogger("sqlalchemy.engine")


class Direct:
    """One transaction's way to SQLite.

    A statement through SQLAlchemy costs several times what SQLite needs for it. Where the engine
    has listeners or logs its statements, they go through it all the same.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        driver = connection.connection.driver_connection
        watched = (
            connection.dispatch.before_cursor_execute
            or connection.dispatch.after_cursor_execute
            or connection.engine.echo
            or _log.isEnabledFor(logging.INFO)
        )
        self._driver: sqlite3.Connection | None = None
        self.in_transaction = False
        if isinstance(driver, sqlite3.Connection):
            self.in_transaction = driver.in_transaction
            self._driver = None if watched else driver

    def fetch(self, statement: str, values: Row) -> Sequence[Sequence[Any]]:
        """All rows of a query."""
        if self._driver is None:
            found = self._connection.exec_driver_sql(statement, values)
            return found.fetchall() if found.returns_rows else ()
        try:
            return self._driver.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _wrapped(statement, values, error) from error

    def run(self, statement: str, values: Row = ()) -> None:
        """Run once."""
        if self._driver is None:
            self._connection.exec_driver_sql(statement, values)
            return
        try:
            self._driver.execute(statement, values)
        except sqlite3.Error as error:
            raise _wrapped(statement, values, error) from error

    def run_many(self, statement: str, rows: Iterable[Row]) -> None:
        """Run once for each row, of which there is one at least."""
        if self._driver is None:
            self._connection.exec_driver_sql(statement, list(rows))
            return
        try:
            self._driver.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _wrapped(statement, (), error) from error


def _wrapped(statement: str, values: Any, error: sqlite3.Error) -> Exception:
    """The error as SQLAlchemy would have raised it."""
    wrapped: Exception = DBAPIError.instance(statement, values, error, sqlite3.Error)
    return wrapped
