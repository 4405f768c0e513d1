"""What the address of the customers page says, told apart; its exports and counts read it too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import Filter
from tinycrm_integrations.web.notes import KEYS as NOTE_KEYS
from tinycrm_integrations.web.visit import Visit

Pairs = tuple[tuple[str, str], ...]

SORT = "-seen"
MAX_BACK = 20
"""Pages whose start a link remembers, so that addresses stay short."""

MAX_COLUMNS = 12
_ONCE = ("sort", "after", "all")
OTHERS = frozenset({*NOTE_KEYS, "on", "what", "how", "value", "to", "of", "by", "layout", "query"})
"""Keys of the pages around the table, which are no part of the question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`pairs` are the question; the rest is how the answer is shown.

    `cols` are the columns chosen, None for our own choice. `all` is "1" where the actions are
    meant for everybody who matches. `after` is a cursor, `back` those of the pages before.
    """

    pairs: Pairs = ()
    sort: str = SORT
    cols: tuple[str, ...] | None = None
    all: str = ""
    after: str | None = None
    back: tuple[str, ...] = ()

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> Asked:
        """Raises InvalidFilter when something that can be said once is said twice."""
        own: dict[str, str] = {}
        rest, back, cols = [], [], []
        for key, value in pairs:
            if key in OTHERS or (key, value.strip()) == ("q", ""):
                continue
            if key == "back":
                back.append(value)
            elif key == "cols":
                cols.append(value)
            elif key in _ONCE:
                if key in own:
                    raise InvalidFilter(f"{key} was given twice", field=key)
                own[key] = value
            else:
                rest.append((key, value))
        return cls(
            tuple(rest),
            own.get("sort") or SORT,
            tuple(dict.fromkeys(filter(None, cols)))[:MAX_COLUMNS] if cols else None,
            own.get("all", ""),
            own.get("after") or None,
            tuple(back[-MAX_BACK:]),
        )

    @classmethod
    def parse(cls, query: str) -> Asked:
        """The same from a query string, as a hidden field of a form keeps it."""
        return cls.read(parse_qsl(query, keep_blank_values=True))

    def filter(self, visit: Visit) -> Filter:
        """The question. Raises InvalidFilter."""
        return filters.from_pairs(self.pairs, projects=visit.slugs)

    def of(self, filter: Filter) -> Asked:
        """Another question shown the same way, from its first page. Raises InvalidFilter."""
        return Asked(tuple(filters.to_pairs(filter)), self.sort, self.cols)

    def sorted_by(self, sort: str) -> Asked:
        """The same question in another order, from its first page."""
        return replace(self, sort=sort, all="", after=None, back=())

    def look(self) -> list[tuple[str, str]]:
        """The pairs that say how the answer is shown."""
        pairs = [("sort", self.sort)] if self.sort != SORT else []
        if self.cols is not None:
            # An empty one stands for «none but the customer».
            pairs += [("cols", each) for each in self.cols or ("",)]
        return pairs

    def query(self, **others: str) -> list[tuple[str, str]]:
        """The pairs of an address with the same question, shown the same way, at its first page."""
        return [*self.pairs, *self.look(), *others.items()]

    def encoded(self) -> str:
        """`query()` as the text of a hidden field."""
        return urlencode(self.query())
