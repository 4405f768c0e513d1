"""Who is on several products at once: a matrix of products, and questions to open as lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import EVERYBODY, And, Condition, Filter, Not, On
from tinycrm_core.store import Combinations
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.notes import KEYS
from tinycrm_integrations.web.pages.gone import gone
from tinycrm_integrations.web.pages.overlap_questions import asks, read_ask
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import View, Visit

SECONDS = 2.0
"""Time for the numbers of the page; those whose turn does not come are left out."""
PATIENT_SECONDS = 30.0
"""The same for somebody who asked to count anyway."""

MAX_PRODUCTS = 12
"""Products in the matrix: those with most people."""

SENSES = (
    ("", "On both", "on"),
    ("status:paid", "Paid on both", "paid on"),
    ("active>-30d", "Active on both in 30 days", "active in the last 30 days on"),
)
"""What being shared can mean: a filter on one membership, its label, and the words for it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the matrix with the list behind it; `weight` tells `few` and `many`."""

    people: int
    link: str | None
    about: str
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A product: one cell for each column, and those who are only here."""

    slug: str
    cells: list[Cell]
    only: Cell


def overlap(visit: Visit) -> View:
    """The page; its query pairs are the filter that memberships have to meet to count."""
    query, limit = visit.request.query, _limit(visit)
    pairs = [pair for pair in query if pair[0] not in KEYS | {"count"}]
    try:
        filter = filters.from_pairs(pairs, projects=visit.slugs)
        if filter != EVERYBODY and not (isinstance(filter, On) and filter.project is None):
            raise InvalidFilter(
                "filter: here it says when being on a product counts, on any of them"
            )
        found = limit.ask(lambda: visit.crm.customers.combinations(filter))
    except InvalidFilter as error:
        return _unreadable(visit, error)
    counts = found or []
    ranked = _ranked(counts, visit.slugs)
    shown = [slug for slug in visit.slugs if slug in ranked[:MAX_PRODUCTS]]
    everyone = limit.ask(visit.crm.customers.count)
    context = {
        "title": "Overlap",
        "counted": found is not None,
        "shared": sum(people for slugs, people in counts if len(slugs) > 1),
        "everyone": everyone,
        "senses": [
            (label, _address(visit.links, filters.to_pairs(asked)), asked == filter)
            for text, label, _ in SENSES
            for asked in (filters.parse(text),)
        ],
        "words": _words(filter),
        "shown": shown,
        "rows": _rows(counts, shown, filter, visit.links),
        "again": _address(visit.links, [*pairs, ("count", "all")]),
        "patient": _patient(visit),
    }
    return View("overlap.html", context)


def questions(visit: Visit) -> View:
    """The questions worth asking, which the page of the matrix loads when it is there."""
    found = asks(visit, _limit(visit))
    return View("overlap_questions.html", {"title": "Questions worth asking", "asks": found})


def _patient(visit: Visit) -> bool:
    return ("count", "all") in visit.request.query


def _limit(visit: Visit) -> TimeLimit:
    return TimeLimit(PATIENT_SECONDS if _patient(visit) else SECONDS)


def _address(links: Links, pairs: Sequence[tuple[str, str]]) -> str:
    """The page itself with these query pairs."""
    return links.customers(pairs).replace(links.to("/"), links.to("/overlap"), 1)


def _words(filter: Filter) -> str:
    for text, _, words in SENSES:
        if filters.parse(text) == filter:
            return words
    return f"matched by {filters.format(filter)} on"


def _ranked(counts: Combinations, slugs: Sequence[str]) -> list[str]:
    """The products, most people first."""
    people = {slug: sum(n for combined, n in counts if slug in combined) for slug in slugs}
    return sorted(slugs, key=lambda slug: -people[slug])


# The matrix


def _rows(counts: Combinations, shown: Sequence[str], filter: Filter, links: Links) -> list[Row]:
    together = {
        (one, other): sum(n for slugs, n in counts if one in slugs and other in slugs)
        for one in shown
        for other in shown
    }
    largest = max((n for (one, other), n in together.items() if one != other), default=0)
    conditions = filter.conditions if isinstance(filter, On) else ()

    def cell(one: str, other: str) -> Cell:
        number = together[one, other]
        items = [On(slug, conditions) for slug in dict.fromkeys((one, other))]
        link = links.filtered(And(tuple(items)))
        if one == other:
            return Cell(number, link, f"on {one}", "self")
        many, few = number * 2 >= largest > 0, number * 7 < largest
        return Cell(number, link, f"on {one} and {other}", "many" if many else "few" * few)

    return [
        Row(slug, [cell(slug, each) for each in shown], _only(counts, slug, conditions, links))
        for slug in shown
    ]


def _only(counts: Combinations, slug: str, conditions: tuple[Condition, ...], links: Links) -> Cell:
    number = sum(n for slugs, n in counts if slugs == {slug})
    if conditions:
        elsewhere = On(None, (Condition("project", "not", slug), *conditions))
        alone: Filter = And((On(slug, conditions), Not(elsewhere)))
    else:
        alone = And((On(slug), Condition("projects", "eq", 1)))
    return Cell(number, links.filtered(alone), f"only on {slug}")


# Answers that are no matrix


def _unreadable(visit: Visit, error: InvalidFilter) -> View:
    return gone(
        "That overlap cannot be counted",
        error.message[:1].upper() + error.message[1:] + ("" if error.message[-1:] in ".?" else "."),
        [("Overlap of all products", visit.links.to("/overlap"))],
        422,
    )


def ask(visit: Visit) -> View | Response:
    """The list of customers that one of the sentences asks for."""
    filter = read_ask(dict(visit.request.query), visit.slugs)
    link = None if filter is None else visit.links.filtered(filter)
    if link is None:
        return gone(
            "That question cannot be asked",
            "One of the products in it is not there any more, or the address was changed.",
            [("Overlap of all products", visit.links.to("/overlap"))],
            422,
        )
    return redirect(link)


ROUTES = (
    Route("GET", "/overlap", overlap),
    Route("GET", "/overlap/questions", questions),
    Route("GET", "/overlap/ask", ask),
)
