"""Tests on a value inside the params of a membership, in the JSON dialect of each engine.

Every comparison asks for the type first: a string is never taken for a number, `true` is not 1,
and no cast can fail. What stands in the JSON decides; only whether a date with a time is inside a
span is looked up in the param values, because no engine reads ISO 8601 like `param_instant`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Double,
    FromClause,
    Numeric,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql import ColumnElement

from tinycrm_core.filters.values import (
    Absent,
    Contains,
    Equal,
    Moments,
    Numbers,
    Present,
    Span,
    Starts,
    Strings,
    Test,
)
from tinycrm_core.params import param_path
from tinycrm_core.query import SORT_TEXT
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.columns import stored_path
from tinycrm_core.sql.scope import Clause, Scope, in_span

_TEXT_ARRAY = ARRAY(Text)
_EPOCH = date(1970, 1, 1)
_DAY_MICROS = 86_400_000_000
_FIRST_DAY, _AFTER_LAST_DAY = "0001-01-01", ":"
_PLAIN_KEY = re.compile(r"[ !#-\[\]-~]*")
"""Keys that SQLite's paths can name in quotes: JSON writes them without an escape."""
_EVERY_YEAR = (
    "^[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|"
    "(0[13578]|1[02])-31)$"
)
"""The dates of every year: whether there is a 29 February is looked up."""


def param_clause(path: Sequence[str], test: Test, scope: Scope, memberships: FromClause) -> Clause:
    """Whether the params of a row of `memberships` hold such a value under `path`."""
    value = value_at(path, scope.dialect, memberships)

    def in_spans(spans: Sequence[Span]) -> Clause:
        if not spans:
            return false()
        days = or_(*(value.text_between(days_of(span)) for span in spans))
        near = or_(*(value.text_between(days_of(span, margin=2)) for span in spans))
        moment = and_(not_(value.is_day()), _has_instant(path, spans, scope, memberships))
        return and_(near, or_(and_(value.is_day(), days), moment))

    match test:
        case Present():
            return value.is_there()
        case Absent():
            return not_(value.is_there())
        case Equal():
            equal = or_(value.equals(test), in_spans(test.spans))
            return and_(value.is_there(), not_(equal)) if test.negated else equal
        case Numbers():
            return value.number_between(test)
        case Strings():
            return value.text_between(test)
        case Contains(part):
            return value.contains(part)
        case Starts(start):
            return value.starts(start)
        case Moments(span):
            return in_spans((span,))
    return literal(0) == literal(1)


def value_at(path: Sequence[str], dialect: str, memberships: FromClause) -> JsonValue:
    """What lies under `path` in the params of a row of `memberships`."""
    if dialect == "sqlite":
        return _SQLiteValue(memberships.c.params, path)
    return _PostgreSQLValue(memberships.c.params, path)


def _has_instant(
    path: Sequence[str], spans: Sequence[Span], scope: Scope, memberships: FromClause
) -> Clause:
    values = fresh(scope.tables.param_values)
    inside = select(values.c.customer_id, values.c.project_id).where(
        values.c.account_id == scope.account_id,
        values.c.path == stored_path(param_path(path)),
        values.c.kind == "d",
        or_(*(in_span(values.c.num, span) for span in spans)),
    )
    place = tuple_(memberships.c.customer_id, memberships.c.project_id)
    found: Clause = place.in_(inside)
    # The values of a path are in the order of time, not of people, so they are asked once for all;
    # behind IS, PostgreSQL makes no join of it.
    return found.is_(true()) if scope.dialect == "postgresql" else found


class JsonValue(Protocol):
    """One place inside a JSON column."""

    def is_there(self) -> Clause:
        """Never null."""
        ...

    def is_text(self) -> Clause: ...
    def equals(self, test: Equal) -> Clause:
        """Without the spans; not null where something is there."""
        ...

    def number(self) -> ColumnElement[Any]:
        """Null where there is no number."""
        ...

    def text_or_null(self) -> ColumnElement[Any]:
        """Null where there is no text."""
        ...

    def sort_text(self) -> ColumnElement[Any]:
        """The first `SORT_TEXT` characters, null where there is no text."""
        ...

    def number_between(self, test: Numbers) -> Clause: ...
    def text_between(self, test: Strings) -> Clause: ...
    def is_day(self) -> Clause:
        """Surely a date without a time; not null where there is text."""
        ...

    def contains(self, part: str) -> Clause: ...
    def starts(self, start: str) -> Clause: ...


