"""Counts, tallies and totals of all the people a filter finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import fsum
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import FromClause, Select, case, func, select
from sqlalchemy.sql import ColumnElement

from tinycrm_core.filters import EVERYBODY, And, Condition, Filter, Not, On, Or, Param, normalise
from tinycrm_core.filters.conditions import STATUSES
from tinycrm_core.model import ABSENT, Json
from tinycrm_core.params import param_path, value_under
from tinycrm_core.query import SORT_TEXT
from tinycrm_core.sql import standings
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.candidates import distinct_ids
from tinycrm_core.sql.columns import stored_path
from tinycrm_core.sql.compile import compile_filter
from tinycrm_core.sql.json_tests import value_at
from tinycrm_core.sql.reading import MANY, Reading, candidates_of, scope_of
from tinycrm_core.sql.scope import Clause, Scope
from tinycrm_core.store import Tally, Totals

FEW = 4_000
"""People whose params are read themselves, rather than all values of a path in search of theirs."""
_AT_ONCE = 500
Matching: TypeAlias = Select[Any]
"""Selects the `customer_id` of those who match, everybody once."""


def count(tx: Reading, filter: Filter, now: int, cap: int | None = None) -> int:
    """How many people match; with `cap`, counting stops there and `cap` is the answer."""
    scope = scope_of(tx, now)
    return _count(tx, normalise(filter), scope, cap)


def _count(tx: Reading, filter: Filter, scope: Scope, cap: int | None) -> int:
    if cap is None and _is_intricate(filter) and standings.decides(filter):
        found = standings.matching(tx, filter, scope)
        if found is not None:
            return sum(each.people for each in found)
    if isinstance(filter, Not) and cap is None:
        return _count(tx, EVERYBODY, scope, None) - _count(tx, filter.item, scope, None)
    rows = matching(tx, filter, scope)
    if cap is not None:
        rows = rows.limit(cap)
    return int(tx.connection.scalar(select(func.count()).select_from(rows.subquery())) or 0)


def _is_intricate(filter: Filter) -> bool:
    """Whether no single range of an index counts those who match."""
    if isinstance(filter, On):
        return filter.project is None
    return not isinstance(filter, Condition) and filter != EVERYBODY


def matching(tx: Reading, filter: Filter, scope: Scope) -> Matching:
    """Those who match, from the smallest candidates there are."""
    found = candidates_of(tx, filter, scope, MANY)
    people = fresh(scope.tables.customers)
    if found is None:
        return select(people.c.customer_id).where(
            people.c.account_id == scope.account_id, compile_filter(filter, scope, people)
        )
    ids = distinct_ids(found)
    if not found.rest:
        return select(ids.c.customer_id)
    rest = And(found.rest)
    if not asks_customers(rest):
        return select(ids.c.customer_id).where(compile_filter(rest, scope, ids))
    return select(people.c.customer_id).where(
        people.c.account_id == scope.account_id,
        people.c.customer_id == ids.c.customer_id,
        compile_filter(rest, scope, people),
    )


def asks_customers(filter: Filter) -> bool:
    """Whether a filter reads columns of the person, not only memberships."""
    match filter:
        case And(items) | Or(items):
            return any(map(asks_customers, items))
        case Not(item):
            return asks_customers(item)
    return isinstance(filter, Condition)


# Tallies


def tally(tx: Reading, filter: Filter, by: str | Param, project: str | None, now: int) -> Tally:
    """How many matching people per `status`, per `project` (slug) or per value of a Param.

    The most frequent value comes first, equally frequent ones in the order of their text.
    """
    scope = scope_of(tx, now)
    asked = normalise(filter)
    found = _by_standing(tx, asked, by, project, scope)
    if found is not None:
        pass
    elif by == "status" and project is None and scope.dialect == "sqlite":
        found = _by_status(tx, asked, scope)
    elif isinstance(by, Param):
        found = _of_few(tx, asked, by, project, scope)
        found = _by_value(tx, asked, by, project, scope) if found is None else found
    else:
        found = _by_column(tx, asked, by, project, scope)
    return sorted(found, key=lambda each: (-each[1], str(each[0]), type(each[0]).__name__))


def _by_standing(
    tx: Reading, filter: Filter, by: str | Param, project: str | None, scope: Scope
) -> list[tuple[Json, int]] | None:
    """By status or product, where that and the filter follow from where people stand."""
    if isinstance(by, Param) or not standings.decides(filter):
        return None
    groups = standings.matching(tx, filter, scope)
    if groups is None:
        return None
    people: Counter[str] = Counter()
    for each in groups:
        places = [one for one in each.memberships if project is None or one.project == project]
        for value in {one.status if by == "status" else one.project for one in places}:
            people[value] += each.people
    return list(people.items())


def _by_column(
    tx: Reading, filter: Filter, by: str, project: str | None, scope: Scope
) -> list[tuple[Json, int]]:
    memberships = fresh(scope.tables.memberships)
    column = memberships.c.status if by == "status" else memberships.c.project_id
    once = by == "project" or project is not None
    people = func.count() if once else func.count(memberships.c.customer_id.distinct())
    asked = select(column, people).where(*_here(memberships, project, scope)).group_by(column)
    asked = _only(tx, asked, memberships, filter, scope)
    slugs = {number: slug for slug, number in scope.projects.items()}
    return [(slugs.get(key, key), number) for key, number in tx.connection.execute(asked)]


def _by_status(tx: Reading, filter: Filter, scope: Scope) -> list[tuple[Json, int]]:
    """People by status anywhere, person after person in the order SQLite keeps memberships in.

    Counting distinct people would make it keep a set of all it has seen.
    """
    memberships = fresh(scope.tables.memberships)
    has = [func.max(case((memberships.c.status == each, 1), else_=0)) for each in STATUSES]
    each = select(*(flag.label(name) for name, flag in zip(STATUSES, has, strict=True)))
    each = each.where(*_here(memberships, None, scope)).group_by(memberships.c.customer_id)
    people = _only(tx, each, memberships, filter, scope).subquery()
    numbers = tx.connection.execute(select(*(func.sum(people.c[name]) for name in STATUSES))).one()
    return [(name, int(n)) for name, n in zip(STATUSES, numbers, strict=True) if n]


def _of_few(
    tx: Reading, filter: Filter, by: Param, project: str | None, scope: Scope
) -> list[tuple[Json, int]] | None:
    """By the value of a param, of at most `FEW` people: the values are not in their order."""
    if filter == EVERYBODY:
        return None
    ids = tx.connection.execute(matching(tx, filter, scope).limit(FEW + 1)).scalars().all()
    if len(ids) > FEW:
        return None
    memberships = fresh(scope.tables.memberships)
    asked = select(memberships.c.customer_id, memberships.c.params)
    asked = asked.where(*_here(memberships, project, scope))
    values: set[tuple[UUID, bool, Json]] = set()
    for start in range(0, len(ids), _AT_ONCE):
        part = memberships.c.customer_id.in_(ids[start : start + _AT_ONCE])
        for customer_id, params in tx.connection.execute(asked.where(part)):
            value = value_under(params, by.path)
            if value is not ABSENT and type(value) not in (dict, list):
                # The flag keeps true and 1 apart.
                values.add((customer_id, type(value) is bool, value))
    people = Counter((flag, value) for _, flag, value in values)
    return [(value, number) for (_, value), number in people.items()]


def _by_value(
    tx: Reading, filter: Filter, by: Param, project: str | None, scope: Scope
) -> list[tuple[Json, int]]:
    values = fresh(scope.tables.param_values)
    place = (
        *_here(values, project, scope),
        values.c.path == stored_path(param_path(by.path)),
        values.c.kind.in_(("b", "n", "s", "z")),
    )
    key = (values.c.kind, values.c.num, values.c.txt)
    number = _people(values, project)
    asked = _only(tx, select(*key, number).where(*place).group_by(*key), values, filter, scope)
    found: list[tuple[Json, int]] = []
    cut = False
    for kind, num, txt, people in tx.connection.execute(asked):
        if kind == "s" and len(txt) == SORT_TEXT:
            cut = True
        else:
            plain = {"n": num, "s": txt, "b": bool(num), "z": None}
            found.append((plain[kind], people))
    if cut:
        memberships = fresh(scope.tables.memberships)
        text = value_at(by.path, scope.dialect, memberships).text_or_null()
        asked = (
            select(text, number)
            .where(
                *place,
                func.length(values.c.txt) == SORT_TEXT,
                memberships.c.account_id == scope.account_id,
                memberships.c.customer_id == values.c.customer_id,
                memberships.c.project_id == values.c.project_id,
            )
            .group_by(text)
        )
        rows = tx.connection.execute(_only(tx, asked, values, filter, scope))
        found += [(value, people) for value, people in rows]
    return found


def _people(rows: FromClause, project: str | None) -> ColumnElement[int]:
    return func.count(rows.c.customer_id.distinct()) if project is None else func.count()


def _here(rows: FromClause, project: str | None, scope: Scope) -> Sequence[Clause]:
    mine: Clause = rows.c.account_id == scope.account_id
    if project is None:
        return (mine,)
    return mine, rows.c.project_id == scope.projects.get(project, 0)


def _only(
    tx: Reading, asked: Select[Any], rows: FromClause, filter: Filter, scope: Scope
) -> Select[Any]:
    """Only rows of those who match."""
    if filter == EVERYBODY:
        return asked
    return asked.where(rows.c.customer_id.in_(matching(tx, filter, scope)))


# Totals


def aggregate(tx: Reading, filter: Filter, param: Param, project: str | None, now: int) -> Totals:
    """Totals of a numeric param over the memberships of matching people."""
    scope = scope_of(tx, now)
    values = fresh(scope.tables.param_values)
    asked = (
        select(values.c.num, func.count())
        .where(
            *_here(values, project, scope),
            values.c.path == stored_path(param_path(param.path)),
            values.c.kind == "n",
        )
        .group_by(values.c.num)
    )
    # Added up here, because the engines round, overflow and order their sums differently.
    rows = tx.connection.execute(_only(tx, asked, values, normalise(filter), scope)).all()
    if not rows:
        return Totals(0, None, None, None, None)
    amount = sum(people for _, people in rows)
    total: int | float
    if all(isinstance(number, int) for number, _ in rows):
        total = sum(number * people for number, people in rows)
    else:
        total = fsum(number * people for number, people in rows)
    numbers = [number for number, _ in rows]
    return Totals(amount, total, total / amount, min(numbers), max(numbers))
