"""What changed on a person: who, when, old and new values, product by product, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from tinycrm_core.model import ABSENT, Change, Customer, Json
from tinycrm_core.state import MergeState
from tinycrm_integrations.web.links import shown
from tinycrm_integrations.web.visit import Visit

PAGE = 200
"""Changes on a page."""
LONGEST = 120
"""Characters of a value; more ends in an ellipsis."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. `fields` are names with old and new text, None where there was no value.

    `late` are values that came after newer ones. `merge` tells whose addresses came or went, if
    that is what the entry is about, and `undo` is where a form undoes it.
    """

    change: Change
    is_earlier: bool
    status: str | None
    fields: list[tuple[str, str | None, str | None]]
    late: list[tuple[str, str]]
    joined: bool
    merge: tuple[str, ...] | None = None
    undo: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A page of it; `tabs` are product (None is all), link, and whether it is this one."""

    lines: list[Line]
    tabs: list[tuple[str | None, str, bool]]
    older: str | None
    newest: str | None


def history_of(visit: Visit, customer: Customer, merges: Sequence[MergeState]) -> History:
    """The page that the query asks for: `history` names a product, `after` where the page begins.

    What is recorded meanwhile moves no page. Raises NotFound or InvalidFilter.
    """
    query = dict(visit.request.query)
    here, on = visit.links.customer(customer.id), [each.project for each in customer.memberships]
    project = query.get("history") if query.get("history") in on else None
    after = query.get("after") or None
    page = visit.crm.customers.history(customer.email, limit=PAGE, after=after, project=project)

    def link(project: str | None, after: str | None = None) -> str:
        pairs = [("history", project), ("after", after)]
        asked = urlencode([(key, value) for key, value in pairs if value is not None])
        return f"{here}?{asked}" if asked else here

    return History(
        [_line(each, merges, visit) for each in page],
        [(each, link(each), each == project) for each in (None, *on)],
        link(project, page.next) if page.next else None,
        link(project) if after else None,
    )


def _line(change: Change, merges: Sequence[MergeState], visit: Visit) -> Line:
    fields = [
        (name.removeprefix("params."), _text(old), _text(new))
        for name, (old, new) in sorted(change.changes.items(), key=lambda each: each[0] != "status")
        if name != "merge"
    ]
    late = [(name.removeprefix("params."), _text(v) or "") for name, v in change.late.items()]
    old, new = change.changes.get("status", (None, None))
    records = _records(change, merges)
    undo = None
    if records and change.kind == "merge" and records[0].undone_at is None:
        undo = visit.links.to(f"/merges/{records[0].act}/undo")
    return Line(
        change,
        change.at - change.event_at >= timedelta(days=1),
        None if new in (None, ABSENT) else str(new),
        fields,
        late,
        old is ABSENT,
        None if records is None else tuple(e for each in records for e in each.absorb_emails),
        undo,
    )


def _records(change: Change, merges: Sequence[MergeState]) -> list[MergeState] | None:
    """The records of the merge that an entry is about; None if it is about none."""
    for value in change.changes.get("merge", ()):
        if isinstance(value, str):
            return [each for each in merges if each.act == UUID(value)]
    return None


def _text(value: Json) -> str | None:
    if value is ABSENT:
        return None
    text = shown(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
