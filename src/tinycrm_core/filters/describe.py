"""The English sentence of a filter, whole or in marked parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from tinycrm_core.filters.dates import is_date_word
from tinycrm_core.filters.normal import NOBODY, normalise
from tinycrm_core.filters.spell import field as spelled_field
from tinycrm_core.filters.spell import must_quote, quote, raw, scalars
from tinycrm_core.filters.tree import (
    EVERYBODY,
    And,
    Condition,
    Filter,
    Not,
    On,
    Op,
    Or,
    Param,
    Scalar,
    Word,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the sentence: connecting words, something the filter asks for, or a product.

    The text of a `product` part is its slug.
    """

    text: str
    kind: Literal["plain", "value", "product"] = "plain"


_ORDER: Final[dict[Op, str]] = {
    "lt": "below ",
    "lte": "at most ",
    "gt": "above ",
    "gte": "at least ",
}
_TIME_ORDER: Final[dict[Op, str]] = {
    "lt": "before ",
    "lte": "until ",
    "gt": "after ",
    "gte": "since ",
}
_COUNTED: Final[dict[Op, str]] = {
    "lt": "fewer than ",
    "lte": "at most ",
    "gt": "more than ",
    "gte": "at least ",
    "eq": "exactly ",
    "not": "not exactly ",
}
_UNITS: Final = {"h": "hour", "d": "day", "w": "week", "m": "month"}
_STATUS: Final = {"trial": "on "}
_RELATIVE = re.compile(r"([+-])(\d+)([hdwm])")


def describe(filter: Filter) -> str:
    """The filter as an English sentence without a full stop, e.g. `People who are paid on shop`.

    Everybody is `Everyone`. Raises InvalidFilter for a filter that `normalise` refuses.
    """
    return "".join(part.text for part in describe_parts(filter))


def describe_parts(filter: Filter) -> list[Part]:
    """The sentence of `describe` in parts that can be marked up; joined, they are it."""
    filter = normalise(filter)
    if filter == EVERYBODY:
        return [Part("Everyone")]
    if filter == NOBODY:
        return [Part("Nobody")]
    return _merged([Part("People "), *_group(filter)])


# Whole groups, as they follow «People» or «those»


def _group(filter: Filter, *, nested: bool = False) -> list[Part]:
    if isinstance(filter, Or):
        joint = " or " if nested else "; or "
        alternative = _alternative if nested else _group
        return _joined(map(alternative, filter.items), joint)
    items = filter.items if isinstance(filter, And) else (filter,)
    being = _being(items)
    words = [item for item in items if isinstance(item, Condition) and item.field == "words"]
    others = [
        _other(item)
        for item in sorted(items, key=_is_exception)
        if not isinstance(item, On) and not _nowhere(item) and item not in words
    ]
    if words:
        others.insert(0, _words(words, denied=False))
    return _joined([being, *others] if being else others, ", ")


def _alternative(filter: Filter) -> list[Part]:
    parts = _group(filter, nested=True)
    return [Part("("), *parts, Part(")")] if isinstance(filter, And) else parts


def _nowhere(item: Filter) -> On | None:
    """What is denied by an item that fits behind «who are not»: one condition, not several."""
    if isinstance(item, Not) and isinstance(item.item, On) and len(item.item.conditions) < 2:
        return item.item
    return None


def _is_exception(item: Filter) -> bool:
    return isinstance(item, Not) and not isinstance(item.item, Condition)


def _being(items: Sequence[Filter]) -> list[Part]:
    """What people are on which products, and are not."""
    there = [_membership(item, "some product") for item in items if isinstance(item, On)]
    denied = [[Part("not "), *_membership(on, "any product")] for on in map(_nowhere, items) if on]
    sides = _joined([_joined_clearly(side) for side in (there, denied) if side], " but ")
    past = bool(sides) and sides[0].text.startswith("last ")
    return [Part("who were " if past else "who are "), *sides] if sides else []


def _joined_clearly(phrases: list[list[Part]]) -> list[Part]:
    """Phrases joined by «and», more audibly after a phrase that holds more than a product."""
    parts = list(phrases[0])
    for before, phrase in pairwise(phrases):
        long = any("," in part.text for part in before)
        also = len(before) > 2 and phrase[0].text.startswith("on ")
        parts.append(Part((", and " if long else " and ") + ("also " if also else "")))
        parts.extend(phrase)
    return parts


