"""The orders a page can have: how to walk one along an index, and what it sorts anybody by.

An order has up to three phases: people with a number (or a time), with text, and without a
value. A phase is walked as one or more streams, each in the order of one index; a stream meets
everybody it holds once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import FromClause, and_, func, literal, null, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from tinycrm_core.filters import Param
from tinycrm_core.params import param_path
from tinycrm_core.query import SORT_FIELDS, After, Sort
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.columns import Ident, Number, stored_path
from tinycrm_core.sql.compile import CUSTOMER_COLUMNS, MEMBERSHIP_COLUMNS, nobody
from tinycrm_core.sql.json_tests import value_at
from tinycrm_core.sql.scope import Clause, Scope

Column: TypeAlias = ColumnElement[Any]
Tag: TypeAlias = Literal["n", "t"] | None

PHASES: tuple[Tag, ...] = ("n", "t", None)


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows of `source` that fulfil `clauses`, along the columns `along` of an index.

    `once` leaves one row of everybody; those before it in the order belong to other values.
    """

    source: FromClause
    customer_id: Column
    value: Column
    along: tuple[Column, ...]
    clauses: tuple[Clause, ...]
    once: tuple[Clause, ...] = ()
    is_customers: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A sort of the people of one account."""

    sort: Sort
    scope: Scope

    @property
    def column(self) -> str:
        """The column of customers that is walked along, if one is."""
        return CUSTOMER_COLUMNS.get(str(self.sort.field), "")

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The phases there are."""
        if isinstance(self.sort.field, Param):
            return PHASES
        return ("t" if self.sort.field in ("email", "name") else "n", None)

    def directed(self, column: Column) -> Column:
        return column.desc() if self.sort.descending else column.asc()

    def beyond(self, columns: Sequence[Column], values: Sequence[Column]) -> Clause:
        """After these values in the order."""
        left, right = _row(columns), _row(values)
        clause: Clause = left < right if self.sort.descending else left > right
        return clause

    def within(self, columns: Sequence[Column], values: Sequence[Column]) -> Clause:
        """Not after these values in the order."""
        left, right = _row(columns), _row(values)
        clause: Clause = left >= right if self.sort.descending else left <= right
        return clause

    def streams(self, tag: Tag) -> Iterator[Stream]:
        """How one phase is walked."""
        field = self.sort.field
        if tag is None:
            yield self._missing()
        elif isinstance(field, Param):
            yield self._values(field, tag)
        elif field in SORT_FIELDS:
            people = fresh(self.scope.tables.customers)
            column = people.c[CUSTOMER_COLUMNS[field]]
            clauses = [people.c.account_id == self.scope.account_id]
            clauses += [column.is_not(None)] if column.nullable else []
            along = (column, people.c.customer_id)
            yield Stream(
                people, people.c.customer_id, column, along, tuple(clauses), is_customers=True
            )
        else:
            for project_id in self._project_ids():
                yield self._times(field, project_id)

    def _project_ids(self) -> list[int]:
        if self.sort.project is None:
            return list(self.scope.projects.values())
        found = self.scope.projects.get(self.sort.project)
        return [] if found is None else [found]

    def _times(self, field: str, project_id: int) -> Stream:
        memberships = fresh(self.scope.tables.memberships)
        column = memberships.c[MEMBERSHIP_COLUMNS[field]]
        clauses = [
            memberships.c.account_id == self.scope.account_id,
            memberships.c.project_id == project_id,
            column.is_not(None),
        ]
        once: tuple[Clause, ...] = ()
        if self.sort.project is None:
            other = fresh(self.scope.tables.memberships)
            better = self._precedes(other.c[MEMBERSHIP_COLUMNS[field]], column)
            once = (self._none_earlier(memberships, other, better),)
        ident = memberships.c.customer_id
        return Stream(memberships, ident, column, (column, ident), tuple(clauses), once)

    def _precedes(self, one: Column, other: Column) -> tuple[Clause, Clause]:
        """That one value comes before another, and that they are equal."""
        return (one > other if self.sort.descending else one < other), one == other

    def _none_earlier(
        self, rows: FromClause, other: FromClause, better: tuple[Clause, Clause]
    ) -> Clause:
        """That the person has no membership whose value comes earlier in the order."""
        before, equal = better
        return ~(
            select(literal(1))
            .where(
                other.c.account_id == self.scope.account_id,
                other.c.customer_id == rows.c.customer_id,
                other.c.project_id != rows.c.project_id,
                or_(before, and_(equal, other.c.project_id < rows.c.project_id)),
            )
            .correlate_except(other)
            .exists()
        )

    def _values(self, param: Param, tag: Tag) -> Stream:
        values = fresh(self.scope.tables.param_values)
        column = values.c.num if tag == "n" else values.c.txt
        clauses = [
            values.c.account_id == self.scope.account_id,
            values.c.path == stored_path(param_path(param.path)),
            values.c.kind == ("n" if tag == "n" else "s"),
        ]
        once: tuple[Clause, ...] = ()
        if self.sort.project is not None:
            ids = self._project_ids()
            clauses.append(values.c.project_id == ids[0] if ids else nobody())
        else:
            other = fresh(self.scope.tables.memberships)
            there = value_at(param.path, self.scope.dialect, other)
            if tag == "n":
                better = self._precedes(there.number(), column)
            else:
                before, equal = self._precedes(there.sort_text(), column)
                better = or_(there.number().is_not(None), before), equal
            once = (self._none_earlier(values, other, better),)
        along = (values.c.num, values.c.txt, values.c.customer_id)
        return Stream(values, values.c.customer_id, column, along, tuple(clauses), once)

    def _missing(self) -> Stream:
        people = fresh(self.scope.tables.customers)
        clauses = [people.c.account_id == self.scope.account_id]
        if self.sort.field in SORT_FIELDS:
            clauses.append(people.c[CUSTOMER_COLUMNS[str(self.sort.field)]].is_(None))
        else:
            clauses += [value.is_(None) for value in self.values(people) if value is not None]
        ident = people.c.customer_id
        return Stream(people, ident, null(), (ident,), tuple(clauses), is_customers=True)

    def after(self, stream: Stream, tag: Tag, after: After) -> Clause:
        """The rows of a stream that come after the end of a page in the same phase."""
        ident = literal(after.id, Ident())
        if after.value is None:
            return self.beyond(stream.along, [ident])
        value = literal(after.value[1], stream.value.type)
        if len(stream.along) == 2:
            return self.beyond(stream.along, [value, ident])
        other = literal("", stream.along[1].type) if tag == "n" else literal(0, Number())
        middle = [value, other] if tag == "n" else [other, value]
        return self.beyond(stream.along, [*middle, ident])

    def values(self, people: FromClause) -> tuple[Column | None, Column | None]:
        """What a row of `people` is sorted by: its number (or time) and, behind it, its text."""
        field = self.sort.field
        if isinstance(field, str) and field in SORT_FIELDS:
            column = people.c[CUSTOMER_COLUMNS[field]]
            return (None, column) if self.tags[0] == "t" else (column, None)
        memberships = fresh(self.scope.tables.memberships)
        first = func.max if self.sort.descending else func.min
        number: Column
        text: Column | None = None
        if isinstance(field, Param):
            there = value_at(field.path, self.scope.dialect, memberships)
            number = self._of(people, memberships, first(there.number(), type_=Number()))
            text = self._of(people, memberships, first(there.sort_text()))
        else:
            column = memberships.c[MEMBERSHIP_COLUMNS[field]]
            number = self._of(people, memberships, first(column))
        return number, text

    def _of(self, people: FromClause, memberships: FromClause, value: Column) -> Column:
        clauses = [
            memberships.c.account_id == self.scope.account_id,
            memberships.c.customer_id == people.c.customer_id,
        ]
        if self.sort.project is not None:
            ids = self._project_ids()
            clauses.append(memberships.c.project_id == ids[0] if ids else nobody())
        return select(value).where(*clauses).correlate_except(memberships).scalar_subquery()


def _row(columns: Sequence[Column]) -> Any:
    return tuple_(*columns) if len(columns) > 1 else columns[0]
