"""What surrounds every page: products and their colours, segments, the spine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import And, Filter, Not, On, Or
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.visit import View, Visit

TABS = (
    ("Everyone", ""),
    ("On two or more", "projects>=2"),
    ("Quiet for 30 days", "seen<-30d"),
)
"""Segments that need no saving."""


def frame(visit: Visit, view: View) -> dict[str, Any]:
    """The names that every template may use, whatever its page."""
    projects, slugs = visit.projects, set(visit.slugs)
    named = view.products
    if named is None and view.filter is not None:
        named = named_products(view.filter) & slugs or None
    saved = [(each.name, each.filter) for each in visit.crm.segments.list()]
    return {
        "projects": projects,
        "hues": {each.slug: f"hue-{each.hue}" for each in projects},
        "spine": [each for each in projects if named is None or each.slug in named],
        "tabs": list(_tabs([*TABS, *saved], view.filter, visit.links)),
        "text": "",
        "kept": (),
    }


def _tabs(
    named: Sequence[tuple[str, str]], current: Filter | None, links: Links
) -> Iterator[tuple[str, str, bool]]:
    for name, text in named:
        try:
            filter = filters.parse(text)
        except InvalidFilter:
            continue
        yield name, links.filtered(filter) or links.customers(), filter == current


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
