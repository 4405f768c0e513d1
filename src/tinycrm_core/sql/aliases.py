"""Aliases of the tables. Making one with its columns takes longer than a quick query."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle

from sqlalchemy import FromClause, Table

_AT_ONCE = 512
"""More than are made for one question: a filter has at most 50 conditions."""


def fresh(table: Table) -> FromClause:
    """An alias that no other part of the same statement has."""
    return next(_aliases(table))


@cache
def _aliases(table: Table) -> Iterator[FromClause]:
    return cycle([table.alias() for _ in range(_AT_ONCE)])
