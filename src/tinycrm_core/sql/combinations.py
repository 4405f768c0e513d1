"""Who is on which products at once, counted in one pass over the memberships."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, case, func, literal, select

from tinycrm_core.filters import EVERYBODY, On, compile_membership
from tinycrm_core.sql import standings
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.columns import big_integer
from tinycrm_core.sql.compile import membership_clauses
from tinycrm_core.sql.reading import Reading, scope_of
from tinycrm_core.sql.scope import Scope
from tinycrm_core.store import Combinations

BITS = 62
"""Products that fit into one number; more take another one."""


def combinations(tx: Reading, on: On, now: int) -> Combinations:
    """As `Transaction.combinations` promises.

    Each product is a bit, so that what a person is on is a sum, and people with equal sums are
    counted together. Joining memberships with themselves takes longer for one pair of products.
    """
    scope = scope_of(tx, now)
    groups = standings.matching(tx, EVERYBODY, scope) if standings.decides(on) else None
    if groups is not None:
        return _of_standings(groups, on, now)
    slugs = list(scope.projects)
    if not slugs:
        return []
    parts = [slugs[start : start + BITS] for start in range(0, len(slugs), BITS)]
    rows = tx.connection.execute(_counted(on, parts, scope))
    return [(_products(sums, parts), people) for *sums, people in rows]


def _of_standings(groups: standings.Standings, on: On, now: int) -> Combinations:
    holds: Any = compile_membership(on, now)
    people: Counter[frozenset[str]] = Counter()
    for each in groups:
        people[frozenset(one.project for one in each.memberships if holds(one))] += each.people
    return [(products, number) for products, number in people.items() if products]


def _counted(on: On, parts: Sequence[Sequence[str]], scope: Scope) -> Select[Any]:
    memberships = fresh(scope.tables.memberships)
    sums = [
        func.sum(_bit(memberships.c.project_id, part, scope.projects)).label(f"sum{number}")
        for number, part in enumerate(parts)
    ]
    each = (
        select(*sums)
        .where(
            memberships.c.account_id == scope.account_id,
            *membership_clauses(on, scope, memberships),
        )
        .group_by(memberships.c.customer_id)
        .subquery()
    )
    return select(*each.c, func.count()).group_by(*each.c)


def _bit(project_id: Any, part: Sequence[str], projects: Mapping[str, int]) -> Any:
    bits = {projects[slug]: literal(1 << bit, big_integer()) for bit, slug in enumerate(part)}
    return case(bits, value=project_id, else_=literal(0, big_integer()))


def _products(sums: Sequence[Any], parts: Sequence[Sequence[str]]) -> frozenset[str]:
    return frozenset(
        slug
        for number, part in zip(map(int, sums), parts, strict=True)
        for bit, slug in enumerate(part)
        if number >> bit & 1
    )
