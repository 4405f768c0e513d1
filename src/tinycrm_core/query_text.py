"""The text forms of what is asked: filters, orders and cursors, read once for every face."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Sequence
from typing import TypeAlias
from uuid import UUID

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    And,
    Condition,
    Filter,
    Not,
    On,
    Or,
    Param,
    format,
    from_pairs,
    normalise,
    parse,
)
from tinycrm_core.query import MAX_LIMIT, SORT_FIELDS, After, EntryKey, Sort

FilterLike: TypeAlias = str | Filter | Sequence[tuple[str, str]]
"""A filter as text, as a tree, or as the pairs of a query string."""

MEMBERSHIP_SORTS = ("joined", "active")


def read_filter(filter: FilterLike, projects: Collection[str] | None = None) -> Filter:
    """The checked tree of a filter in any spelling. Raises InvalidFilter."""
    if isinstance(filter, str):
        return parse(filter, projects=projects)
    if isinstance(filter, And | Or | Not | On | Condition):
        # Text is the one place where trees are checked, so a tree takes that way too.
        return parse(format(normalise(filter)), projects=projects)
    pairs: object = filter  # callers need not be type-checked
    if isinstance(pairs, Sequence):
        return from_pairs(pairs, projects=projects)
    raise InvalidFilter(
        f"filter: expected text, a tree or query pairs, not {type(filter).__name__}"
    )


def read_sort(text: str, projects: Collection[str] | None = None) -> Sort:
    """An order such as `-seen`, `name`, `-p.mrr@analytics`, `active@shop`."""
    spelled = _text(text, "sort").strip()
    descending = spelled.startswith("-")
    field = spelled[1:] if descending else spelled
    if field in SORT_FIELDS:
        return Sort(field, descending)
    name, project = split_project(field)
    if name in MEMBERSHIP_SORTS or name.startswith("p."):
        if project is not None and projects is not None and project not in projects:
            raise InvalidFilter(
                f"sort: there is no product {ascii(project)[:80]}",
                field="sort",
                choices=tuple(projects),
            )
        key = _param(field) if name.startswith("p.") else name
        return Sort(key, descending, project)
    choices = (*SORT_FIELDS, *MEMBERSHIP_SORTS, "p.<key>")
    raise InvalidFilter(
        f"sort: {ascii(text)[:80]} is not one of {', '.join(choices)}",
        field="sort",
        choices=choices,
    )


def _text(value: object, field: str) -> str:
    if isinstance(value, str):
        return value
    raise InvalidFilter(f"{field}: expected text, not {type(value).__name__}", field=field)


def split_project(field: str) -> tuple[str, str | None]:
    """The field and the product behind its last `@`, unless that is inside quotes."""
    name, at, project = field.rpartition("@")
    if not at or project.endswith('"'):
        return field, None
    return name, project


def _param(field: str) -> Param:
    """The param as the filter language spells it."""
    tree = parse(f"{field}:*")
    if isinstance(tree, On) and isinstance(tree.conditions[0].field, Param):
        return tree.conditions[0].field
    raise InvalidFilter(f"sort: cannot read {ascii(field)[:80]}", field="sort")


def read_param(text: str) -> Param:
    """The param of `p.mrr`, `p.billing.plan` or `p."a.b"`."""
    if not _text(text, "param").startswith("p."):
        raise InvalidFilter(f"param: {ascii(text)[:80]} does not start with p.", field="param")
    return _param(text)


def read_limit(limit: object) -> int:
    """A page size from 1 to 500."""
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise InvalidFilter(f"limit: must be a whole number from 1 to {MAX_LIMIT}", field="limit")
    return limit


def write_cursor(after: After | None) -> str | None:
    """An opaque text for the end of a page."""
    if after is None:
        return None
    body = json.dumps([*(after.value or ("", None)), after.id.hex], ensure_ascii=True)
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> After | None:
    """The inverse of `write_cursor`. Raises InvalidFilter."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        kind, value, customer_id = json.loads(raw)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        after = After((kind, value) if kind else None, UUID(hex=customer_id))
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise InvalidFilter("after: not a cursor of a page", field="after") from None
    fits = {"n": (int, float), "t": (str,), "": (type(None),)}.get(str(kind), ())
    if type(value) not in fits or value != value or (type(value) is int and abs(value) >= 2**63):
        raise InvalidFilter("after: not a cursor of a page", field="after")
    return after


def read_entry_key(cursor: str | None) -> EntryKey | None:
    """Where a page of the history ended. Raises InvalidFilter."""
    after = read_cursor(cursor)
    if after is None:
        return None
    if after.value is None or type(after.value[1]) is not int:
        raise InvalidFilter("after: not a cursor of a history", field="after")
    return after.value[1], after.id
