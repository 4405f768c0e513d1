"""The customers page: all its state is in the query pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Filter, On
from tinycrm_core.model import Customer
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.pages.asked import MAX_BACK, Asked
from tinycrm_integrations.web.pages.broken import broken
from tinycrm_integrations.web.pages.columns import USUAL, Column, chosen, param_columns
from tinycrm_integrations.web.pages.segments import tabs
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import View, Visit

LIMIT = 50
CAP = 10_000
"""People are counted up to here on the way to a page."""

COUNT_SECONDS = 0.2
"""Time for that; then the page goes without."""

MAX_TRIED = 6
"""Conditions of a question without answer that are left out in turn, to say which one is it."""

MAX_BADGES = 5
SORTED_BY = {
    "seen": "most recently active first",
    "created": "newest first",
    "projects": "most products first",
}
FIRST = {"name": "name", "projects": "-projects", "seen": "-seen", "created": "-created"}
"""By column: the order its head asks for first."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition, the product it is about, and the question without it."""

    text: str
    project: str | None
    rest: Filter
    without: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many match; `people` is None where counting took too long, and at most CAP + 1."""

    people: int | None

    @property
    def is_whole(self) -> bool:
        """Whether it is the number itself."""
        return self.people is not None and self.people <= CAP

    def __str__(self) -> str:
        if self.people is None:
            return "more"
        return f"{self.people:,}" if self.is_whole else f"more than {CAP:,}"


def customers(visit: Visit) -> View:
    """The page that a query string asks for; a question that is wrong gets the broken view."""
    crm, links = visit.crm, visit.links
    asked = Asked(visit.request.query)
    try:
        asked = Asked.read(visit.request.query)
        filter = asked.filter(visit)
        page = crm.customers.find(filter, sort=asked.sort, limit=LIMIT, after=asked.after)
        seen = [key for _, key in crm.projects.params()]
        fixed, columns = (
            (list(USUAL), param_columns(seen, filter, asked.sort))
            if asked.cols is None
            else chosen(asked.cols, seen, visit.slugs)
        )
    except InvalidFilter as error:
        return broken(visit, error, asked.pairs)
    is_all = page.next is None and asked.after is None
    count = Counted(
        len(page)
        if is_all
        else TimeLimit(COUNT_SECONDS).ask(lambda: crm.customers.count(filter, cap=CAP + 1))
    )
    chips = _chips(filter, asked, links)
    context = {
        "asked": asked,
        "tabs": list(tabs(visit, filter)),
        "text": _text(asked, filter),
        "kept": asked.look(),
        "chips": chips,
        "parts": filters.describe_parts(filter),
        "title": filters.describe(filter),
        "customers": page.customers,
        "badges": _badges(links),
        "count": count,
        "fixed": fixed,
        "columns": columns,
        "sorting": _sorting(asked, fixed, columns, links),
        "sorted_by": SORTED_BY.get(asked.sort.lstrip("-"), f"sorted by {asked.sort}"),
        "next": _next(asked, page.next, links),
        "previous": _previous(asked, links),
        "first": links.customers(asked.query()) if asked.after else None,
        "everybody": filter == filters.EVERYBODY,
        "smaller": [] if page.customers else _smaller(visit, chips),
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
        rest = And((*items[:index], *items[index + 1 :]))
        product = item.project if isinstance(item, On) else None
        without = links.customers(asked.of(rest).query())
        chips.append(Chip(filters.format(item), product, rest, without))
    return chips


def _smaller(visit: Visit, chips: Sequence[Chip]) -> list[tuple[Chip, int]]:
    """What finds somebody when one condition goes, the fewest people first."""
    if not 1 < len(chips) <= MAX_TRIED:
        return []
    limit, people = TimeLimit(COUNT_SECONDS), visit.crm.customers
    questions = [(chip, partial(people.count, chip.rest, cap=CAP + 1)) for chip in chips]
    tried = [(chip, limit.ask(question) or 0) for chip, question in questions]
    return sorted((each for each in tried if each[1]), key=lambda each: each[1])


def _badges(links: Links) -> Callable[[Customer], tuple[list[tuple[str, str, str]], int]]:
    """A function that gives the badges of a person, with their links, and how many are left."""
    known: dict[tuple[str, str], str] = {}

    def badges(customer: Customer) -> tuple[list[tuple[str, str, str]], int]:
        shown = []
        for each in customer.memberships[:MAX_BADGES]:
            pair = each.project, str(each.status)
            if pair not in known:
                known[pair] = links.below(links.status(*pair))
            shown.append((*pair, known[pair]))
        return shown, len(customer.memberships) - len(shown)

    return badges


def _sorting(
    asked: Asked, fixed: Sequence[str], columns: Sequence[Column], links: Links
) -> dict[str, tuple[str, str | None]]:
    """For each column that sorts: the page sorted by it, and how it is sorted now."""
    current, descending = asked.sort.lstrip("-"), asked.sort.startswith("-")
    names = ["name", *("projects" if each == "products" else each for each in fixed)]
    wanted = {name: FIRST[name] for name in names} | {each.key: f"-{each.key}" for each in columns}
    heads = {}
    for name, first in wanted.items():
        is_current = name == current
        turned = name if descending else f"-{name}"
        link = links.customers(asked.sorted_by(turned if is_current else first).query())
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
    place = {"after": after} if after else {}
    return links.customers([*asked.query(**place), *(("back", each) for each in back)])


ROUTES = (Route("GET", "/", customers),)
