"""A fault at one chosen statement of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from tinycrm_core.client import TinyCRM


class Fault(Exception):
    """What a test throws into the middle of a transaction."""


class Statements:
    """Counts the statements and the commit that would follow them; fails at one of them."""

    def __init__(self, fail_at: int | None) -> None:
        self.fail_at = fail_at
        self.seen: list[str] = []

    def _pass(self, statement: str) -> None:
        self.seen.append(statement)
        if len(self.seen) == self.fail_at:
            raise Fault(f"before statement {self.fail_at}: {statement}")

    def before_cursor_execute(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self._pass(" ".join(statement.split()))

    def commit(self, _: Any) -> None:
        self._pass("COMMIT")


def engine_of(crm: TinyCRM) -> Engine:
    """The engine of a client that is over a SQL store."""
    engine: Engine = crm.store._connections.engine  # type: ignore[attr-defined]
    return engine


@contextmanager
def watched(crm: TinyCRM, fail_at: int | None = None) -> Iterator[Statements]:
    """Statements from here on; with `fail_at` that one, counted from 1, fails."""
    statements = Statements(fail_at)
    engine = engine_of(crm)
    listeners = [
        ("before_cursor_execute", statements.before_cursor_execute),
        ("commit", statements.commit),
    ]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield statements
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
