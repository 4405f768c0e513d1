"""Which params get a column, and what stands in its cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Condition, Filter, Not, On, Or, Param, format
from tinycrm_core.model import Customer, Json
from tinycrm_core.params import path_parts
from tinycrm_core.state import ParamKeyState

MAX_COLUMNS = 3
MANY = 10
"""Different texts among the samples that make a key one that names people, not groups."""


@dataclass(frozen=True, slots=True)
class Column:
    """A params key as a column. `name` is as the filter language writes it, after `p.`."""

    path: tuple[str, ...]
    name: str
    numeric: bool

    @property
    def sort(self) -> str:
        """The order its head asks for first: largest on top."""
        return f"-p.{self.name}"

    def values(self, customer: Customer) -> list[Json]:
        """The different values of one person, in the order of the products."""
        found: list[Json] = []
        for membership in customer.memberships:
            value: Json = membership.params
            for key in self.path:
                if not isinstance(value, dict) or key not in value:
                    break
                value = value[key]
            else:
                if not any(type(value) is type(each) and value == each for each in found):
                    found.append(value)
        return found


def param_columns(seen: Iterable[ParamKeyState], filter: Filter, sort: str) -> list[Column]:
    """Keys that the question or the order names, then those of most products and most people.

    Ids and texts that are different for everybody come only when they are named.
    """
    numbers: Counter[tuple[str, ...]] = Counter()
    readable: Counter[tuple[str, ...]] = Counter()
    products: Counter[tuple[str, ...]] = Counter()
    for each in seen:
        path = path_parts(each.path)
        numbers[path] += each.kinds.get("number", 0)
        count = each.kinds.get("text", 0) + each.kinds.get("number", 0)
        readable[path] += count
        if count and not _tells_apart(path, each):
            products[path] += 1
    common = sorted(products, key=lambda path: (-products[path], -readable[path]))
    columns = [
        Column(path, name, numbers[path] * 2 > readable[path])
        for path in dict.fromkeys((*_asked(filter), *common))
        if (name := spelled(path)) is not None
    ]
    wanted = sort.lstrip("-")
    columns.sort(key=lambda each: f"p.{each.name}" != wanted)
    # Numbers first, as narrow screens put them at the start of a line.
    return sorted(columns[:MAX_COLUMNS], key=lambda each: not each.numeric)


def _tells_apart(path: tuple[str, ...], seen: ParamKeyState) -> bool:
    if re.search(r"(?:^|_)id$", path[-1]):
        return True
    texts = {each for each in seen.samples if isinstance(each, str)}
    return len(texts) >= MANY


def _asked(filter: Filter) -> Iterator[tuple[str, ...]]:
    match filter:
        case And(items) | Or(items):
            for item in items:
                yield from _asked(item)
        case Not(item):
            yield from _asked(item)
        case On(_, conditions):
            for condition in conditions:
                if isinstance(condition.field, Param):
                    yield condition.field.path


def spelled(path: tuple[str, ...]) -> str | None:
    """The key as the filter language writes it, without `p.`; None if it cannot."""
    try:
        text = format(On(None, (Condition(Param(path), "exists"),)))
    except InvalidFilter:
        return None
    found = re.fullmatch(r"p\.(.*):\*", text, re.DOTALL)
    return found[1] if found else None
