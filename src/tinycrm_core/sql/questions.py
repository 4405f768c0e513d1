"""Pages answered by the database.

A page is found in one of two ways. Walking the sort index and testing person by person is quick
when many match; taking the candidates of the most selective condition and sorting them is quick
when few do. What is common by itself but rare together is walked for a bounded number of rows,
fewer if these meet nearly nobody, and taken from the candidates if that was not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import FromClause, Select, and_, literal, select

from tinycrm_core.filters import EVERYBODY, And, Condition, Filter, On, Param, normalise
from tinycrm_core.query import After, KeyValue, Query, Sort
from tinycrm_core.sql import standings
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.candidates import Candidates, distinct_ids, is_search
from tinycrm_core.sql.compile import CUSTOMER_COLUMNS, compile_filter, customer_clause
from tinycrm_core.sql.orders import PHASES, Column, Order, Stream, Tag
from tinycrm_core.sql.reading import MANY, Reading, candidates_of, scope_of
from tinycrm_core.sql.scope import Clause
from tinycrm_core.sql.totals import aggregate, asks_customers, count, tally
from tinycrm_core.state import CustomerState

__all__ = ["aggregate", "count", "find", "tally"]

FEW = 6_000
"""Candidates that are sorted at once, without trying to walk."""
FEW_ALONG = 500
"""The same where a condition is on the very param that sorts: a walk soon meets who matches."""
WALK = 20_000
"""Rows that are walked before turning to the candidates."""
GLANCE = 5
"""After this part of them it is seen whether the rest is likely to be enough."""
Hit: TypeAlias = tuple[KeyValue, UUID]


def find(tx: Reading, query: Query) -> tuple[list[CustomerState], After | None]:
    """One page and, if there is more, where it ended."""
    hits = page(tx, query)
    shown = hits[: query.limit]
    states = tx.load_ids([ident for _, ident in shown], lock=False)
    end = After(*shown[-1]) if len(hits) > query.limit and shown else None
    return [states[ident] for _, ident in shown if ident in states], end


def page(tx: Reading, query: Query) -> list[Hit]:
    """Sort values and ids of a page, and of one person more if there is one."""
    filter = normalise(query.filter)
    scope = scope_of(tx, query.now)
    order = Order(query.sort, scope)
    wanted = query.limit + 1
    few = candidates_of(tx, filter, scope, FEW)
    if few is not None and few.size < (FEW_ALONG if _is_about(filter, query.sort) else FEW):
        return _sorted(tx, order, few, query.after, wanted)
    walk = _Walk(tx, order, filter, query.after, wanted)
    # Counting the hits of a search takes longer than the walk.
    patient = any(map(is_search, filter.items if isinstance(filter, And) else (filter,)))
    found = walk.hits(WALK if few is not None else None, patient=patient)
    if found is not None or few is None:
        return found or []
    if few.size >= FEW:
        together = standings.candidates(tx, filter, scope)
        if together is None or together.size >= MANY:
            together = candidates_of(tx, filter, scope, MANY)
        few = together or few
    return _sorted(tx, order, few, query.after, wanted)


def _is_about(filter: Filter, sort: Sort) -> bool:
    """Whether the people found are those with certain values of the param that sorts."""
    items = filter.items if isinstance(filter, And) else (filter,)
    conditions = [each for item in items if isinstance(item, On) for each in item.conditions]
    return isinstance(sort.field, Param) and any(each.field == sort.field for each in conditions)


# Walking


class _Walk:
    """The sort index from the cursor on, person by person."""

    def __init__(
        self, tx: Reading, order: Order, filter: Filter, after: After | None, wanted: int
    ) -> None:
        self.tx, self.order, self.filter = tx, order, filter
        self.after, self.wanted = after, wanted
        self.scope = replace(order.scope, fenced=True, along=order.column)

    def hits(self, bound: int | None, *, patient: bool) -> list[Hit] | None:
        """The page, or None if more than `bound` rows would have to be looked at.

        Unless it is `patient`, also None if that is likely after a part of them.
        """
        found: list[Hit] = []
        start = None if self.after is None else (self.after.value and self.after.value[0])
        for tag in self.order.tags:
            if self.after is not None and PHASES.index(tag) < PHASES.index(start):
                continue
            after = self.after if self.after is not None and tag == start else None
            wanted = self.wanted - len(found)
            phase = self._phase(tag, after, wanted, bound, patient)
            if phase is None:
                return None
            found += phase
            if len(found) >= self.wanted:
                break
        return found

    def _phase(
        self, tag: Tag, after: After | None, wanted: int, bound: int | None, patient: bool
    ) -> list[Hit] | None:
        streams = list(self.order.streams(tag))
        found: list[Hit] = []
        for stream in streams:
            here = [] if after is None else [self.order.after(stream, tag, after)]
            rows: Sequence[Any] | None
            if bound is None:
                rows = self._rows(stream, here, wanted)
            else:
                rows = self._first(stream, here, wanted, bound // len(streams), patient)
            if rows is None:
                return None
            found += [((tag, value) if tag else None, ident) for value, ident in rows]
        if len(streams) > 1:
            found.sort(key=_sort_key, reverse=self.order.sort.descending)
        return found[:wanted]

    def _first(
        self, stream: Stream, here: list[Clause], wanted: int, bound: int, patient: bool
    ) -> list[Any] | None:
        """As many of a stream as are wanted, or None as in `hits`."""
        found: list[Any] = []
        glance = bound // GLANCE
        for length in (glance, bound - glance):
            edge = self._edge(stream, here, length)
            inside = [] if edge is None else [self.order.within(stream.along, edge)]
            found += self._rows(stream, [*here, *inside], wanted - len(found))
            if edge is None or len(found) >= wanted:
                return found
            if not patient and len(found) * GLANCE < wanted:
                return None
            here = [self.order.beyond(stream.along, edge)]
        return None

    def _edge(self, stream: Stream, here: Sequence[Clause], bound: int) -> list[Column] | None:
        """Where the last row to look at stands; None if there are not so many."""
        ordered = [self.order.directed(each) for each in stream.along]
        last = (
            select(*(each.label(f"k{n}") for n, each in enumerate(stream.along)))
            .where(*stream.clauses, *here, *self._along(stream))
            .order_by(*ordered)
            .limit(1)
            .offset(bound)
        )
        row = self.tx.connection.execute(last).first()
        if row is None:
            return None
        return [literal(v, each.type) for v, each in zip(row, stream.along, strict=True)]

    def _along(self, stream: Stream) -> list[Clause]:
        """Conditions on the very column that is walked: the walk begins where they hold."""
        items = self.filter.items if isinstance(self.filter, And) else (self.filter,)
        return [
            customer_clause(item, self.scope, stream.source)
            for item in items
            if stream.is_customers
            and isinstance(item, Condition)
            and CUSTOMER_COLUMNS[str(item.field)] == self.scope.along
        ]

    def _rows(self, stream: Stream, here: Sequence[Clause], wanted: int) -> Sequence[Any]:
        asked = select(stream.value.label("value"), stream.customer_id.label("id"))
        clauses: list[Clause] = [*stream.clauses, *stream.once, *here]
        people = stream.source
        if not stream.is_customers and asks_customers(self.filter):
            people = fresh(self.scope.tables.customers)
            asked = asked.select_from(
                stream.source.join(
                    people,
                    and_(
                        people.c.account_id == self.scope.account_id,
                        people.c.customer_id == stream.customer_id,
                    ),
                )
            )
        if self.filter != EVERYBODY:
            clauses.append(compile_filter(self.filter, self.scope, people))
        asked = asked.where(*clauses)
        ordered = asked.order_by(*(self.order.directed(each) for each in stream.along))
        return self.tx.connection.execute(ordered.limit(wanted)).all()


def _sort_key(hit: Hit) -> tuple[Any, UUID]:
    return hit[0] and hit[0][1], hit[1]


# Sorting candidates


def _sorted(
    tx: Reading, order: Order, candidates: Candidates, after: After | None, wanted: int
) -> list[Hit]:
    scope = order.scope
    people = fresh(scope.tables.customers)
    ids = distinct_ids(candidates)
    number, text = order.values(people)
    rest = And(candidates.rest)
    # Whom the memberships refuse, nobody looks up.
    tested = compile_filter(rest, scope, people if asks_customers(rest) else ids)
    inner = (
        select(
            people.c.customer_id.label("id"),
            *([] if number is None else [number.label("number")]),
            *([] if text is None else [text.label("text")]),
        )
        .select_from(ids.join(people, people.c.customer_id == ids.c.customer_id))
        .where(people.c.account_id == scope.account_id, tested)
        .subquery()
    )
    keys = [inner.c[name] for name in ("number", "text") if name in inner.c]
    ordering: list[Any] = []
    for key in keys:
        ordering += [key.is_(None), order.directed(key)]
    asked: Select[Any] = select(inner).order_by(*ordering, order.directed(inner.c.id))
    if after is not None:
        asked = asked.where(_after(order, inner, after))
    rows = tx.connection.execute(asked.limit(wanted)).mappings()
    return [(_key_value(row), row["id"]) for row in rows]


def _after(order: Order, rows: FromClause, after: After) -> Clause:
    """The rows after the end of a page, over `number`, `text` and `id`."""
    keys = {name: rows.c[name] for name in ("number", "text") if name in rows.c}
    ident = literal(after.id, rows.c.id.type)
    if after.value is None:
        none = [key.is_(None) for key in keys.values()]
        return and_(*none, order.beyond([rows.c.id], [ident]))
    tag, value = after.value
    key = keys["number" if tag == "n" else "text"]
    further = order.beyond([key, rows.c.id], [literal(value, key.type), ident])
    rest = key.is_(None) | and_(key.is_not(None), further)
    return and_(keys["number"].is_(None), rest) if tag == "t" and "number" in keys else rest


def _key_value(row: Any) -> KeyValue:
    if row.get("number") is not None:
        return "n", row["number"]
    return None if row.get("text") is None else ("t", row["text"])
