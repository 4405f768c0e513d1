"""Segments: the tabs above the filter."""

from __future__ import annotations

from collections.abc import Iterator

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import Filter
from tinycrm_integrations.web.visit import Visit

TABS = (
    ("Everyone", ""),
    ("On two or more", "projects>=2"),
    ("Quiet for 30 days", "seen<-30d"),
)
"""Segments that need no saving."""


def tabs(visit: Visit, current: Filter | None) -> Iterator[tuple[str, str, bool]]:
    """Name and link of each, and whether it is the question on screen."""
    saved = [(each.name, each.filter) for each in visit.crm.segments.list()]
    for name, text in (*TABS, *saved):
        try:
            filter = filters.parse(text)
        except InvalidFilter:
            continue
        links = visit.links
        yield name, links.filtered(filter) or links.customers(), filter == current
