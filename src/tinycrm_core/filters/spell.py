"""How a tree in normal form is spelled: shared by filter text and query pairs.

A conjunction becomes a list of pieces. A `Clause` is one condition, which both spellings have
words for; everything else is a piece of filter text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, TypeAlias

from tinycrm_core.filters.conditions import is_typed
from tinycrm_core.filters.normal import names_products, normalise
from tinycrm_core.filters.scan import KEY, LITERAL, OPERATOR, RUN, SLUG
from tinycrm_core.filters.tree import And, Condition, Filter, Not, On, Op, Or, Param, Scalar, Word

Style: TypeAlias = Literal["loose", "rest", "scoped", "group"]
"""An `On` as `project:a status:paid`, as the rest of a conjunction that names its products
already, as `status@a:paid`, or as `any(project:a status:paid)`."""

_SIGNS: Final[dict[Op, str]] = {
    "eq": ":",
    "in": ":",
    "between": ":",
    "exists": ":*",
    "missing": ":-",
    "not": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "contains": "~",
    "starts": "^",
}
_ESCAPE = re.compile(r'["\\\n\r\t]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition, with the product it is on if it names one, perhaps denied."""

    condition: Condition
    project: str | None = None
    denied: bool = False


def pieces(filter: Filter) -> list[Clause | str]:
    """The pieces of a filter in normal form; side by side they are the filter."""
    filter = _without_bare_numbers(filter)
    if isinstance(filter, Or):
        return [_either(filter, closed=False)]
    return list(_conjunction(_items(filter), closed=False))


def spelled(clause: Clause) -> str:
    """A clause as filter text."""
    condition = clause.condition
    minus = "-" if clause.denied else ""
    if condition.field == "words":
        return minus + _word(str(condition.value))
    head = field(condition.field) + (f"@{slug(clause.project)}" if clause.project else "")
    return f"{minus}{head}{_SIGNS[condition.op]}{_value(condition)}"


def field(name: str | Param, bare: re.Pattern[str] = KEY) -> str:
    """A field, with those keys of a param in quotes that do not match `bare`."""
    if not isinstance(name, Param):
        return name
    return "p." + ".".join(key if bare.fullmatch(key) else quote(key) for key in name.path)


def slug(name: str, bare: re.Pattern[str] = SLUG) -> str:
    """A slug as it stands behind an @, in quotes unless it matches `bare`."""
    return name if bare.fullmatch(name) else quote(name)


def quote(text: str) -> str:
    """The text between quotes, from which `Scanner.quoted` reads it back."""
    return '"' + _ESCAPE.sub(lambda sign: _ESCAPES[sign[0]], text) + '"'


def must_quote(condition: Condition, value: Scalar) -> bool:
    """Whether a value without quotes would be more than text, which it is not."""
    compares = condition.op not in ("contains", "starts")
    text_only = isinstance(value, str) and isinstance(condition.field, Param)
    return text_only and compares and is_typed(str(value))


def raw(value: Scalar) -> str:
    """The characters of a value; numbers as JSON writes them."""
    return value.text if isinstance(value, Word) else str(value)


def scalars(condition: Condition) -> tuple[Scalar, ...]:
    """The values of a condition, however many its operator takes."""
    if condition.op in ("exists", "missing"):
        return ()
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _word(text: str) -> str:
    bare = RUN.fullmatch(text) and not OPERATOR.search(text) and not text.startswith("-")
    return text if bare and text.lower() != "or" else quote(text)


def _value(condition: Condition) -> str:
    joint = ".." if condition.op == "between" else ","
    return joint.join(_literal(condition, value) for value in scalars(condition))


def _literal(condition: Condition, value: Scalar) -> str:
    text = raw(value)
    bare = (
        LITERAL.fullmatch(text)
        and text not in ("*", "-")
        and text[0] not in ":=!<>~^."
        and text[-1] != "."
        and not must_quote(condition, value)
    )
    return text if bare else quote(text)


def _items(filter: Filter) -> tuple[Filter, ...]:
    return filter.items if isinstance(filter, And) else (filter,)


def _text(filter: Filter, *, closed: bool) -> str:
    """A whole filter as text; `closed` keeps its loose conditions from the scope around it."""
    if isinstance(filter, Or):
        return _either(filter, closed=closed)
    return " ".join(
        spelled(piece) if isinstance(piece, Clause) else piece
        for piece in _conjunction(_items(filter), closed=closed)
    )


def _either(filter: Or, *, closed: bool) -> str:
    return " or ".join(_text(item, closed=closed) for item in filter.items)


def _conjunction(items: Sequence[Filter], *, closed: bool) -> Iterator[Clause | str]:
    styles, ors_closed = _styles(items, closed=closed)
    for item in items:
        match item:
            case On():
                yield from _on(item, styles[item])
            case Or():
                yield f"({_either(item, closed=ors_closed)})"
            case Not(inner):
                yield _denied(inner)
            case Condition():
                yield Clause(item)
            case And():  # not in normal form
                yield from _conjunction(item.items, closed=closed)