class _SQLiteValue:
    def __init__(self, params: ColumnElement[Any], path: Sequence[str]) -> None:
        plain = 0
        while plain < len(path) and _PLAIN_KEY.fullmatch(path[plain]):
            plain += 1
        named = "$" + "".join(f'."{key}"' for key in path[:plain])
        self.kind: ColumnElement[str]
        self.atom: ColumnElement[Any]
        if plain == len(path):
            self.kind = func.json_type(params, named)
            self.atom = func.json_extract(params, named)
        else:
            self.kind = _inside(params, named, path[plain:], "type")
            self.atom = _inside(params, named, path[plain:], "atom")

    def is_there(self) -> Clause:
        return self.kind.is_not(None)

    def is_text(self) -> Clause:
        return self.kind == "text"

    def equals(self, test: Equal) -> Clause:
        alternatives: list[Clause] = []
        if test.texts:
            alternatives.append(and_(self.is_text(), self.atom.in_(test.texts)))
        if test.numbers:
            amounts = [_as_parsed(number) for number in test.numbers]
            alternatives.append(and_(self._is_number(), self.atom.in_(amounts)))
        kinds = ["true" if flag else "false" for flag in test.booleans]
        kinds += ["null"] if test.null else []
        if kinds:
            alternatives.append(self.kind.in_(kinds))
        return or_(false(), *alternatives)

    def _is_number(self) -> Clause:
        return self.kind.in_(("integer", "real"))

    def number(self) -> ColumnElement[Any]:
        return case((self._is_number(), self.atom))

    def text_or_null(self) -> ColumnElement[Any]:
        return case((self.is_text(), self.atom))

    def sort_text(self) -> ColumnElement[Any]:
        return case((self.is_text(), func.substr(self.atom, 1, SORT_TEXT)))

    def number_between(self, test: Numbers) -> Clause:
        low = None if test.low is None else _as_parsed(test.low)
        high = None if test.high is None else _as_parsed(test.high)
        return and_(self._is_number(), _between(self.atom, low, high, test))

    def text_between(self, test: Strings) -> Clause:
        low = None if test.low is None else literal(test.low, Text)
        high = None if test.high is None else literal(test.high, Text)
        return and_(self.is_text(), _between(self.atom, low, high, test))

    def is_day(self) -> Clause:
        # Counting from 30 February, SQLite arrives at 2 March; without counting it stays there.
        same = func.date(self.atom, "+0 days").is_not_distinct_from(self.atom)
        shape = self.atom.op("GLOB", is_comparison=True)("[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9]")
        return and_(shape, same)

    def contains(self, part: str) -> Clause:
        return and_(self.is_text(), func.instr(self.atom, part) > 0)

    def starts(self, start: str) -> Clause:
        return and_(self.is_text(), func.substr(self.atom, 1, len(start)) == start)


def _as_parsed(number: int | float) -> ColumnElement[Any]:
    """The number; a float as SQLite's JSON reads it, which can differ in the last bit."""
    if isinstance(number, int):
        return literal(number, BigInteger)
    return func.json_extract(repr(number), "$", type_=Double)


def _inside(
    params: ColumnElement[Any], named: str, keys: Sequence[str], what: str
) -> ColumnElement[Any]:
    """`type` or `atom` of what lies under `keys`, of which SQLite's paths cannot name the first."""
    columns = ("key", "type", "atom", "value")
    each = func.json_each(params, named).table_valued(*columns).alias()
    source: FromClause = each
    sources, clauses = [each], [each.c.key == keys[0]]
    for key in keys[1:]:
        inner = case((each.c.type == "object", each.c.value), else_="{}")
        each = func.json_each(inner).table_valued(*columns).alias()
        source = source.join(each, true())
        sources.append(each)
        clauses.append(each.c.key == key)
    return (
        select(each.c[what])
        .select_from(source)
        .where(*clauses)
        .correlate_except(*sources)
        .scalar_subquery()
    )