def _other(item: Filter) -> list[Part]:
    match item:
        case Condition():
            return _person(item, denied=False)
        case Not(Condition() as condition):
            return _person(condition, denied=True)
        case Not(inner):
            return [Part("except those "), *_group(inner, nested=True)]
        case Or(alternatives):
            return [Part("either "), *_joined(map(_alternative, alternatives), " or ")]
    return _group(item, nested=True)


# Conditions on the person


def _person(condition: Condition, *, denied: bool) -> list[Part]:
    no = [Part("not ")] if denied else []
    match condition.field:
        case "words":
            return _words([condition], denied=denied)
        case "seen":
            return _activity(condition, denied=denied)
        case "created":
            return [*no, Part("first known "), *_when(condition)]
        case "projects":
            return [*no, Part("on "), *_counted(condition)]
    return _named(condition, denied=denied)


def _words(conditions: Sequence[Condition], *, denied: bool) -> list[Part]:
    values = _joined([[_value(str(each.value))] for each in conditions], " and ")
    return [Part("without " if denied else "with "), *values, Part(" in name or email")]


def _counted(condition: Condition) -> list[Part]:
    joint = " to " if condition.op == "between" else " or "
    numbers = _joined([[_value(raw(number))] for number in scalars(condition)], joint)
    products = " product" if condition.value == 1 else " products"
    return [Part(_COUNTED.get(condition.op, "")), *numbers, Part(products)]


def _named(condition: Condition, *, denied: bool) -> list[Part]:
    """The email or the name, as text; whoever has no name has none that differs either."""
    name, op = str(condition.field), condition.op
    if op in ("exists", "missing"):
        article = "an" if name == "email" else "a"
        there = (op == "exists") != denied
        return [Part("with " if there else "without "), _value(f"{article} {name}")]
    if denied and op == "not":
        return [Part(f"whose {name} is "), *_choice(condition), Part(" or missing")]
    verbs = {
        "contains": ("contains ", "does not contain "),
        "starts": ("starts with ", "does not start with "),
    }
    no = denied or op == "not"
    return [Part(f"whose {name} {verbs.get(op, ('is ', 'is not '))[no]}"), *_choice(condition)]


# Conditions on one membership


def _membership(on: On, nowhere_named: str) -> list[Part]:
    """One membership, as it follows «are»: `paid on shop with p.mrr at least 9, active …`."""
    by_field: dict[str, list[Condition]] = {}
    for condition in on.conditions:
        name = "p" if isinstance(condition.field, Param) else condition.field
        by_field.setdefault(name, []).append(condition)
    place = _place(on.project, by_field.get("project", []), nowhere_named)
    statuses = _joined([_status(each) for each in by_field.get("status", [])], " and ")
    active = by_field.get("active", [])
    if statuses or "joined" in by_field or "p" in by_field or len(active) != 1:
        parts = [*statuses, Part(" ")] if statuses else []
        parts += place
    else:
        return _activity(active[0], place)
    if "p" in by_field:
        parts += [Part(" with "), *_joined([_param(each) for each in by_field["p"]], " and ")]
    for condition in by_field.get("joined", []):
        parts += [Part(", joined "), *_when(condition)]
    for condition in active:
        parts += [Part(", "), *_activity(condition, [Part("there")])]
    return parts


def _place(project: str | None, named: Sequence[Condition], otherwise: str) -> list[Part]:
    phrases = [[Part("on "), Part(project, "product")]] if project is not None else []
    for condition in named:
        slugs = _joined([[Part(str(slug), "product")] for slug in scalars(condition)], " or ")
        other = "a product other than " if condition.op == "not" else ""
        phrases.append([Part(f"on {other}"), *slugs])
    return _joined(phrases or [[Part(f"on {otherwise}")]], " and ")


def _status(condition: Condition) -> list[Part]:
    names = [[Part(_STATUS.get(str(s), "")), _value(str(s))] for s in scalars(condition)]
    return [Part("not " if condition.op == "not" else ""), *_joined(names, " or ")]


