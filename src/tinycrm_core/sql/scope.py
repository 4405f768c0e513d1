"""What every clause is compiled for, and the smallest of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, and_, literal
from sqlalchemy.sql import ColumnElement

from tinycrm_core.filters.values import Span

Clause: TypeAlias = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a filter is compiled for: one account of one database, at one time.

    `tables` has `customers`, `memberships` and `param_values`; `projects` maps slugs to ids.
    With `fenced`, the planner has to test person by person: it may neither turn an `On` into a
    join nor leave the index on the customers' column `along` for that of a condition.
    """

    tables: Any
    dialect: str
    account_id: int
    projects: Mapping[str, int]
    now: int
    fenced: bool = False
    along: str = ""


def in_span(column: ColumnElement[Any], span: Span) -> Clause:
    """Whether a time is inside the half-open span."""
    first, after = span
    clauses: list[Clause] = [column.is_not(None)] if first is None and after is None else []
    if first is not None:
        clauses.append(column >= literal(first, BigInteger))
    if after is not None:
        clauses.append(column < literal(after, BigInteger))
    return and_(*clauses)
