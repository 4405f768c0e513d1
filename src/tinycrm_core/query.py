"""What can be asked of a store besides one person: pages, their order, their cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from tinycrm_core.filters import Filter, Param

SORT_FIELDS = ("email", "name", "created", "seen", "projects")
"""Fields of the person that sort; besides them `joined`, `active` and `p.<key>` of memberships."""

MAX_LIMIT = 500
SORT_TEXT = 200
"""Text params are ordered by their first 200 characters, on every backend."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of customers. Missing values come last, in both directions.

    Equal values, and missing ones among themselves, are ordered by id: ascending, or descending
    when the order is, so that one index serves both directions.

    `field` is one of `SORT_FIELDS`, `joined`, `active` or a Param; `project` limits the last three
    to one product. Over several memberships the largest value counts when descending, the
    smallest when ascending. Params: numbers come before text in both directions; booleans, null,
    lists and objects count as missing. Names and emails compare folded, by code point.
    """

    field: str | Param
    descending: bool = False
    project: str | None = None


KeyValue: TypeAlias = tuple[Literal["n", "t"], int | float | str] | None
"""A sort value: a number or a time (`n`), text (`t`), or None where it is missing."""


@dataclass(frozen=True, slots=True)
class After:
    """Where a page ended: the sort value and id of its last customer."""

    value: KeyValue
    id: UUID


@dataclass(frozen=True, slots=True)
class Query:
    """One page: at most `limit` customers that match, in the order of `sort`, after `after`."""

    filter: Filter
    sort: Sort
    limit: int
    now: int
    after: After | None = None


EntryKey: TypeAlias = tuple[int, UUID]
"""What orders a history: when an entry was recorded, in microseconds, and its id."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """At most `limit` entries older than `after`, of one product, of one kind; None is no bound."""

    limit: int | None = None
    after: EntryKey | None = None
    project_id: int | None = None
    kind: str | None = None


WHOLE_HISTORY = HistoryQuery()
