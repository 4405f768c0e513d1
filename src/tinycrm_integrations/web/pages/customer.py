"""The page of one person: products side by side, addresses, history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tinycrm_core.errors import NotFound
from tinycrm_core.filters import Condition, On, Word
from tinycrm_core.model import Change, Customer, Json, Membership, Status
from tinycrm_core.query import MAX_LIMIT
from tinycrm_core.state import MergeState
from tinycrm_core.times import from_micros
from tinycrm_integrations.web.http import Response
from tinycrm_integrations.web.links import Links, shown
from tinycrm_integrations.web.pages.columns import spelled
from tinycrm_integrations.web.pages.customer_history import history_of
from tinycrm_integrations.web.pages.gone import gone
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

_STANDING = (Status.PAID, Status.TRIAL, Status.FREE, Status.CHURNED)

MAX_NAMED = 4
"""Products of one status that the sentence names."""
MAX_TABS = 8
"""Links above the history; beyond, products are chosen from a list."""
MAX_FACTS = 20
"""Params of a product that are shown at once; the others unfold."""
MAX_DEPTH = 4
"""Keys inside keys that get a line of their own."""
LONGEST = 200
"""Characters of a value; the export has all of it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A param: its key as filters write it, its value as text, and everybody who has the same."""

    name: str
    text: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Alias:
    """Another address, with what made it one: `merged` or `until`, and when."""

    email: str
    how: str | None = None
    at: datetime | None = None


def find_person(visit: Visit, ident: str) -> Customer | None:
    """The person with this id, if it is one and there is somebody."""
    try:
        return visit.crm.customers.get_by_id(UUID(ident))
    except ValueError:
        return None


def nobody(visit: Visit) -> View:
    """Says that the person is gone."""
    return gone(
        "There is nobody here",
        "The person was merged into another one, was deleted, or never existed.",
        [("All customers", visit.links.customers())],
    )


def customer(visit: Visit, ident: str) -> View:
    """The page of the customer with this id."""
    found = find_person(visit, ident)
    if found is None:
        return nobody(visit)
    try:
        merges = visit.crm.customers.merges(found.email)
        renames = visit.crm.customers.history(found.email, kind="rename", limit=MAX_LIMIT)
        history = history_of(visit, found, merges)
    except NotFound:
        return nobody(visit)
    links = visit.links
    context = {
        "customer": found,
        "title": found.name or found.email,
        "here_is": links.customer(found.id),
        "standing": [
            (str(status), slugs)
            for status in _STANDING
            if (slugs := [m.project for m in found.memberships if m.status == status])
        ],
        "last_on": _last_on(found),
        "not_on": [slug for slug in visit.slugs if found.on(slug) is None],
        "aliases": _aliases(found, renames, merges),
        "facts": {each.project: list(_facts(each, links)) for each in found.memberships},
        "max_facts": MAX_FACTS,
        "max_named": MAX_NAMED,
        "max_tabs": MAX_TABS,
        "since": {each.project: _since(each, links) for each in found.memberships},
        "history": history,
    }
    return View("customer.html", context, products={m.project for m in found.memberships})


def _last_on(customer: Customer) -> str | None:
    """Where the person was seen last."""
    seen = customer.last_seen_at
    here = (m.project for m in customer.memberships if m.last_active_at == seen)
    return None if seen is None else next(here, None)


def _aliases(
    customer: Customer, renames: Sequence[Change], merges: Sequence[MergeState]
) -> list[Alias]:
    why: dict[str, tuple[str, datetime]] = {}
    for change in renames:
        old, _ = change.changes.get("email", (None, None))
        if isinstance(old, str):
            why.setdefault(old, ("until", change.at))
    for merge in merges:
        for email in merge.absorb_emails if merge.undone_at is None else ():
            why[email] = "merged", from_micros(merge.at)
    return [Alias(email, *why.get(email, (None, None))) for email in customer.aliases]


def _since(membership: Membership, links: Links) -> str | None:
    """Everybody who joined on the same day."""
    day = Word(f"{membership.joined_at:%Y-%m-%d}")
    return links.filtered(On(membership.project, (Condition("joined", "eq", day),)))


def _facts(membership: Membership, links: Links) -> Iterator[Fact]:
    for path, value in _leaves((), membership.params):
        text = shown(value)
        cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
        link = links.param(path, value, membership.project)
        yield Fact(spelled(path) or ".".join(path), cut, link)


def _leaves(path: tuple[str, ...], value: Json) -> Iterator[tuple[tuple[str, ...], Json]]:
    """The values inside nested objects, with their dotted keys."""
    if isinstance(value, dict) and (not path or (value and len(path) < MAX_DEPTH)):
        for key, inner in value.items():
            yield from _leaves((*path, key), inner)
    else:
        yield path, value


def export(visit: Visit, ident: str) -> View | Response:
    """Everything known about the person, as a JSON file."""
    found = find_person(visit, ident)
    try:
        person = found and visit.crm.customers.export_person(found.email)
    except NotFound:
        person = None
    if found is None or person is None:
        return nobody(visit)
    headers = (
        ("Content-Type", "application/json"),
        ("Content-Disposition", f'attachment; filename="customer-{found.id}.json"'),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    )
    body = json.dumps(person, ensure_ascii=False, indent=2).encode("utf-8", "replace")
    return Response(200, body, headers)


ROUTES = (
    Route("GET", "/customers/{ident}", customer),
    Route("GET", "/customers/{ident}/export", export),
)
