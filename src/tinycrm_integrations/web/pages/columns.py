"""Which params get a column, and what stands in its cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Condition, Filter, Not, On, Or, Param, format
from tinycrm_core.model import Customer, Json
from tinycrm_core.params import path_parts
from tinycrm_core.query_text import read_sort
from tinycrm_core.state import ParamKeyState

MAX_COLUMNS = 2
"""Params that get a column without being chosen."""

FIXED = ("products", "seen", "created")
"""Columns that every person has, in their order."""

USUAL = ("products", "seen")
MANY = 10
"""Different texts among the samples that make a key one that names people, not groups."""


@dataclass(frozen=True, slots=True)
class Column:
    """A params key as a column, of one product or of all.

    `name` is as the filter language writes it, after `p.`.
    """

    path: tuple[str, ...]
    name: str
    numeric: bool
    project: str | None = None

    @property
    def key(self) -> str:
        """How the address names it."""
        return f"p.{self.name}" + (f"@{self.project}" if self.project else "")

    def values(self, customer: Customer) -> list[Json]:
        """The different values of one person, in the order of the products."""
        found: list[Json] = []
        for membership in customer.memberships:
            if self.project not in (None, membership.project):
                continue
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
    readable: Counter[tuple[str, ...]] = Counter()
    products: Counter[tuple[str, ...]] = Counter()
    seen = list(seen)
    for each in seen:
        path = path_parts(each.path)
        count = each.kinds.get("text", 0) + each.kinds.get("number", 0)
        readable[path] += count
        if count and not tells_apart(path, each):
            products[path] += 1
    common = sorted(products, key=lambda path: (-products[path], -readable[path]))
    columns = [
        Column(path, name, is_numeric(path, seen))
        for path in dict.fromkeys((*_asked(filter), *common))
        if (name := spelled(path)) is not None
    ]
    wanted = sort.lstrip("-").partition("@")[0]
    columns.sort(key=lambda each: each.key != wanted)
    # Numbers first, as narrow screens put them at the start of a line.
    return sorted(columns[:MAX_COLUMNS], key=lambda each: not each.numeric)


def chosen(
    cols: Sequence[str], seen: Sequence[ParamKeyState], projects: Sequence[str]
) -> tuple[list[str], list[Column]]:
    """The fixed columns and the params that an address asks for. Raises InvalidFilter."""
    fixed = [each for each in FIXED if each in cols]
    columns = []
    for each in cols:
        if each in FIXED:
            continue
        read = read_sort(each, projects) if each.startswith("p.") else None
        if read is None or not isinstance(read.field, Param):
            raise InvalidFilter(
                f"cols: there is no column {ascii(each)[:80]}",
                field="cols",
                choices=(*FIXED, "p.<key>", "p.<key>@<product>"),
            )
        path = read.field.path
        name = spelled(path) or path[-1]
        columns.append(Column(path, name, is_numeric(path, seen), read.project))
    return fixed, columns


def is_numeric(path: tuple[str, ...], seen: Iterable[ParamKeyState]) -> bool:
    """Whether most of the values with this key are numbers."""
    numbers = readable = 0
    for each in seen:
        if path_parts(each.path) == path:
            numbers += each.kinds.get("number", 0)
            readable += each.kinds.get("text", 0) + each.kinds.get("number", 0)
    return numbers * 2 > readable


def tells_apart(path: tuple[str, ...], seen: ParamKeyState) -> bool:
    """Whether a key names people, as ids do, and not groups of them."""
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
