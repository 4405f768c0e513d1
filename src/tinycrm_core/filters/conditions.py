"""What each field accepts: its operators, its values, and the limits of a filter.

`checked` is the only gate: a condition from text, from a URL or from Python passes it and comes
out in one canonical form, so that equal questions are equal trees.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable
from typing import Final

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters.dates import EXAMPLES, is_date_word
from tinycrm_core.filters.tree import (
    CUSTOMER_FIELDS,
    MEMBERSHIP_FIELDS,
    Condition,
    Op,
    Param,
    Scalar,
    Word,
)
from tinycrm_core.model import Status

MAX_TEXT: Final = 10_000
"""Characters in one filter text, or in all pairs of a query together."""
MAX_LITERAL: Final = 1024
"""Bytes (UTF-8) in one value, key or slug."""
MAX_VALUES: Final = 100
"""Values in one `in`."""
MAX_DEPTH: Final = 20
"""Parentheses inside parentheses, and keys inside keys."""

STATUSES: Final = tuple(status.value for status in Status)

_EQUAL: Final = ("eq", "not", "in")
_ORDER: Final = ("lt", "lte", "gt", "gte", "between")
_TEXT: Final = ("contains", "starts")
_THERE: Final = ("exists", "missing")
_OPS: Final[dict[str, tuple[Op, ...]]] = {
    "words": ("contains",),
    "email": (*_EQUAL, *_TEXT, *_THERE),
    "name": (*_EQUAL, *_TEXT, *_THERE),
    "created": (*_EQUAL, *_ORDER, *_THERE),
    "seen": (*_EQUAL, *_ORDER, *_THERE),
    "projects": (*_EQUAL, *_ORDER),
    "project": _EQUAL,
    "status": _EQUAL,
    "joined": (*_EQUAL, *_ORDER, *_THERE),
    "active": (*_EQUAL, *_ORDER, *_THERE),
}
_PARAM_OPS: Final[tuple[Op, ...]] = (*_EQUAL, *_ORDER, *_TEXT, *_THERE)

SYMBOLS: Final[dict[Op, str]] = {
    "eq": ":x",
    "not": "!=x",
    "in": ":x,y",
    "lt": "<x",
    "lte": "<=x",
    "gt": ">x",
    "gte": ">=x",
    "between": ":x..y",
    "contains": "~x",
    "starts": "^x",
    "exists": ":*",
    "missing": ":-",
}
"""How each operator looks in text, for error messages and menus."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