class _PostgreSQLValue:
    def __init__(self, params: ColumnElement[Any], path: Sequence[str]) -> None:
        value: ColumnElement[Any] = params
        # One arrow per key: unlike `#>`, an arrow with text does not enter a list.
        for key in path:
            value = value.op("->", return_type=JSONB())(literal(key, Text))
        self.value = value
        self.text: ColumnElement[str] = value.op("#>>", return_type=Text())(
            cast(literal("{}", Text), _TEXT_ARRAY)
        )

    def is_there(self) -> Clause:
        return self.value.is_not(None)

    def _is(self, kind: str) -> Clause:
        return func.jsonb_typeof(self.value) == kind

    def is_text(self) -> Clause:
        return self._is("string")

    def equals(self, test: Equal) -> Clause:
        alternatives = [jsonb(each) for each in scalars(test)]
        if not alternatives:
            return false()
        return or_(*(self.value == each for each in alternatives))

    def number(self) -> ColumnElement[Any]:
        return case((self._is("number"), cast(self.text, Numeric)))

    def text_or_null(self) -> ColumnElement[Any]:
        return case((self.is_text(), self.text))

    def sort_text(self) -> ColumnElement[Any]:
        return case((self.is_text(), func.left(self.text, SORT_TEXT).collate("C")))

    def number_between(self, test: Numbers) -> Clause:
        # JSONB compares numbers as numerics, and sorts other types elsewhere instead of failing.
        low = None if test.low is None else jsonb(test.low)
        high = None if test.high is None else jsonb(test.high)
        return and_(self._is("number"), _between(self.value, low, high, test))

    def text_between(self, test: Strings) -> Clause:
        low = None if test.low is None else literal(test.low, Text)
        high = None if test.high is None else literal(test.high, Text)
        return and_(self.is_text(), _between(self.text.collate("C"), low, high, test))

    def is_day(self) -> Clause:
        return self.text.regexp_match(_EVERY_YEAR)

    def contains(self, part: str) -> Clause:
        return and_(self.is_text(), func.strpos(self.text, literal(part, Text)) > 0)

    def starts(self, start: str) -> Clause:
        return and_(self.is_text(), func.starts_with(self.text, literal(start, Text)))


def days_of(span: Span, margin: int = 0) -> Strings:
    """The dates that begin inside the span, as text, with so many more days on both sides."""
    first, after = span
    low = _FIRST_DAY if first is None else max(_FIRST_DAY, _day(first, -margin))
    return Strings(low, None if after is None else _day(after, margin), with_high=False)


def _day(micros: int, further: int) -> str:
    """The first day that begins then or later, and so many days on."""
    number = -(-micros // _DAY_MICROS) + further
    try:
        return (_EPOCH + timedelta(number)).isoformat()
    except OverflowError:
        return _AFTER_LAST_DAY if number > 0 else ""


def scalars(test: Equal) -> list[Any]:
    """All a param may be to be equal, spans apart."""
    values: list[Any] = [*test.texts, *test.booleans]
    for number in test.numbers:
        values.append(number)
        # Python writes a large float shorter than it is: 2**60 has two spellings.
        twin = float(number) if isinstance(number, int) else int(number)
        if abs(number) >= 2**53 and twin == number and -(2**63) <= number < 2**63:
            values.append(twin)
    return [*values, None] if test.null else values


def jsonb(value: Any) -> ColumnElement[Any]:
    """A JSON value, bound as text."""
    return cast(literal(json.dumps(value, ensure_ascii=False), Text), JSONB)


def _between(
    value: ColumnElement[Any],
    low: ColumnElement[Any] | None,
    high: ColumnElement[Any] | None,
    test: Numbers | Strings,
) -> Clause:
    clauses: list[Clause] = []
    if low is not None:
        clauses.append(value >= low if test.with_low else value > low)
    if high is not None:
        clauses.append(value <= high if test.with_high else value < high)
    return and_(true(), *clauses)
