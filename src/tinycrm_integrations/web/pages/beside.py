"""Numbers beside the table, each with a time of its own: the whole count, facets, sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Condition, Filter, On, Param, Word
from tinycrm_core.model import Json, Status
from tinycrm_core.params import path_parts
from tinycrm_core.state import ParamKeyState
from tinycrm_core.store import Tally
from tinycrm_integrations.web.frame import named_products
from tinycrm_integrations.web.links import shown
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.pages.columns import is_numeric, spelled, tells_apart
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import View, Visit

COUNT_SECONDS = 2.0
FACET_SECONDS = 0.2
LONG_SECONDS = 5.0
"""Time for what was asked for by hand, with `by=`, `of=` or `long=1`."""

MAX_VALUES = 6
MAX_FACETS = 2
MAX_SUMS = 4


@dataclass(frozen=True, slots=True)
class Facet:
    """What the people who match have in common: value, number, and the narrower question.

    `found` is None where counting took longer than it may; `anyway` is the link that takes longer.
    """

    by: str
    label: str
    found: list[tuple[str, int, str | None, bool]] | None
    anyway: str


def count(visit: Visit) -> View:
    """How many match, exactly."""
    asked = Asked.read(pair for pair in visit.request.query if pair[0] != "long")
    filter = asked.filter(visit)
    seconds = LONG_SECONDS if _is_long(visit) else COUNT_SECONDS
    context = {
        **_about(asked, filter),
        "people": TimeLimit(seconds).ask(lambda: visit.crm.customers.count(filter)),
        "seconds": seconds,
        "anyway": visit.links.asking("/count", [*asked.pairs, ("long", "1")]),
    }
    return View("count.html", context, filter=filter)


def narrow(visit: Visit) -> View:
    """The facets; with `by`, that one alone."""
    asked = Asked.read(visit.request.query)
    filter = asked.filter(visit)
    by = dict(visit.request.query).get("by")
    seen = visit.crm.projects.params()
    wanted = [by] if by else ["project", "status", *_texts(seen)]
    seconds = LONG_SECONDS if by else FACET_SECONDS
    numbers = [] if by else list(_numbers([state for _, state in seen]))
    context = {
        **_about(asked, filter),
        "facets": [_facet(visit, asked, filter, each, seconds) for each in wanted],
        "sums": [
            (name, visit.links.asking("/sum", [*asked.query(), ("of", f"p.{name}")]))
            for name in numbers[:MAX_SUMS]
        ],
        "milliseconds": int(seconds * 1000),
    }
    return View("narrow.html", context, filter=filter)


def add_up(visit: Visit) -> View:
    """Sum and average of a numeric param over the people who match."""
    asked = Asked.read(visit.request.query)
    filter = asked.filter(visit)
    of = dict(visit.request.query).get("of", "")
    if not of.startswith("p."):
        raise InvalidFilter("of: expected a param such as p.mrr", field="of")
    total = TimeLimit(LONG_SECONDS).ask(lambda: visit.crm.customers.aggregate(of, filter))
    context = {**_about(asked, filter), "of": of[2:], "total": total, "seconds": LONG_SECONDS}
    return View("sum.html", context, filter=filter)


def _about(asked: Asked, filter: Filter) -> dict[str, object]:
    return {
        "asked": asked,
        "parts": filters.describe_parts(filter),
        "title": filters.describe(filter),
    }


def _is_long(visit: Visit) -> bool:
    return ("long", "1") in visit.request.query


def _facet(visit: Visit, asked: Asked, filter: Filter, by: str, seconds: float) -> Facet:
    """Statuses are those on the product that the question names, if it names one."""
    named = named_products(filter)
    product = next(iter(named)) if by == "status" and len(named) == 1 else None
    label = {"project": "Also on", "status": f"Status on {product or 'any product'}"}.get(by, by)
    anyway = visit.links.asking("/narrow", [*asked.query(), ("by", by)])
    people = visit.crm.customers
    tally = TimeLimit(seconds).ask(lambda: people.tally(filter, by, project=product))
    if tally is None:
        return Facet(by, label, None, anyway)
    if by in ("project", "status"):
        # In the order that products and statuses have everywhere.
        order = visit.slugs if by == "project" else [each.value for each in Status]
        tally.sort(key=lambda each: order.index(str(each[0])))
    kept = tally if by == "project" else tally[:MAX_VALUES]
    rows = list(_rows(visit, asked, filter, by, product, kept))
    return Facet(by, label, rows, anyway)


def _rows(
    visit: Visit, asked: Asked, filter: Filter, by: str, product: str | None, tally: Tally
) -> Iterator[tuple[str, int, str | None, bool]]:
    for value, number in tally:
        narrower = And((filter, _condition(by, product, value)))
        try:
            question = filters.normalise(narrower)
            link = visit.links.customers(asked.of(question).query())
        except InvalidFilter:
            yield shown(value), number, None, False
            continue
        yield shown(value), number, link, question == filter


def _condition(by: str, product: str | None, value: Json) -> On:
    if by == "project":
        return On(str(value))
    if by == "status":
        return On(product, (Condition("status", "eq", Word(str(value))),))
    tree = filters.parse(f"{by}:*")
    field = tree.conditions[0].field if isinstance(tree, On) else Param((by,))
    wanted = value if isinstance(value, str) else Word(shown(value))
    return On(None, (Condition(field, "eq", wanted),))


def _texts(seen: Sequence[tuple[str, ParamKeyState]]) -> list[str]:
    """The keys that divide people into groups, those that most people have first."""
    counts: dict[str, int] = {}
    for _, state in seen:
        path = path_parts(state.path)
        name = spelled(path)
        texts = state.kinds.get("text", 0) - state.kinds.get("date", 0)
        if name is not None and texts * 2 > state.count and not tells_apart(path, state):
            counts[f"p.{name}"] = counts.get(f"p.{name}", 0) + state.count
    return sorted(counts, key=lambda key: -counts[key])[:MAX_FACETS]


def _numbers(states: Sequence[ParamKeyState]) -> Iterator[str]:
    """The keys whose values can be added up."""
    for path in dict.fromkeys(path_parts(each.path) for each in states):
        name = spelled(path)
        ids = any(tells_apart(path, each) for each in states if path_parts(each.path) == path)
        if name is not None and not ids and is_numeric(path, states):
            yield name


ROUTES = (
    Route("GET", "/count", count),
    Route("GET", "/narrow", narrow),
    Route("GET", "/sum", add_up),
)
