"""SQL on PostgreSQL in few round trips: statements that need no answer at once go together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger("sqlalchemy.engine")


class Later:
    """A statement that is on its way; `rows` is its result, if it has one, once it was sent."""

    __slots__ = ("asks", "rows", "statement", "values")

    def __init__(self, statement: str, values: tuple[Any, ...], *, asks: bool) -> None:
        self.statement = statement
        self.values = values
        self.asks = asks
        self.rows: Sequence[Sequence[Any]] = ()


class Pipeline:
    """One transaction's way to PostgreSQL.

    Uses the pipeline mode of the protocol, which needs no state of the session. Where the engine
    has listeners or logs its statements, or the driver has no such mode, statements go one by one
    through SQLAlchemy.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[Later] = []
        self._driver = _driver(connection)

    def later(self, statement: str, values: tuple[Any, ...] = (), *, asks: bool = False) -> Later:
        """Put a statement off until the next `send`; one that `asks` has rows to give."""
        put_off = Later(statement, values, asks=asks)
        self._waiting.append(put_off)
        return put_off

    def fetch(self, statement: str, values: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        """All rows of a query, after everything that was put off."""
        asked = self.later(statement, values, asks=True)
        self.send()
        return asked.rows

    def send(self) -> None:
        """Run what was put off, in its order, in one round trip."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        if self._driver is None:
            for each in waiting:
                found = self._connection.exec_driver_sql(each.statement, each.values or None)
                each.rows = found.fetchall() if each.asks else ()
        else:
            self._send(self._driver, waiting)

    def commit(self) -> None:
        """Run what was put off and commit with it; what SQLAlchemy is watched for is left to it."""
        if self._driver is not None and not self._connection.dispatch.commit:
            self.later("COMMIT")
        self.send()

    def _send(self, driver: psycopg.Connection[Any], waiting: list[Later]) -> None:
        from psycopg import Error

        try:
            if len(waiting) == 1:
                (each,) = waiting
                cursor = driver.execute(each.statement, each.values or None)
                each.rows = cursor.fetchall() if each.asks else ()
            else:
                # Those whose results nobody reads share a cursor.
                silent = driver.cursor()
                cursors = [driver.cursor() if each.asks else silent for each in waiting]
                with driver.pipeline():
                    for each, cursor in zip(waiting, cursors, strict=True):
                        cursor.execute(each.statement, each.values or None)
                for each, cursor in zip(waiting, cursors, strict=True):
                    if each.asks:
                        each.rows = cursor.fetchall()
        except Error as error:
            raise self._wrapped(waiting[0], error, driver) from error

    def _wrapped(self, sent: Later, error: Any, driver: Any) -> Exception:
        """The error as SQLAlchemy would have raised it."""
        from psycopg import Error

        if self._connection.dialect.is_disconnect(error, driver, None):
            # SQLAlchemy meets the broken connection itself, so that its pool learns of it.
            self._connection.exec_driver_sql("SELECT 1")
        wrapped: Exception = DBAPIError.instance(sent.statement, sent.values, error, Error)
        return wrapped


def _driver(connection: Connection) -> psycopg.Connection[Any] | None:
    """The connection of the driver, if nobody wants to see what goes through it."""
    if (
        connection.dispatch.before_cursor_execute
        or connection.dispatch.after_cursor_execute
        or connection.engine.echo
        or _log.isEnabledFor(logging.INFO)
    ):
        return None
    try:
        import psycopg
    except ImportError:
        return None
    driver = connection.connection.driver_connection
    usable = isinstance(driver, psycopg.Connection) and psycopg.Pipeline.is_supported()
    return driver if usable else None
