"""Segments: filters saved under a name, which are the tabs above the filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.errors import Conflict, InvalidFilter, InvalidInput, TinyCRMError
from tinycrm_core.filters import Filter
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

TABS = (
    ("Everyone", ""),
    ("On two or more", "projects>=2"),
    ("Quiet for 30 days", "seen<-30d"),
)
"""Segments that need no saving."""


@dataclass(frozen=True, slots=True)
class Tab:
    """A segment above the filter; `is_current` when it is the question on screen."""

    name: str
    link: str
    is_current: bool
    is_saved: bool


def tabs(visit: Visit, current: Filter | None) -> Iterator[Tab]:
    """The tabs of every account, then what was saved."""
    links = visit.links
    saved = [(each.name, each.filter) for each in visit.crm.segments.list()]
    for index, (name, text) in enumerate((*TABS, *saved)):
        try:
            filter = filters.parse(text)
        except InvalidFilter:
            continue
        link = links.filtered(filter) or links.customers()
        yield Tab(name, link, filter == current, index >= len(TABS))


def segment(visit: Visit, form: Form | None = None, asked: Asked | None = None) -> View:
    """The form that saves the question on screen, or changes the segment that it is."""
    asked = asked or Asked.read(visit.request.query)
    filter = asked.filter(visit)
    current = next((each for each in tabs(visit, filter) if each.is_current), None)
    context = {
        "asked": asked,
        "form": form or Form(),
        "parts": filters.describe_parts(filter),
        "saved": current.name if current and current.is_saved else None,
        "spelled": filters.format(filter),
        "title": "Segment",
    }
    return View("segment.html", context, 422 if form else 200, filter=filter)


def write_segment(visit: Visit) -> View | Response:
    """Save, rename or delete; a name that will not do comes back beside its field."""
    request, segments = visit.request, visit.crm.segments
    asked = Asked.parse(request.value("query"))
    what, old, name = request.value("do"), request.value("old"), request.value("name").strip()
    try:
        if what == "save":
            segments.add(name, asked.filter(visit))
        elif what == "rename":
            if name != old:
                segments.rename(old, name)
        elif what == "delete":
            segments.delete(old)
        else:
            raise InvalidInput("do: expected save, rename or delete", field="do")
    except (InvalidInput, Conflict) as error:
        if isinstance(error, InvalidFilter) or error.field == "do":
            raise
        reason: TinyCRMError | str = error
        if isinstance(error, Conflict):
            reason = "There is a segment with this name already."
        return segment(visit, refused(request, "name", reason), asked)
    page = visit.links.customers(asked.query())
    return redirect(done(page, f"segment-{what}d"))


ROUTES = (Route("GET", "/segment", segment), Route("POST", "/segment", write_segment))
