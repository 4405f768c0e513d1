"""The tests of `values`, as functions over Python values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from tinycrm_core.filters.dates import param_instant
from tinycrm_core.filters.values import (
    Absent,
    Contains,
    Counts,
    Equal,
    Moments,
    Numbers,
    OneOf,
    Present,
    Span,
    Starts,
    Strings,
    Test,
    Texts,
    Times,
)
from tinycrm_core.model import ABSENT, Json, Membership
from tinycrm_core.times import LATEST

Get: TypeAlias = Callable[[Any], Any]
Holds: TypeAlias = Callable[[Any], bool]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def on_text(test: Test) -> Holds:
    """Holds for folded text, or for None when there is none."""
    match test:
        case Present():
            return lambda value: value is not None
        case Absent():
            return lambda value: value is None
        case Contains(part):
            return lambda value: value is not None and part in value
        case Starts(start):
            return lambda value: value is not None and value.startswith(start)
        case Texts(texts, negated):
            some = frozenset(texts)
            return lambda value: value is not None and (value in some) is not negated
    raise TypeError(test)


def on_count(test: Test) -> Holds:
    """Holds for a whole number."""
    if not isinstance(test, Counts):
        raise TypeError(test)
    inside = [_count_between(low, high) for low, high in test.ranges]
    if len(inside) == 1 and not test.negated:
        return inside[0]
    negated = test.negated
    return lambda count: any(each(count) for each in inside) is not negated


def _count_between(low: int | None, high: int | None) -> Holds:
    if low is None:
        return lambda count: high is None or count <= high
    if high is None:
        return lambda count: count >= low
    return lambda count: low <= count <= high


def on_name(get: Get, test: Test) -> Holds:
    """Holds for what has a certain status or slug under `get`."""
    if not isinstance(test, OneOf):
        raise TypeError(test)
    names = frozenset(test.values)
    if test.negated:
        return lambda owner: get(owner) not in names
    if len(names) == 1:
        (name,) = names
        return lambda owner: get(owner) == name
    return lambda owner: get(owner) in names


def on_time(get: Get, test: Test) -> Holds:
    """Holds for what has a datetime (or None) under `get`."""
    match test:
        case Present():
            return lambda owner: get(owner) is not None
        case Absent():
            return lambda owner: get(owner) is None
        case Times((span,), False):
            return _in_span(get, span)
        case Times(spans, negated):
            inside = [_in_span(get, span) for span in spans]
            return lambda owner: (
                get(owner) is not None and any(each(owner) for each in inside) is not negated
            )
    raise TypeError(test)


def _in_span(get: Get, span: Span) -> Holds:
    if span[0] is not None and span[0] > LATEST:
        return lambda owner: False
    first, after = map(_datetime, span)
    if first is None and after is None:
        return lambda owner: get(owner) is not None
    if first is None:
        return lambda owner: (time := get(owner)) is not None and time < after
    if after is None:
        return lambda owner: (time := get(owner)) is not None and first <= time
    return lambda owner: (time := get(owner)) is not None and first <= time < after


def _datetime(micros: int | None) -> datetime | None:
    """The bound as a datetime; above the last one there is nothing left to bound."""
    if micros is None or micros > LATEST:
        return None
    return _EPOCH + timedelta(microseconds=max(micros, _EARLIEST))


def on_param(path: Sequence[str], test: Test) -> Callable[[Membership], bool]:
    """Holds for a membership whose params have the value under `path`."""
    if len(path) == 1 and isinstance(test, Equal) and test == Equal(test.texts[:1]):
        key, text = path[0], test.texts[0] if test.texts else ABSENT
        if text is not ABSENT:
            return lambda membership: membership.params.get(key) == text
    holds = _on_json(test)
    if len(path) == 1:
        (key,) = path
        return lambda membership: holds(membership.params.get(key, ABSENT))

    def nested(membership: Membership) -> bool:
        value: Json = membership.params
        for key in path:
            if type(value) is not dict:
                return holds(ABSENT)
            value = value.get(key, ABSENT)
        return holds(value)

    return nested


def _on_json(test: Test) -> Holds:
    """Holds for a JSON value, or for ABSENT."""
    match test:
        case Present():
            return lambda value: value is not ABSENT
        case Absent():
            return lambda value: value is ABSENT
        case Contains(part):
            return lambda value: type(value) is str and part in value
        case Starts(start):
            return lambda value: type(value) is str and value.startswith(start)
        case Equal():
            return _equal(test)
        case Numbers():
            return _between((int, float), test)
        case Strings():
            return _between((str,), test)
        case Moments((first, after)):
            return _moment_between(first, after)
    return lambda value: False


def _equal(test: Equal) -> Holds:
    if len(test.texts) == 1 and test == Equal(test.texts):
        (text,) = test.texts
        return lambda value: value == text
    texts, numbers = frozenset(test.texts), frozenset(test.numbers)
    booleans, null = frozenset(test.booleans), test.null
    moment_in = _moment_in(test.spans) if test.spans else None

    def equal(value: Json) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts or (moment_in is not None and moment_in(value))
        if kind is int or kind is float:
            return value in numbers
        if kind is bool:
            return value in booleans
        return null and value is None

    if test.negated:
        return lambda value: value is not ABSENT and not equal(value)
    return equal


def _between(kinds: tuple[type, ...], test: Numbers | Strings) -> Holds:
    some = frozenset(kinds)  # bool is a subclass of int, but not one of the kinds
    low: Any = test.low
    high: Any = test.high
    above = ge if test.with_low else gt
    below = le if test.with_high else lt
    if high is None and test.with_low:
        return lambda value: type(value) in some and value >= low
    if high is None:
        return lambda value: type(value) in some and value > low
    if low is None:
        return lambda value: type(value) in some and below(value, high)
    return lambda value: type(value) in some and above(value, low) and below(value, high)


def _moment_in(spans: Sequence[Span]) -> Holds:
    """Holds for ISO 8601 text whose instant lies in one of the spans."""
    inside = [_moment_between(first, after) for first, after in spans]
    if len(inside) == 1:
        return inside[0]
    return lambda value: any(each(value) for each in inside)


def _moment_between(first: int | None, after: int | None) -> Holds:
    # Most texts are refused by comparing them as text: an offset moves a date by less than two
    # days, and text that is no date may be refused for any reason.
    from_day, before_day = _day(first, -2) or "", _day(after, 2) or ":"
    start, end = -inf if first is None else first, inf if after is None else after

    def holds(value: Json) -> bool:
        if type(value) is not str or not from_day <= value < before_day:
            return False
        instant = param_instant(value)
        return instant is not None and start <= instant < end

    return holds


def _day(micros: int | None, days: int) -> str | None:
    if micros is None:
        return None
    try:
        return (_EPOCH + timedelta(days=days, microseconds=micros)).date().isoformat()
    except OverflowError:
        return None
