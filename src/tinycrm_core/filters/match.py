"""Filters over plain values: `matches()` and, for many customers, `compile_matcher()`.

This is what every backend's answers are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

from tinycrm_core import text, times
from tinycrm_core.filters import predicates
from tinycrm_core.filters.normal import normalise
from tinycrm_core.filters.tree import And, Condition, Filter, Not, On, Or, Param
from tinycrm_core.filters.values import Contains, resolve
from tinycrm_core.model import Customer, Membership

Matcher: TypeAlias = Callable[[Customer], bool]
SearchKey: TypeAlias = Callable[[Customer], str]

_ATTRIBUTES = {
    "created": "created_at",
    "seen": "last_seen_at",
    "joined": "joined_at",
    "active": "last_active_at",
}


def matches(filter: Filter, customer: Customer, *, now: int | None = None) -> bool:
    """Whether the filter holds for the customer at the time `now`, in microseconds since 1970.

    Raises InvalidFilter for a filter that `normalise` refuses.
    """
    return compile_matcher(filter, now)(customer)


def compile_matcher(
    filter: Filter, now: int | None = None, *, search_key: SearchKey | None = None
) -> Matcher:
    """A function that tells whether a customer matches; relative dates are fixed at `now`.

    A caller that keeps `tinycrm_core.text.search_key` of its customers can pass how to get it.
    """
    moment = times.now() if now is None else now
    return _Compiler(moment, search_key or _search_key).filter(normalise(filter))


def compile_membership(on: On, now: int | None = None) -> Callable[[Membership], bool]:
    """A function that tells whether a membership meets the conditions of a normalised `On`."""
    compiler = _Compiler(times.now() if now is None else now, _search_key)
    holds = _all([compiler.membership(each) for each in on.conditions])
    if on.project is None:
        return holds
    return lambda membership: membership.project == on.project and holds(membership)


def _search_key(customer: Customer) -> str:
    return text.search_key(customer.email, customer.aliases, customer.name)


class _Compiler:
    """Turns each node into a function; what can be decided once is decided here."""

    def __init__(self, now: int, search_key: SearchKey) -> None:
        self.now = now
        self.search_key = search_key

    def filter(self, filter: Filter) -> Matcher:
        match filter:
            case And(items):
                words = [item for item in items if _is_word(item)]
                others = [self.filter(item) for item in items if not _is_word(item)]
                return _all([*others, self.words(words)] if words else others)
            case Or(items):
                return _any([self.filter(item) for item in items])
            case Not(item):
                holds = self.filter(item)
                return lambda customer: not holds(customer)
            case On(project, conditions):
                return _on(project, _all([self.membership(each) for each in conditions]))
        return self.words([filter]) if _is_word(filter) else self.customer(filter)

    def words(self, conditions: Iterable[Filter]) -> Matcher:
        """All words at once: the search key of a customer is the dear part."""
        resolved = [resolve(each, self.now) for each in conditions if isinstance(each, Condition)]
        parts = [test.text for test in resolved if isinstance(test, Contains)]
        search_key = self.search_key
        if len(parts) < len(resolved):
            return lambda customer: False
        if len(parts) == 1:
            part = parts[0]
            return lambda customer: part in search_key(customer)

        def holds(customer: Customer) -> bool:
            key = search_key(customer)
            return all(part in key for part in parts)

        return holds

    def customer(self, condition: Condition) -> Matcher:
        field, test = str(condition.field), resolve(condition, self.now)
        if field in _ATTRIBUTES:
            return predicates.on_time(attrgetter(_ATTRIBUTES[field]), test)
        if field == "projects":
            in_range = predicates.on_count(test)
            return lambda customer: in_range(len(customer.memberships))
        holds, fold = predicates.on_text(test), text.fold
        if field == "email":
            return lambda customer: holds(fold(customer.email))
        return lambda customer: holds(None if customer.name is None else fold(customer.name))

    def membership(self, condition: Condition) -> Callable[[Membership], bool]:
        field, test = condition.field, resolve(condition, self.now)
        if isinstance(field, Param):
            return predicates.on_param(field.path, test)
        if field in _ATTRIBUTES:
            return predicates.on_time(attrgetter(_ATTRIBUTES[field]), test)
        return predicates.on_name(attrgetter(field), test)


def _is_word(filter: Filter) -> bool:
    return isinstance(filter, Condition) and filter.field == "words"


def _all(holding: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    if not holding:
        return lambda value: True
    if len(holding) == 1:
        return holding[0]
    if len(holding) == 2:
        first, second = holding
        return lambda value: first(value) and second(value)

    def holds(value: object) -> bool:
        for each in holding:  # noqa: SIM110 - all() with a generator takes twice the time
            if not each(value):
                return False
        return True

    return holds


def _any(holding: Sequence[Matcher]) -> Matcher:
    def holds(customer: Customer) -> bool:
        for each in holding:  # noqa: SIM110 - as above
            if each(customer):
                return True
        return False

    return holds


def _on(project: str | None, holds: Callable[[Membership], bool]) -> Matcher:
    def on_any(customer: Customer) -> bool:
        for membership in customer.memberships:  # noqa: SIM110 - as above
            if holds(membership):
                return True
        return False

    def on_one(customer: Customer) -> bool:
        for membership in customer.memberships:
            if membership.project == project:
                return holds(membership)
        return False

    return on_any if project is None else on_one
