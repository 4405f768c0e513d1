"""Questions answered in plain Python: the memory backend, and the yardstick for the others."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import fsum
from operator import attrgetter
from typing import Any, Literal, TypeAlias, cast
from uuid import UUID

from tinycrm_core.filters import EVERYBODY, Filter, On, Param, compile_matcher, compile_membership
from tinycrm_core.model import ABSENT, Customer, Json, Membership
from tinycrm_core.params import value_under
from tinycrm_core.query import SORT_TEXT, After, KeyValue, Query, Sort
from tinycrm_core.state import CustomerState
from tinycrm_core.store import Combinations, Tally, Totals
from tinycrm_core.text import fold, search_key
from tinycrm_core.times import from_micros, to_micros
from tinycrm_core.views import customer_view

Slugs: TypeAlias = Mapping[int, str]
Kind: TypeAlias = Literal["n", "t", ""]
Ranked: TypeAlias = tuple[Any, int, Customer]
"""Where somebody stands in an order: by the value, then by the id."""
Groups: TypeAlias = dict[Kind, list[Ranked]]
_KINDS: tuple[Kind, ...] = ("n", "t", "")
_MOST_MOVED = 1000
_GLANCE = 2000
"""People looked at in order; where few of them match, all are quicker in no order."""
_PERSON_TIMES: Mapping[str, Callable[[Customer], Any]] = {
    "seen": attrgetter("last_seen_at"),
    "created": attrgetter("created_at"),
}


@dataclass(slots=True)
class _Order:
    """Everybody in one order, each group ascending; `moved` are to be placed anew."""

    sort: Sort
    groups: Groups
    moved: set[UUID] = field(default_factory=set)


@dataclass(slots=True)
class Questions:
    """All people of an account as filters read them, made once and kept until they change.

    So is the order of the last page that was not a first one, or that was asked for twice before
    anything changed: whoever reads all pages has each person looked at once, not once for each
    page, and who filters again has nobody looked at behind the last hit.
    """

    _people: Mapping[UUID, CustomerState]
    _views: dict[UUID, Customer] = field(default_factory=dict)
    _slugs: Slugs = field(default_factory=dict)
    _search_keys: dict[int, str] = field(default_factory=dict)
    _order: _Order | None = None
    _asked: Sort | None = None

    def changed(self, before: CustomerState | None, after: CustomerState | None) -> None:
        """Tell that a person is new, different or gone."""
        person = after or before
        self._asked = None
        view = self._views.pop(person.id, None) if person else None
        if view is not None:
            self._search_keys.pop(id(view), None)
        if person is not None and self._order is not None:
            self._order.moved.add(person.id)
            if len(self._order.moved) > _MOST_MOVED:
                self._order = None  # it would keep what is no longer true of them

    def find(self, query: Query, slugs: Slugs) -> tuple[list[CustomerState], After | None]:
        """One page, as `Transaction.find` promises."""
        wanted = query.limit + 1
        page: list[tuple[Kind, Ranked]] = []
        if query.after is not None:
            page = list(islice(self._walked(query, slugs), wanted))
        elif query.sort == self._asked:
            page = list(islice(self._walked(query, slugs, _GLANCE), wanted))
        if query.after is None and len(page) < wanted:
            self._asked = query.sort
            page = list(islice(self._first(query, slugs), wanted))
        after = None
        if len(page) > query.limit:
            kind, (key, _, customer) = page[query.limit - 1]
            key = to_micros(key) if kind and query.sort.field in _PERSON_TIMES else key
            after = After((kind, key) if kind else None, customer.id)
        return [self._people[each[2].id] for _, each in page[: query.limit]], after

    def _first(self, query: Query, slugs: Slugs) -> Iterator[tuple[Kind, Ranked]]:
        """The first of those who match; nobody else has to be put in order."""
        groups = _groups(self._matching(query.filter, query.now, slugs), query.sort)
        pick = heapq.nlargest if query.sort.descending else heapq.nsmallest
        for kind in _KINDS:
            for place in pick(query.limit + 1, groups[kind]):
                yield kind, place

    def _walked(
        self, query: Query, slugs: Slugs, most: int | None = None
    ) -> Iterator[tuple[Kind, Ranked]]:
        """Those who match, one after the other, from where a page ended, among so `most` people."""
        groups, after = self._ordered(query.sort, slugs), query.after
        holds = compile_matcher(query.filter, query.now, search_key=self._search_key)
        kind, value = (after and after.value) or ("", 0)
        is_time = kind and query.sort.field in _PERSON_TIMES
        for each in _KINDS if after is None else _KINDS[_KINDS.index(kind) :]:
            group = groups[each]
            start, end = 0, len(group)
            if after is not None and each == kind:
                last = (from_micros(cast(int, value)) if is_time else value, after.id.int)
                if query.sort.descending:
                    end = bisect_left(group, last, key=_key)
                else:
                    start = bisect_right(group, last, key=_key)
            numbers = range(end - 1, start - 1, -1) if query.sort.descending else range(start, end)
            for number in numbers[:most]:
                place = group[number]
                if holds(place[2]):
                    yield each, place
            if most is not None and len(numbers) > most:
                return

    def _ordered(self, sort: Sort, slugs: Slugs) -> Groups:
        """Everybody in this order."""
        everybody = self._all(slugs)
        order = self._order
        if order is None or order.sort != sort:
            groups = _groups(everybody, sort)
            order = self._order = _Order(sort, groups)
        elif order.moved:
            moved = (self._views[each] for each in order.moved if each in self._people)
            anew = _groups(moved, sort)
            for kind, group in order.groups.items():
                group[:] = [each for each in group if each[2].id not in order.moved] + anew[kind]
            order.moved.clear()
        else:
            return order.groups
        for group in order.groups.values():
            group.sort()
        return order.groups

    def count(self, filter: Filter, now: int, cap: int | None, slugs: Slugs) -> int:
        """How many match."""
        if filter == EVERYBODY:
            return len(self._people) if cap is None else min(cap, len(self._people))
        number = 0
        for _ in self._matching(filter, now, slugs):
            number += 1
            if number == cap:
                break
        return number

    def tally(
        self, filter: Filter, by: str | Param, project: str | None, now: int, slugs: Slugs
    ) -> Tally:
        """People by status, product or param value."""
        value_of = _tally_value(by)
        numbers: dict[tuple[bool, Json], int] = {}
        for customer in self._matching(filter, now, slugs):
            mine = {value_of(m) for m in _on(customer, project)}
            for key in mine:
                numbers[key] = numbers.get(key, 0) + 1
        numbers.pop((False, ABSENT), None)
        found = [(value, number) for (_, value), number in numbers.items()]
        return sorted(found, key=lambda each: (-each[1], str(each[0])))

    def aggregate(
        self, filter: Filter, param: Param, project: str | None, now: int, slugs: Slugs
    ) -> Totals:
        """Totals of a numeric param."""
        numbers = [
            value
            for customer in self._matching(filter, now, slugs)
            for membership in _on(customer, project)
            if type(value := param_value(membership, param)) in (int, float)
        ]
        if not numbers:
            return Totals(0, None, None, None, None)
        whole = all(type(number) is int for number in numbers)
        total = sum(numbers) if whole else fsum(numbers)
        return Totals(len(numbers), total, total / len(numbers), min(numbers), max(numbers))

    def combinations(self, on: On, now: int, slugs: Slugs) -> Combinations:
        """People by the products on which they meet the conditions."""
        holds = compile_membership(on, now)
        numbers = Counter(
            frozenset(m.project for m in customer.memberships if holds(m))
            for customer in self._all(slugs)
        )
        return [(products, number) for products, number in numbers.items() if products]

    def _matching(self, filter: Filter, now: int, slugs: Slugs) -> Iterable[Customer]:
        customers = self._all(slugs)
        if filter == EVERYBODY:
            return customers
        return _only(compile_matcher(filter, now, search_key=self._search_key), customers)

    def _search_key(self, customer: Customer) -> str:
        """What words are looked for in, made at the first search and kept like the views."""
        key = self._search_keys.get(id(customer))
        if key is None:
            key = search_key(customer.email, customer.aliases, customer.name)
            self._search_keys[id(customer)] = key
        return key

    def _all(self, slugs: Slugs) -> Iterable[Customer]:
        if slugs != self._slugs:
            self._views.clear()
            self._search_keys.clear()
            self._order = None
            self._slugs = dict(slugs)
        if len(self._views) < len(self._people):
            for customer_id, state in self._people.items():
                if customer_id not in self._views:
                    self._views[customer_id] = customer_view(state, slugs)
        return self._views.values()


def _only(holds: Callable[[Customer], bool], customers: Iterable[Customer]) -> Iterator[Customer]:
    return filter(holds, customers)


def _on(customer: Customer, project: str | None) -> Iterable[Membership]:
    if project is None:
        return customer.memberships
    return [m for m in customer.memberships if m.project == project]


def param_value(membership: Membership, param: Param) -> Json:
    """The value at the end of a path, or ABSENT."""
    return value_under(membership.params, param.path)


def _tally_value(by: str | Param) -> Callable[[Membership], tuple[bool, Json]]:
    """A hashable value; the flag keeps true and 1 apart."""
    if by == "status":
        return lambda membership: (False, str(membership.status))
    if by == "project":
        return lambda membership: (False, membership.project)

    def value_of(membership: Membership) -> tuple[bool, Json]:
        value = param_value(membership, by)  # type: ignore[arg-type]
        return (False, ABSENT) if isinstance(value, dict | list) else (type(value) is bool, value)

    return value_of


def sort_value(sort: Sort) -> Callable[[Customer], KeyValue]:
    """What a customer is ordered by."""
    field = sort.field
    if isinstance(field, Param):
        return lambda customer: _param_key(customer, field, sort)
    match field:
        case "email":
            return lambda customer: ("t", fold(customer.email))
        case "name":
            return lambda customer: ("t", fold(customer.name)) if customer.name else None
        case "created":
            return lambda customer: ("n", to_micros(customer.created_at))
        case "seen":
            return lambda customer: _time_key(customer.last_seen_at)
        case "projects":
            return lambda customer: ("n", len(customer.memberships))
    attribute = "joined_at" if field == "joined" else "last_active_at"

    def value_of(customer: Customer) -> KeyValue:
        times = [
            time
            for membership in _on(customer, sort.project)
            if (time := getattr(membership, attribute)) is not None
        ]
        return _time_key((max if sort.descending else min)(times)) if times else None

    return value_of


def _time_key(time: Any) -> KeyValue:
    return None if time is None else ("n", to_micros(time))


def _param_key(customer: Customer, param: Param, sort: Sort) -> KeyValue:
    values = [param_value(membership, param) for membership in _on(customer, sort.project)]
    best = max if sort.descending else min
    numbers = [value for value in values if type(value) in (int, float)]
    if numbers:
        return ("n", best(numbers))
    texts = [value[:SORT_TEXT] for value in values if type(value) is str]
    return ("t", best(texts)) if texts else None


def _groups(customers: Iterable[Customer], sort: Sort) -> Groups:
    time = _PERSON_TIMES.get(sort.field) if type(sort.field) is str else None
    return _by_time(customers, time) if time else _by_value(customers, sort)


def _by_value(customers: Iterable[Customer], sort: Sort) -> Groups:
    value_of = sort_value(sort)
    groups: Groups = {"n": [], "t": [], "": []}
    for customer in customers:
        kind, value = value_of(customer) or ("", 0)
        groups[kind].append((value, customer.id.int, customer))
    return groups


def _by_time(customers: Iterable[Customer], time: Callable[[Customer], Any]) -> Groups:
    """The same for datetimes of the person, which compare as quickly as numbers."""
    people = list(customers)
    timed = [(at, each.id.int, each) for each in people if (at := time(each)) is not None]
    rest = (each for each in people if time(each) is None) if len(timed) < len(people) else ()
    return {"n": timed, "t": [], "": [(0, each.id.int, each) for each in rest]}


def _key(place: Ranked) -> tuple[Any, int]:
    return place[:2]