def number(text: str) -> int | float | None:
    """The number a word stands for, written as in JSON; None if it is none.

    Integers beyond 64 bits and everything with a point or an exponent are floating point.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match[1] is None and match[2] is None and len(text) <= 20:
        value = int(text)
        if -(2**63) <= value < 2**63:
            return value
    approximate = float(text)
    return approximate if math.isfinite(approximate) else None


def constant(text: str) -> tuple[bool | None] | None:
    """What `true`, `false` and `null` stand for, in a tuple of one; None for other words."""
    return (_CONSTANTS[text],) if text in _CONSTANTS else None


def is_typed(text: str) -> bool:
    """Whether the text without quotes is more than itself: a number, a constant or a date."""
    return text in _CONSTANTS or number(text) is not None or is_date_word(text)


def is_membership(condition: Condition) -> bool:
    """Whether the condition is about one membership, not about the person."""
    return isinstance(condition.field, Param) or condition.field in MEMBERSHIP_FIELDS


def operators(field: str | Param) -> tuple[Op, ...]:
    """The operators a field has; raises InvalidFilter for an unknown field or an unfit key."""
    if isinstance(field, Param):
        _check_path(field)
        return _PARAM_OPS
    if field in _OPS:
        return _OPS[field]
    raise unknown_field(str(field))


def nearest(word: str, choices: Iterable[str]) -> tuple[str, ...]:
    """All choices, those most like the word first."""
    choices = tuple(choices)
    close = difflib.get_close_matches(word[:100], choices, n=3, cutoff=0.6)
    return (*close, *(choice for choice in choices if choice not in close))


def unknown_field(name: str) -> InvalidFilter:
    """The error for a field that does not exist."""
    known = tuple(each for each in (*CUSTOMER_FIELDS, *MEMBERSHIP_FIELDS) if each != "words")
    close = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.6)
    if close:
        hint = f"did you mean {close[0]}?"
    elif name.startswith("p."):
        hint = "between the dots of a param stands a key, odd ones in quotes"
    else:
        hint = f"params are written p.{name[:100] or 'key'}, a text with such signs in quotes"
    return InvalidFilter(
        f"there is no field called {name[:100]}; {hint}",
        choices=(*nearest(name, known), "p.<key>"),
    )


def checked(condition: Condition, projects: Collection[str] | None = None) -> Condition:
    """The condition in canonical form, or InvalidFilter naming the field and what is wrong.

    Canonical values: text for names, slugs, statuses and every param value that is only text;
    `Word` for dates and for param values that could be a number, a constant or a date; `int` for
    `projects`. Several equal values of an `in` count once, and one alone is an `eq`.
    `projects`, when given, are the slugs that exist.
    """
    field, op = condition.field, condition.op
    known = operators(field)
    if op not in known:
        raise InvalidFilter(
            f"{shown(field)} has no operator {op}",
            choices=tuple(SYMBOLS[each] for each in known),
        )
    if op in _THERE:
        return Condition(field, op)
    read = _reader(field, op, projects)
    if op not in ("in", "between"):
        if isinstance(condition.value, tuple):
            raise InvalidFilter(f"{shown(field)}: {op} takes one value, not a list")
        return Condition(field, op, read(condition.value))
    values = _several(condition)
    if op == "between":
        return Condition(field, op, tuple(map(read, values)))
    distinct = tuple({_key(value): value for value in map(read, values)}.values())
    return (
        Condition(field, "in", distinct)
        if len(distinct) > 1
        else Condition(field, "eq", distinct[0])
    )


def check_slug(slug: object, projects: Collection[str] | None) -> str:
    """The slug itself, or InvalidFilter when it is unusable or not one of `projects`."""
    if not isinstance(slug, str) or not slug:
        raise InvalidFilter("a product is named by its slug")
    check_literal(slug, "a product")
    if projects is not None and slug not in projects:
        raise InvalidFilter(
            f"there is no product called {slug}" if projects else "there are no products yet",
            choices=nearest(slug, sorted(projects)),
        )
    return slug


def check_literal(text: str, what: str) -> None:
    """Refuse text that is too long or that no database can carry."""
    if len(text) > MAX_LITERAL or len(text.encode("utf-8", "surrogatepass")) > MAX_LITERAL:
        raise InvalidFilter(f"{what} is longer than {MAX_LITERAL:,} bytes")
    if _FORBIDDEN.search(text):
        raise InvalidFilter(f"{what} holds a NUL character or half a surrogate pair")


def shown(field: str | Param) -> str:
    """The field as error messages name it."""
    return "p." + ".".join(field.path)[:100] if isinstance(field, Param) else field


def _several(condition: Condition) -> tuple[Scalar, ...]:
    values, name = condition.value, shown(condition.field)
    if not isinstance(values, tuple) or not values:
        raise InvalidFilter(f"{name}: {condition.op} takes a tuple of values")
    if condition.op == "between" and len(values) != 2:
        raise InvalidFilter(f"{name}: between takes two values, the first and the last")
    if len(values) > MAX_VALUES:
        raise InvalidFilter(f"{name}: more than {MAX_VALUES} values in one condition")
    return values


def _key(value: Scalar) -> tuple[type, Scalar]:
    """Tells 1 from 1.0 and from True, which are equal as dictionary keys."""
    return type(value), value


def _check_path(param: Param) -> None:
    path = param.path
    if not path or not all(map(_is_text, path)):
        raise InvalidFilter("a param is named by one or more keys", choices=("p.<key>",))
    if len(path) > MAX_DEPTH:
        raise InvalidFilter(f"p.{path[0][:100]}: more than {MAX_DEPTH} keys inside each other")
    for key in path:
        check_literal(key, "a param's key")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _reader(
    field: str | Param, op: Op, projects: Collection[str] | None
) -> Callable[[Scalar], Scalar]:
    """The function that brings one value of this field into canonical form."""
    name = shown(field)
    if isinstance(field, Param):
        return lambda value: _param_value(name, op, value)
    if field in ("created", "seen", "joined", "active"):
        return lambda value: _date(name, _text(name, value))
    if field == "projects":
        return lambda value: _count(name, value)
    if field == "project":
        return lambda value: check_slug(_text(name, value), projects)
    if field == "status":
        return lambda value: _status(_text(name, value))
    if field == "words":
        return _search_words
    return lambda value: _text(name, value)


def _text(name: str, value: Scalar) -> str:
    text = value.text if isinstance(value, Word) else value
    if not isinstance(text, str):
        raise InvalidFilter(f"{name} compares with text, not with {type(value).__name__}")
    check_literal(text, f"the value of {name}")
    return str(text)


def _search_words(value: Scalar) -> str:
    text = _text("a search", value)
    if not text.strip():
        raise InvalidFilter("there is nothing to search for between the quotes")
    return text


def _date(name: str, text: str) -> Word:
    if not is_date_word(text):
        raise InvalidFilter(f"{name}: {text[:100]!r} is not a date", choices=EXAMPLES)
    return Word(text)


def _count(name: str, value: Scalar) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        count: int | float | None = value
    else:
        count = number(_text(name, value))
    if not isinstance(count, int) or abs(count) >= 2**31:
        raise InvalidFilter(f"{name} compares with a whole number, such as 2")
    return count


def _status(text: str) -> str:
    if text == "trialing":
        return Status.TRIAL.value
    if text not in STATUSES:
        raise InvalidFilter(
            f"there is no status called {text[:100]}; the four are {', '.join(STATUSES)}",
            choices=nearest(text, STATUSES),
        )
    return text


def _param_value(name: str, op: Op, value: Scalar) -> Scalar:
    if op in _TEXT:
        return _text(name, value)
    if value is None:
        return Word("null")
    if isinstance(value, bool):
        return Word("true" if value else "false")
    if isinstance(value, int | float):
        return _param_number(name, op, value)
    text = _text(name, value)
    return Word(text) if isinstance(value, Word) and is_typed(text) else text


def _param_number(name: str, op: Op, value: int | float) -> Scalar:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidFilter(f"{name}: the integer does not fit into 64 bits")
    if not math.isfinite(value):
        raise InvalidFilter(f"{name}: the number is not finite")
    # Ordering compares numbers only, whether or not the literal could also be text.
    return Word(repr(value)) if op in _ORDER else value
