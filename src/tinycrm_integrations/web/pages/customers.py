"""The customers page: all its state is in the query pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Filter
from tinycrm_core.model import Customer
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.notes import KEYS as NOTE_KEYS
from tinycrm_integrations.web.pages.broken import broken
from tinycrm_integrations.web.pages.columns import Column, param_columns
from tinycrm_integrations.web.pages.segments import tabs
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

LIMIT = 50
CAP = 10_000
"""People are counted up to here on the way to a page."""

MAX_BACK = 20
"""Pages whose start a link remembers, so that addresses stay short."""

MAX_BADGES = 5
SORT = "-seen"
SORTED_BY = {
    "seen": "most recently active first",
    "created": "newest first",
    "projects": "most products first",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The query pairs of the page, told apart."""

    pairs: tuple[tuple[str, str], ...]
    sort: str = SORT
    after: str | None = None
    back: tuple[str, ...] = ()

    @classmethod
    def read(cls, pairs: Sequence[tuple[str, str]]) -> Asked:
        """Raises InvalidFilter when something that can be said once is said twice."""
        own: dict[str, str] = {}
        rest, back = [], []
        for key, value in pairs:
            if key in NOTE_KEYS:
                continue
            if key == "back":
                back.append(value)
            elif key in ("sort", "after"):
                if key in own:
                    raise InvalidFilter(f"{key} was given twice", field=key)
                own[key] = value
            elif (key, value.strip()) != ("q", ""):
                rest.append((key, value))
        return cls(tuple(rest), own.get("sort") or SORT, own.get("after"), tuple(back[-MAX_BACK:]))

    def query(self, **others: str | None) -> list[tuple[str, str]]:
        """The pairs of the same question with other ways to page or sort."""
        pairs = list(self.pairs)
        sort = others.pop("sort", self.sort)
        if sort and sort != SORT:
            pairs.append(("sort", sort))
        return pairs + [(key, value) for key, value in others.items() if value]


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition, and the page without it."""

    text: str
    without: str


def customers(visit: Visit) -> View:
    """The page that a query string asks for; a question that is wrong gets the broken view."""
    crm, links, pairs = visit.crm, visit.links, visit.request.query
    asked = Asked(pairs)
    try:
        asked = Asked.read(pairs)
        filter = filters.from_pairs(asked.pairs, projects=visit.slugs)
        page = crm.customers.find(filter, sort=asked.sort, limit=LIMIT, after=asked.after)
        count = crm.customers.count(filter, cap=CAP + 1)
    except InvalidFilter as error:
        return broken(visit, error, asked.pairs)
    columns = param_columns((key for _, key in crm.projects.params()), filter, asked.sort)
    context = {
        "tabs": list(tabs(visit, filter)),
        "text": _text(asked, filter),
        "kept": [("sort", asked.sort)] if asked.sort != SORT else [],
        "chips": _chips(filter, asked, links),
        "parts": filters.describe_parts(filter),
        "title": filters.describe(filter),
        "customers": page.customers,
        "badges": _badges(links),
        "counted": f"more than {CAP:,}" if count > CAP else f"{count:,}",
        "single": count == 1,
        "columns": columns,
        "sorting": _sorting(asked, columns, links),
        "sorted_by": SORTED_BY.get(asked.sort.lstrip("-"), f"sorted by {asked.sort}"),
        "next": _next(asked, page.next, links),
        "previous": _previous(asked, links),
        "first": links.customers(asked.query()) if asked.after else None,
        "everybody": filter == filters.EVERYBODY,
    }
    return View("customers.html", context, filter=filter)


def _text(asked: Asked, filter: Filter) -> str:
    if len(asked.pairs) == 1 and asked.pairs[0][0] == "q":
        return asked.pairs[0][1]
    return filters.format(filter)


def _chips(filter: Filter, asked: Asked, links: Links) -> list[Chip]:
    """One for each part of the very filter that ran, with what it asks of one membership whole."""
    items = filter.items if isinstance(filter, And) else (filter,)
    chips = []
    for index, item in enumerate(items):
        rest = filters.to_pairs(And((*items[:index], *items[index + 1 :])))
        without = links.customers(Asked(tuple(rest), asked.sort).query())
        chips.append(Chip(filters.format(item), without))
    return chips


def _badges(links: Links) -> Callable[[Customer], tuple[list[tuple[str, str, str]], int]]:
    """A function that gives the badges of a person, with their links, and how many are left."""
    known: dict[tuple[str, str], str] = {}

    def badges(customer: Customer) -> tuple[list[tuple[str, str, str]], int]:
        shown = []
        for each in customer.memberships[:MAX_BADGES]:
            pair = each.project, str(each.status)
            if pair not in known:
                known[pair] = links.status(*pair)
            shown.append((*pair, known[pair]))
        return shown, len(customer.memberships) - len(shown)

    return badges


def _sorting(
    asked: Asked, columns: Sequence[Column], links: Links
) -> dict[str, tuple[str, str | None]]:
    """For each column that sorts: the page sorted by it, and how it is sorted now."""
    current, descending = asked.sort.lstrip("-"), asked.sort.startswith("-")
    wanted = {"name": "name", "seen": "-seen"} | {each.sort[1:]: each.sort for each in columns}
    heads = {}
    for name, first in wanted.items():
        is_current = name == current
        turned = name if descending else f"-{name}"
        link = links.customers(asked.query(sort=turned if is_current else first))
        state = ("descending" if descending else "ascending") if is_current else None
        heads[name] = link, state
    return heads


def _next(asked: Asked, cursor: str | None, links: Links) -> str | None:
    if cursor is None:
        return None
    back = [*asked.back, asked.after or ""][-MAX_BACK:]
    return links.customers([*asked.query(after=cursor), *(("back", each) for each in back)])


def _previous(asked: Asked, links: Links) -> str | None:
    if asked.after is None:
        return None
    back = list(asked.back) or [""]
    after = back.pop()
    return links.customers([*asked.query(after=after), *(("back", each) for each in back)])


ROUTES = (Route("GET", "/", customers),)