def _param(condition: Condition) -> list[Part]:
    """A param as it follows «with»."""
    name = spelled_field(condition.field)
    match condition.op:
        case "exists":
            return [Part("some "), _value(name)]
        case "missing":
            return [Part("no "), _value(name)]
        case "contains":
            return [Part(f"{name} containing "), *_choice(condition)]
        case "starts":
            return [Part(f"{name} starting with "), *_choice(condition)]
        case "not":
            return [Part(f"{name} other than "), *_choice(condition)]
        case "between":
            return [Part(f"{name} between "), *_choice(condition, " and ")]
    dated = any(isinstance(each, Word) and is_date_word(each.text) for each in scalars(condition))
    order = (_TIME_ORDER if dated else _ORDER).get(condition.op, "")
    return [Part(f"{name} {order}"), *_choice(condition)]


# Times and values


def _activity(
    condition: Condition, place: Sequence[Part] = (), *, denied: bool = False
) -> list[Part]:
    """Being active, there or anywhere: `active on shop in the last 7 days`."""
    where = [*place, Part(" ")] if place else []
    if condition.op in ("exists", "missing"):
        ever = (condition.op == "exists") != denied
        return [Part("active " if ever else "never active "), *where, Part("at any time")]
    lately = condition.op in ("gt", "gte") and _ago(condition) is not None
    verb = ("not " if denied else "") + ("active " if lately else "last active ")
    return [Part(verb), *where, *_when(condition)]


def _when(condition: Condition) -> list[Part]:
    """A comparison with dates: `more than 30 days ago`, `between 2026-01-01 and today`."""
    op, ago = condition.op, _ago(condition)
    if ago is not None and op in ("lt", "lte"):
        return [_value(f"{'more than' if op == 'lt' else 'at least'} {ago} ago")]
    if ago is not None and op in ("gt", "gte"):
        return [_value(f"in the last {ago}")]
    if op in ("exists", "missing"):
        return [_value("at some time" if op == "exists" else "never")]
    if op == "between":
        return [Part("between "), *_choice(condition, " and ")]
    if op in _TIME_ORDER:
        return [Part(_TIME_ORDER[op]), *_choice(condition)]
    days = [[_value(_on_day(str(raw(each))))] for each in scalars(condition)]
    return [Part("not " if op == "not" else ""), *_joined(days, " or ")]


def _ago(condition: Condition) -> str | None:
    """`30 days`, if the one value of the condition is a time that much in the past."""
    values = scalars(condition)
    relative = _RELATIVE.fullmatch(raw(values[0])) if len(values) == 1 else None
    return _amount(relative) if relative and relative[1] == "-" else None


def _amount(relative: re.Match[str]) -> str:
    number, unit = int(relative[2]), _UNITS[relative[3]]
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _date(word: str) -> str:
    relative = _RELATIVE.fullmatch(word)
    if relative is None:
        return word
    return _amount(relative) + (" ago" if relative[1] == "-" else " from now")


def _on_day(word: str) -> str:
    """A date word in an equality, where it stands for all of its day or hour."""
    relative = _RELATIVE.fullmatch(word)
    if relative:
        return f"in the {'hour' if relative[3] == 'h' else 'day'} {_date(word)}"
    if word in ("today", "yesterday"):
        return word
    return f"at {word}" if "T" in word else f"on {word}"


def _choice(condition: Condition, joint: str = " or ") -> list[Part]:
    """The values of a condition, with quotes where they tell text from a number."""

    def shown(value: Scalar) -> str:
        text = raw(value)
        if isinstance(value, Word):  # in canonical form only where a date or a type is meant
            return _date(text)
        return quote(text) if not text or must_quote(condition, value) else text

    return _joined([[_value(shown(value))] for value in scalars(condition)], joint)


def _value(text: str) -> Part:
    return Part(text, "value")


def _joined(phrases: Iterable[list[Part]], joint: str) -> list[Part]:
    parts: list[Part] = []
    for phrase in phrases:
        if parts:
            parts.append(Part(joint))
        parts.extend(phrase)
    return parts


def _merged(parts: Iterable[Part]) -> list[Part]:
    """The parts without empty ones, neighbours of the plain kind as one."""
    merged: list[Part] = []
    for part in parts:
        if merged and merged[-1].kind == part.kind == "plain":
            merged[-1] = Part(merged[-1].text + part.text)
        elif part.text:
            merged.append(part)
    return merged