def _on(on: On, style: Style) -> Iterator[Clause | str]:
    match style:
        case "scoped":
            yield from (Clause(condition, on.project) for condition in on.conditions)
        case "loose":
            yield from map(Clause, _loose(on))
        case "rest":
            yield from map(Clause, on.conditions[1:])
        case "group":
            yield f"any({' '.join(spelled(Clause(each)) for each in _loose(on))})"


def _denied(inner: Filter) -> Clause | str:
    if isinstance(inner, Condition):
        return Clause(inner, denied=True)
    if isinstance(inner, On):
        if inner.project is not None and len(inner.conditions) == 1 and _can_scope(inner):
            return Clause(inner.conditions[0], inner.project, denied=True)
        if len(loose := _loose(inner)) == 1:
            return Clause(loose[0], denied=True)
        if not _can_loosen(inner):
            return "-" + "".join(str(group) for group in _on(inner, "group"))
    return f"-({_text(inner, closed=False)})"


def _styles(items: Sequence[Filter], *, closed: bool) -> tuple[dict[On, Style], bool]:
    """How to write each On so that the scope rule gives it back, and whether to close each Or.

    At most one thing in a conjunction may be written with loose conditions, apart from products
    that are only named: the one On, the rest behind several products, or the one Or.
    """
    ons = [item for item in items if isinstance(item, On)]
    ors = [item for item in items if isinstance(item, Or) and _holds_on(item)]
    places = [on for on in ons if on.project is not None and not on.conditions]
    styles: dict[On, Style] = {on: "scoped" if _can_scope(on) else "group" for on in ons}
    groups = [on for on in ons if styles[on] == "group" and on not in places]
    if closed:
        return styles, True
    if len(ors) == 1 and not places:
        return styles, False
    loose: list[On] = places
    if not ors and len(ons) == 1 and _can_loosen(ons[0]):
        loose = ons
    elif not ors and len(groups) == 1 and not places and _can_loosen(groups[0]):
        loose = groups
    elif not ors and len(groups) == 1 and _is_rest(groups[0], places):
        styles[groups[0]] = "rest"
    return styles | dict.fromkeys(loose, "loose"), True


def _loose(on: On) -> tuple[Condition, ...]:
    """The conditions of an On, with its product as one of them."""
    if on.project is None:
        return on.conditions
    return (Condition("project", "eq", on.project), *on.conditions)


def _can_loosen(on: On) -> bool:
    """Whether its conditions, written loose, are read as one membership again."""
    loose = _loose(on)
    return bool(loose) and sum(map(names_products, loose)) <= 1


def _can_scope(on: On) -> bool:
    return (
        on.project is not None
        and bool(on.conditions)
        and all(condition.field != "project" for condition in on.conditions)
    )


def _is_rest(on: On, places: Sequence[On]) -> bool:
    """Whether the scope rule makes this On of the conditions behind these products."""
    if on.project is not None or len(places) < 2 or len(on.conditions) < 2:
        return False
    first, *others = on.conditions
    slugs = tuple(str(place.project) for place in places)
    return first == Condition("project", "in", slugs) and not any(map(names_products, others))


def _holds_on(filter: Filter) -> bool:
    match filter:
        case And(items) | Or(items):
            return any(map(_holds_on, items))
    return isinstance(filter, On)


# A number from Python equals numbers only, while `29` in text also equals the string. Text has
# other words for it: between the number and itself, compared as numbers.


def _without_bare_numbers(filter: Filter) -> Filter:
    rewritten = _rewritten(filter)
    return filter if rewritten == filter else normalise(rewritten)


def _rewritten(filter: Filter) -> Filter:
    match filter:
        case And(items):
            return And(tuple(map(_rewritten, items)))
        case Or(items):
            return Or(tuple(map(_rewritten, items)))
        case Not(item):
            return Not(_rewritten(item))
        case On(project, conditions):
            choices = [_alternatives(condition) for condition in conditions]
            ons = tuple(On(project, combination) for combination in product(*choices))
            return ons[0] if len(ons) == 1 else Or(ons)
    return filter


def _alternatives(condition: Condition) -> list[Condition]:
    """Conditions of which one holds exactly when this one does, without bare numbers."""
    values = scalars(condition)
    numbers = [value for value in values if isinstance(value, int | float)]
    if not numbers or condition.field == "projects":
        return [condition]
    name = condition.field
    if condition.op == "not":
        text = raw(numbers[0])
        return [Condition(name, "not", Word(text)), Condition(name, "eq", text)]
    others = tuple(value for value in values if not isinstance(value, int | float))
    between = [Condition(name, "between", (Word(raw(n)), Word(raw(n)))) for n in numbers]
    return ([Condition(name, "in", others)] if others else []) + between
