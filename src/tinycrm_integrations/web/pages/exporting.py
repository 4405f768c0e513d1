"""The people on screen, all of them, as a file that is streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from uuid import UUID

from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_core.filters import Condition, Filter
from tinycrm_core.model import Customer
from tinycrm_core.transfer import csv_chunks, jsonl_chunks
from tinycrm_integrations.web.http import Response
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import Visit

MAX_PICKED = 100
"""People picked by hand."""


def export_csv(visit: Visit) -> Response:
    """One row per person and product; with `layout=customers` one per person."""
    filter, sort = _question(visit)
    layout = dict(visit.request.query).get("layout", "memberships")
    chunks = csv_chunks(visit.crm, filter, layout=layout, sort=sort)
    return _file("customers.csv", "text/csv; charset=utf-8; header=present", chunks)


def export_jsonl(visit: Visit) -> Response:
    """One JSON object per person and line."""
    filter, sort = _question(visit)
    chunks = jsonl_chunks(visit.crm, filter, sort=sort)
    return _file("customers.jsonl", "application/jsonl; charset=utf-8", chunks)


def picked(visit: Visit, ids: list[str]) -> list[Customer]:
    """The people with these ids. Raises InvalidInput, or NotFound when one of them is gone."""
    try:
        wanted = list(dict.fromkeys(UUID(each) for each in ids))
    except ValueError:
        raise InvalidInput("id: not an id", field="id") from None
    if len(wanted) > MAX_PICKED:
        raise InvalidInput(f"id: at most {MAX_PICKED} people are picked by hand", field="id")
    found = [visit.crm.customers.get_by_id(each) for each in wanted]
    people = [each for each in found if each is not None]
    if len(people) < len(wanted):
        raise NotFound("one of the people picked was merged or deleted in the meantime")
    return people


def only(people: list[Customer]) -> Filter:
    """The question that finds exactly these people."""
    return Condition("email", "in", tuple(each.email for each in people))


def _question(visit: Visit) -> tuple[Filter, str]:
    """What to export, and in which order: those picked, or else all who match."""
    asked = Asked.read(visit.request.query)
    ids = [value for key, value in visit.request.query if key == "id"]
    filter = only(picked(visit, ids)) if ids else asked.filter(visit)
    # What is wrong with it is said now, while the answer can still be a page.
    visit.crm.customers.find(filter, sort=asked.sort, limit=1)
    return filter, asked.sort


def _file(name: str, kind: str, chunks: Iterator[str]) -> Response:
    first = next(chunks, "")
    body = (each.encode("utf-8", "replace") for each in chain((first,), chunks))
    headers = (
        ("Content-Type", kind),
        ("Content-Disposition", f'attachment; filename="{name}"'),
    )
    return Response(200, body, headers)


ROUTES = (Route("GET", "/export.csv", export_csv), Route("GET", "/export.jsonl", export_jsonl))
