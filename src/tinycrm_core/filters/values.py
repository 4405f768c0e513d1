"""What a condition asks of a stored value: the one place where the meaning of filters lives.

`resolve` turns a checked condition into a *test*: plain frozen data without words, relative
dates or types left to guess. The in-memory matcher evaluates tests and the SQL compiler
translates them, so both give the same people. A test on an absent value is false, unless it is
`Absent`; that includes the negated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from tinycrm_core.filters.conditions import STATUSES, constant, number
from tinycrm_core.filters.dates import instant_range
from tinycrm_core.filters.tree import Condition, Op, Param, Scalar, Word
from tinycrm_core.text import fold

TimeField: TypeAlias = Literal["created", "seen", "joined", "active"]
TextField: TypeAlias = Literal["email", "name"]

Span: TypeAlias = tuple[int | None, int | None]
"""Instants in microseconds, half-open: from the first on, before the second; None is no bound."""


@dataclass(frozen=True, slots=True)
class Never:
    """Holds for nobody, e.g. a comparison of different types."""


@dataclass(frozen=True, slots=True)
class Present:
    """The email, the name, the time or the param is there; a param may be null."""


@dataclass(frozen=True, slots=True)
class Absent:
    """It is not there."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Text equal to one of `texts` (`negated`: to none). Email and name compare folded."""

    texts: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """Text in which `text` occurs. Email, name and the search key are folded, params exact."""

    text: str


