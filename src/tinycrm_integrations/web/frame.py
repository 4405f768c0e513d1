"""What surrounds every page: products and their colours, the spine, what was just done."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tinycrm_core.filters import And, Filter, Not, On, Or
from tinycrm_integrations.web.notes import KEYS, read_note
from tinycrm_integrations.web.visit import View, Visit


def frame(visit: Visit, view: View) -> dict[str, Any]:
    """The names that every template may use, whatever its page."""
    projects, slugs = visit.projects, set(visit.slugs)
    named = view.products
    if named is None and view.filter is not None:
        named = named_products(view.filter) & slugs or None
    return {
        "projects": projects,
        "hues": {each.slug: f"hue-{each.hue}" for each in projects},
        "spine": [each for each in projects if named is None or each.slug in named],
        "done": read_note(visit.request, visit.links),
        "address": _address(visit),
    }


def _address(visit: Visit) -> str:
    """Where this page is, for a form that comes back to it; what was sent has no address."""
    request = visit.request
    if request.method == "POST":
        return visit.links.to("/")
    told = KEYS if "done" in dict(request.query) else frozenset()
    pairs = [pair for pair in request.query if pair[0] not in told]
    return visit.links.asking(quote(request.path), pairs)


def named_products(filter: Filter) -> set[str]:
    """The products a filter speaks of."""
    match filter:
        case And(items) | Or(items):
            return set().union(*map(named_products, items))
        case Not(item):
            return named_products(item)
        case On(project, conditions):
            asked = {str(each.value) for each in conditions if each.field == "project"}
            return asked | ({project} if project else set())
    return set()
