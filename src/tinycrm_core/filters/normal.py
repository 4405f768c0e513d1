"""One normal form per question: loose conditions bound to memberships, the rest tidied.

Text and URLs are read into a *loose* tree, in which conditions on a membership may stand by
themselves. `normalise` applies the scope rule to them, checks every condition and every limit,
and removes what says the same twice. It is the entrance for trees from anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import TypeVar

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters.conditions import (
    MAX_DEPTH,
    MAX_VALUES,
    check_slug,
    checked,
    is_membership,
    shown,
)
from tinycrm_core.filters.tree import (
    EVERYBODY,
    MAX_CONDITIONS,
    And,
    Condition,
    Filter,
    Not,
    On,
    Or,
    Scalar,
)

Node = TypeVar("Node", Filter, Condition)

NOBODY = Condition("projects", "lt", 0)
"""The normal form of a filter that can hold for nobody by its shape, such as `Or(())`."""

_TOO_MANY = f"a filter has at most {MAX_CONDITIONS} conditions"
_TOO_DEEP = f"a filter nests at most {MAX_DEPTH} deep"


def normalise(filter: Filter, projects: Collection[str] | None = None) -> Filter:
    """The same question in normal form; normalising twice changes nothing.

    Conditions on a membership that stand outside an `On` are bound by the scope rule. Raises
    InvalidFilter for unknown fields, operators, statuses, products (when `projects` are given),
    for values of the wrong kind, and beyond a limit.
    """
    _measure(filter)
    normal = _tidy(_bind(_check(filter, projects), _Leaves()))
    if count(normal) > MAX_CONDITIONS:
        raise InvalidFilter(_TOO_MANY)
    if _depth(normal) > MAX_DEPTH:
        raise InvalidFilter(_TOO_DEEP)
    return normal


def count(filter: Filter) -> int:
    """How many conditions a filter has; being on a product is one, if nothing else is asked."""
    match filter:
        case And(items) | Or(items):
            return sum(map(count, items))
        case Not(item):
            return count(item)
        case On(_, conditions):
            return max(1, len(conditions))
    return 1


def names_products(condition: Condition) -> bool:
    """Whether the condition is `project:a` or `project:a,b`: a place to look at."""
    return condition.field == "project" and condition.op in ("eq", "in")


# Checking


def _measure(filter: Filter) -> None:
    """Refuse what is no filter, too deep or too large, without recursion."""
    # Between two parentheses of a text lie at most a Not, an Or and an And.
    deepest = 3 * (MAX_DEPTH + 1)
    conditions = places = 0
    waiting: list[tuple[object, int]] = [(filter, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > deepest:
            raise InvalidFilter(_TOO_DEEP)
        match node:
            case And(items) | Or(items):
                waiting.extend((item, depth + 1) for item in items)
            case Not(item):
                waiting.append((item, depth + 1))
            case On(_, inner):
                conditions += max(1, len(inner))
            case Condition("project", "eq"):
                places += 1
            case Condition():
                conditions += 1
            case _:
                raise InvalidFilter(f"not a filter: {type(node).__name__}")
        if max(conditions, places) > MAX_CONDITIONS:
            raise InvalidFilter(_TOO_MANY)


def _check(filter: Filter, projects: Collection[str] | None) -> Filter:
    match filter:
        case And(items):
            return And(tuple(_check(item, projects) for item in items))
        case Or(items):
            return Or(tuple(_check(item, projects) for item in items))
        case Not(item):
            return Not(_check(item, projects))
        case On(project, conditions):
            if project is not None:
                check_slug(project, projects)
            for condition in conditions:
                if not is_membership(condition):
                    raise InvalidFilter(
                        f"{shown(condition.field)} is about the person, not about one membership"
                    )
            return On(project, tuple(checked(each, projects) for each in conditions))
    return checked(filter, projects)


# The scope rule


class _Leaves:
    """Counts the conjunctions that multiplying out has made, to stop in time."""

    def __init__(self) -> None:
        self.made = 0

    def add(self, number: int) -> None:
        self.made += number
        if self.made > MAX_CONDITIONS:
            raise InvalidFilter(f"{_TOO_MANY}; this one grows beyond when its «or» is resolved")


def _bind(filter: Filter, leaves: _Leaves) -> Filter:
    match filter:
        case And(items):
            return _bind_all(items, leaves)
        case Or(items):
            return Or(tuple(_bind(item, leaves) for item in items))
        case Not(item):
            return Not(_bind(item, leaves))
        case Condition() if is_membership(filter):
            return _bind_all((filter,), leaves)
    return filter


def _bind_all(items: Sequence[Filter], leaves: _Leaves) -> Filter:
    """One conjunction: its loose conditions describe one membership."""
    flat = list(_distinct(_flat(items)))
    loose = [item for item in flat if _is_loose(item)]
    choices = [item for item in flat if isinstance(item, Or) and _is_open(item)]
    if choices and len(loose) + len(choices) > 1:
        return _multiply_out(flat, choices, leaves)
    places = [c for c in loose if isinstance(c, Condition) and names_products(c)]
    bound: list[Filter] = []
    rest: list[Condition] = []
    where = 0
    for item in flat:
        if not isinstance(item, Condition) or not is_membership(item):
            bound.append(_bind(item, leaves))
        elif len(places) > 1 and names_products(item):
            bound.append(On(None, (item,)))
        else:
            where = where if rest else len(bound)
            rest.append(item)
    if rest:
        if len(places) > 1:
            slugs = [slug for place in places for slug in _values(place)]
            rest.insert(0, checked(Condition("project", "in", tuple(slugs))))
        bound.insert(where, On(None, tuple(rest)))
    return And(tuple(bound))


def _multiply_out(flat: Sequence[Filter], choices: Sequence[Or], leaves: _Leaves) -> Filter:
    """Turn `a (b or c)` into `a b or a c`, so that each alternative is one conjunction.

    Items that do not belong to the shared membership stay outside.
    """
    leaves.add(prod(len(choice.items) for choice in choices))
    shared = [item for item in flat if _is_open(item)]
    kept = [_bind(item, leaves) for item in flat if not _is_open(item)]
    where = next(index for index, item in enumerate(flat) if _is_open(item))
    alternatives = product(*((item.items if isinstance(item, Or) else (item,)) for item in shared))
    either = Or(tuple(_bind_all(alternative, leaves) for alternative in alternatives))
    return And((*kept[:where], either, *kept[where:]))


def _flat(items: Iterable[Filter]) -> Iterator[Filter]:
    """The items without conjunctions inside conjunctions, and with each `or` merged."""
    for item in items:
        if isinstance(item, And):
            yield from _flat(item.items)
        elif isinstance(item, Or):
            merged = _merged(tuple(_flat_or(item.items)))
            yield from _flat((merged,)) if isinstance(merged, And) else (merged,)
        else:
            yield item


def _flat_or(items: Iterable[Filter]) -> Iterator[Filter]:
    for item in items:
        while isinstance(item, And) and len(item.items) == 1:
            item = item.items[0]
        if isinstance(item, Or):
            yield from _flat_or(item.items)
        else:
            yield item


def _is_loose(filter: Filter) -> bool:
    return isinstance(filter, Condition) and is_membership(filter)


def _is_open(filter: Filter) -> bool:
    """Whether a loose condition inside belongs to the conjunction outside."""
    match filter:
        case And(items) | Or(items):
            return any(map(_is_open, items))
    return _is_loose(filter)


# Tidying


def _tidy(filter: Filter) -> Filter:
    match filter:
        case And(items):
            return _tidy_and(list(_flat_and(map(_tidy, items))))
        case Or(items):
            return _merged(tuple(_flat_or(map(_tidy, items))))
        case Not(item):
            inner = _tidy(item)
            if inner == EVERYBODY:
                return NOBODY
            return inner.item if isinstance(inner, Not) else Not(inner)
        case On():
            return _tidy_on(filter)
    return filter


def _flat_and(items: Iterable[Filter]) -> Iterator[Filter]:
    for item in items:
        if isinstance(item, And):
            yield from item.items
        else:
            yield item


def _tidy_and(items: list[Filter]) -> Filter:
    # A person has at most one membership per product: conditions on one product are one On.
    named: dict[str, tuple[Condition, ...]] = {}
    for item in items:
        if isinstance(item, On) and item.project is not None:
            named[item.project] = (*named.get(item.project, ()), *item.conditions)
    united = [
        On(item.project, _distinct(named[item.project]))
        if isinstance(item, On) and item.project is not None
        else item
        for item in items
    ]
    distinct = _distinct(united)
    return distinct[0] if len(distinct) == 1 else And(distinct)


def _tidy_on(on: On) -> On:
    project = on.project
    conditions = list(_distinct(on.conditions))
    for condition in conditions:
        if condition.field == "project" and condition.op == "eq":
            if project is None:
                project = str(condition.value)
            if condition.value == project:
                conditions.remove(condition)
                break
    return On(project, tuple(conditions))


def _merged(items: tuple[Filter, ...]) -> Filter:
    """The alternatives as one filter, as one `in` where they ask the same of one thing."""
    if EVERYBODY in items:
        return EVERYBODY
    items = _distinct(items)
    if not items:
        return NOBODY
    if len(items) == 1:
        return items[0]
    if all(isinstance(item, On) for item in items):
        ons = [item for item in items if isinstance(item, On)]
        places = [_place(on) for on in ons]
        if merged := _one_of(places):
            return _tidy_on(On(None, (merged,)))
        singles = [on.conditions[0] if len(on.conditions) == 1 else None for on in ons]
        if len({on.project for on in ons}) == 1 and (merged := _one_of(singles)):
            return _tidy_on(On(ons[0].project, (merged,)))
    elif merged := _one_of([item if isinstance(item, Condition) else None for item in items]):
        return merged
    return Or(items)


def _place(on: On) -> Condition | None:
    """The `project` condition that says all an On says, if there is one."""
    if on.project is not None:
        return None if on.conditions else Condition("project", "eq", on.project)
    only = on.conditions[0] if len(on.conditions) == 1 else None
    return only if only is not None and names_products(only) else None


def _one_of(conditions: Sequence[Condition | None]) -> Condition | None:
    """All conditions as one `in`, if they are equalities of one field."""
    known = [condition for condition in conditions if condition is not None]
    values = tuple(value for condition in known for value in _values(condition))
    if (
        len(known) < len(conditions)
        or any(condition.op not in ("eq", "in") for condition in known)
        or len({condition.field for condition in known}) > 1
        or len(values) > MAX_VALUES
    ):
        return None
    return checked(Condition(known[0].field, "in", values))


def _values(condition: Condition) -> tuple[Scalar, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _distinct(items: Iterable[Node]) -> tuple[Node, ...]:
    """The items without repetitions; 1, 1.0 and True are three values."""
    return tuple({repr(item): item for item in items}.values())


def _depth(filter: Filter) -> int:
    """How many parentheses the text of a filter opens inside each other."""
    match filter:
        case And(items):
            return max((_depth(item) + isinstance(item, Or) for item in items), default=0)
        case Or(items):
            return max(map(_depth, items))
        case Not(item):
            several = isinstance(item, On) and len(item.conditions) > 1
            return _depth(item) + (several or isinstance(item, And | Or))
    return 0