@dataclass(frozen=True, slots=True)
class Starts:
    """Text that begins with `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Times:
    """A time inside one of `spans` (`negated`: in none of them)."""

    spans: tuple[Span, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """A whole number inside one of `ranges`, both ends included; None is no bound."""

    ranges: tuple[tuple[int | None, int | None], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """A status or a slug that is one of `values` (`negated`: none of them)."""

    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Equal:
    """A param that is one of the alternatives (`negated`: present, and none of them).

    A string is equal if it is in `texts`, or if it is an ISO 8601 date or time whose
    `param_instant` lies in one of `spans`. A number is equal if it is one of `numbers`, exactly,
    whether int or float; true and false are never numbers. Lists and objects equal nothing.
    """

    texts: tuple[str, ...] = ()
    numbers: tuple[int | float, ...] = ()
    booleans: tuple[bool, ...] = ()
    null: bool = False
    spans: tuple[Span, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    """A param that is a number between `low` and `high`; None is no bound."""

    low: int | float | None = None
    high: int | float | None = None
    with_low: bool = True
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class Strings:
    """A param that is a string between `low` and `high`, by code point; None is no bound."""

    low: str | None = None
    high: str | None = None
    with_low: bool = True
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class Moments:
    """A param that is an ISO 8601 string whose `param_instant` lies in `span`."""

    span: Span


SearchTest: TypeAlias = Contains | Never
TextTest: TypeAlias = Texts | Contains | Starts | Present | Absent
TimeTest: TypeAlias = Times | Present | Absent
ParamTest: TypeAlias = (
    Equal | Numbers | Strings | Moments | Contains | Starts | Present | Absent | Never
)
Test: TypeAlias = ParamTest | Texts | Times | Counts | OneOf


def resolve(condition: Condition, now: int) -> Test:
    """The test a checked condition stands for at the time `now` (microseconds since 1970).

    `words` give a SearchTest on the `search_key`, `email` and `name` a TextTest on folded text,
    times a TimeTest, `projects` Counts, `project` and `status` OneOf, params a ParamTest.
    """
    field = condition.field
    if isinstance(field, Param):
        return _param(condition, now)
    if condition.op == "exists":
        return Present()
    if condition.op == "missing":
        return Absent()
    if field == "words":
        return _search(_texts(condition)[0])
    if field in ("email", "name"):
        return _text(condition)
    if field == "projects":
        return _counts(condition)
    if field == "project":
        return OneOf(_texts(condition), condition.op == "not")
    if field == "status":
        named = _texts(condition)
        chosen = tuple(s for s in STATUSES if (s in named) == (condition.op != "not"))
        return OneOf(chosen)
    return _times(condition, now)


def _scalars(condition: Condition) -> tuple[Scalar, ...]:
    value = condition.value
    return value if isinstance(value, tuple) else (value,)


def _texts(condition: Condition) -> tuple[str, ...]:
    return tuple(str(_raw(value)) for value in _scalars(condition))


def _raw(value: Scalar) -> str | bool | int | float | None:
    return value.text if isinstance(value, Word) else value


def _search(text: str) -> SearchTest:
    # The lines of a search key are separate things: nothing may match across two of them.
    return Never() if "\n" in text else Contains(fold(text))


def _text(condition: Condition) -> TextTest:
    texts = tuple(map(fold, _texts(condition)))
    if condition.op == "contains":
        return Contains(texts[0])
    if condition.op == "starts":
        return Starts(texts[0])
    return Texts(texts, condition.op == "not")


def _counts(condition: Condition) -> Counts:
    numbers = [value for value in _scalars(condition) if isinstance(value, int)]
    first, last = numbers[0], numbers[-1]
    match condition.op:
        case "lt":
            return Counts(((None, first - 1),))
        case "lte":
            return Counts(((None, first),))
        case "gt":
            return Counts(((first + 1, None),))
        case "gte":
            return Counts(((first, None),))
        case "between":
            return Counts(((first, last),))
    return Counts(tuple((n, n) for n in numbers), condition.op == "not")


def _times(condition: Condition, now: int) -> Times:
    words = _texts(condition)
    if condition.op in ("eq", "not", "in"):
        return Times(tuple(_span("eq", (word,), now) for word in words), condition.op == "not")
    return Times((_span(condition.op, words, now),))


def _span(op: Op, words: tuple[str, ...], now: int) -> Span:
    """The instants a comparison with date words covers."""
    whole = op in ("eq", "between")
    ranges = [instant_range(word, now, whole=whole) for word in words]
    (start, first_end), (_, end) = ranges[0] or (0, 0), ranges[-1] or (0, 0)
    match op:
        case "lt":
            return None, start
        case "lte":
            return None, first_end
        case "gt":
            return first_end, None
        case "gte":
            return start, None
    return start, end


def _param(condition: Condition, now: int) -> ParamTest:
    match condition.op:
        case "exists":
            return Present()
        case "missing":
            return Absent()
        case "contains":
            return Contains(_texts(condition)[0])
        case "starts":
            return Starts(_texts(condition)[0])
        case "eq" | "not" | "in":
            return _equal(condition, now)
    return _ordered(condition, now)


def _equal(condition: Condition, now: int) -> Equal:
    texts: list[str] = []
    numbers: list[int | float] = []
    booleans: list[bool] = []
    spans: list[Span] = []
    null = False
    for value in _scalars(condition):
        if isinstance(value, str):
            texts.append(value)
        elif not isinstance(value, Word):
            numbers.append(value or 0)
        elif fixed := constant(value.text):
            null = null or fixed[0] is None
            booleans.extend(flag for flag in fixed if flag is not None)
        else:
            texts.append(value.text)
            if (amount := number(value.text)) is not None:
                numbers.append(amount)
            elif instants := instant_range(value.text, now, whole=True):
                spans.append(instants)
    return Equal(
        tuple(texts),
        tuple(numbers),
        tuple(booleans),
        null,
        tuple(spans),
        negated=condition.op == "not",
    )


def _ordered(condition: Condition, now: int) -> ParamTest:
    """Order within one kind of value; bounds of two kinds meet nowhere."""
    values = _scalars(condition)
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1 or "constant" in kinds:
        return Never()
    if kinds == {"instant"}:
        return Moments(_span(condition.op, _texts(condition), now))
    if kinds == {"number"}:
        return Numbers(*_bounds(condition.op, [number(text) for text in _texts(condition)]))
    return Strings(*_bounds(condition.op, list(_texts(condition))))


def _kind(value: Scalar) -> Literal["constant", "number", "instant", "text"]:
    if not isinstance(value, Word):
        return "text"
    if constant(value.text):
        return "constant"
    if number(value.text) is not None:
        return "number"
    return "instant"


T = TypeVar("T")


def _bounds(op: Op, values: list[T | None]) -> tuple[T | None, T | None, bool, bool]:
    match op:
        case "lt":
            return None, values[0], True, False
        case "lte":
            return None, values[0], True, True
        case "gt":
            return values[0], None, False, True
        case "gte":
            return values[0], None, True, True
    return values[0], values[-1], True, True
