"""A filter as one SQL clause over the customers table, with the meaning of `values.resolve`.

A clause is true or false for everybody, never null, so that `Not` may stand around it. Inside an
`On` null counts as false. Every table a clause reads is bound to the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    FromClause,
    Text,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from tinycrm_core.filters import And, Condition, Filter, Not, On, Or, Param, resolve
from tinycrm_core.filters.values import (
    Absent,
    Contains,
    Counts,
    OneOf,
    Present,
    Starts,
    Test,
    Texts,
    Times,
)
from tinycrm_core.sql import json_tests
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.scope import Clause, Scope, in_span

CUSTOMER_COLUMNS = {
    "email": "email_key",
    "name": "name_key",
    "words": "search",
    "created": "created_at",
    "seen": "last_seen_at",
    "projects": "project_count",
}
MEMBERSHIP_COLUMNS = {"status": "status", "joined": "joined_at", "active": "last_active_at"}


def compile_filter(filter: Filter, scope: Scope, customers: FromClause | None = None) -> Clause:
    """The clause that holds for the rows of `customers` (or an alias of it) that match."""
    people = scope.tables.customers if customers is None else customers
    match filter:
        case And(items):
            return and_(true(), *(compile_filter(item, scope, people) for item in items))
        case Or(items):
            return or_(false(), *(compile_filter(item, scope, people) for item in items))
        case Not(item):
            return not_(compile_filter(item, scope, people))
        case On():
            return on_clause(filter, scope, people.c.customer_id)
    return customer_clause(filter, scope, people)


def nobody() -> Clause:
    """False, but not so that the rest of a statement, its account too, is thought superfluous."""
    return literal(0) == literal(1)


def customer_clause(condition: Condition, scope: Scope, people: FromClause) -> Clause:
    """One condition on the person."""
    name = CUSTOMER_COLUMNS[str(condition.field)]
    column: ColumnElement[Any] = people.c[name]
    if scope.fenced and scope.dialect == "sqlite" and name != scope.along:
        column = unindexed(column)
    return scalar_test(column, resolve(condition, scope.now), scope.dialect)


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, such that SQLite does not look it up: unary plus changes nothing else."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def on_clause(on: On, scope: Scope, customer_id: ColumnElement[Any]) -> Clause:
    """Whether the person with this id has such a membership."""
    memberships = fresh(scope.tables.memberships)
    found = (
        select(1)
        .where(
            memberships.c.account_id == scope.account_id,
            memberships.c.customer_id == customer_id,
            *membership_clauses(on, scope, memberships, of_person=True),
        )
        .correlate_except(memberships)
    )
    if scope.fenced and scope.dialect == "postgresql":
        found = found.offset(literal(0))
    return found.exists()


def membership_clauses(
    on: On, scope: Scope, memberships: FromClause, *, of_person: bool = False
) -> list[Clause]:
    """What a row of `memberships` of the account has to fulfil.

    `of_person` tells that the rows of one person are read, so that no other index is of use.
    """
    clauses = [
        membership_clause(each, scope, memberships, of_person=of_person) for each in on.conditions
    ]
    if on.project is not None:
        clauses.insert(0, _on_projects((on.project,), scope, memberships))
    return clauses


def membership_clause(
    condition: Condition, scope: Scope, memberships: FromClause, *, of_person: bool = False
) -> Clause:
    """One condition on a membership."""
    field, test = condition.field, resolve(condition, scope.now)
    if isinstance(field, Param):
        return json_tests.param_clause(field.path, test, scope, memberships)
    if field == "project":
        if not isinstance(test, OneOf):
            raise TypeError(test)
        inside = _on_projects(test.values, scope, memberships)
        return not_(inside) if test.negated else inside
    column: ColumnElement[Any] = memberships.c[MEMBERSHIP_COLUMNS[field]]
    if of_person and scope.dialect == "sqlite":
        column = unindexed(column)
    return scalar_test(column, test, scope.dialect)


def _on_projects(slugs: Iterable[str], scope: Scope, memberships: FromClause) -> Clause:
    ids = [scope.projects[slug] for slug in slugs if slug in scope.projects]
    if not ids:
        return nobody()
    column: ColumnElement[int] = memberships.c.project_id
    return column == ids[0] if len(ids) == 1 else column.in_(ids)


def scalar_test(column: ColumnElement[Any], test: Test, dialect: str) -> Clause:
    """A test on a column that holds folded text, microseconds, a count, a status."""
    match test:
        case Present():
            return column.is_not(None)
        case Absent():
            return column.is_(None)
        case Texts(texts, negated):
            return _known(column, _one_of(column, texts, negated))
        case OneOf(names, negated):
            return _one_of(column, names, negated)
        case Contains(text):
            return _known(column, contains(column, text, dialect))
        case Starts(text):
            return _known(column, starts(column, text, dialect))
        case Times(spans, negated):
            inside = or_(false(), *(in_span(column, span) for span in spans))
            return _known(column, not_(inside) if negated else inside)
        case Counts(ranges, negated):
            inside = or_(false(), *(_between(column, low, high) for low, high in ranges))
            return not_(inside) if negated else inside
    return nobody()


def _known(column: ColumnElement[Any], clause: Clause) -> Clause:
    return and_(column.is_not(None), clause)


def _one_of(column: ColumnElement[Any], values: Sequence[Any], negated: bool) -> Clause:
    if not values:
        return true() if negated else nobody()
    if len(values) == 1:
        other: Clause = column != values[0]
        return other if negated else column == values[0]
    return column.not_in(values) if negated else column.in_(values)


def contains(text: ColumnElement[Any], part: str, dialect: str) -> Clause:
    """Whether `part` occurs, by code points; nothing in it is a wildcard."""
    position = func.instr if dialect == "sqlite" else func.strpos
    found: Clause = position(text, literal(part, Text)) > 0
    return found


def starts(text: ColumnElement[Any], start: str, dialect: str) -> Clause:
    """Whether the text begins with `start`, by code points."""
    if dialect == "sqlite":
        return func.substr(text, 1, len(start)) == start
    begins: Clause = func.starts_with(text, literal(start, Text))
    return begins


def _between(column: ColumnElement[Any], low: int | None, high: int | None) -> Clause:
    clauses: list[Clause] = []
    if low is not None:
        clauses.append(column >= literal(low, BigInteger))
    if high is not None:
        clauses.append(column <= literal(high, BigInteger))
    return and_(true(), *clauses)
