"""What changed on a person: who, when, old and new values, product by product, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
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
    total: int
    tabs: list[tuple[str | None, str, bool]]
    older: str | None
    newest: str | None


def history_of(
    visit: Visit, customer: Customer, changes: Sequence[Change], merges: Sequence[MergeState]
) -> History:
    """The page that the query asks for: `history` names a product, `upto` where the page begins.

    `upto` counts from the oldest entry, so that a page stays the same when others are added.
    """
    query = dict(visit.request.query)
    known = {each.project for each in changes if each.project}
    project = query.get("history") if query.get("history") in known else None
    found = [each for each in changes if project is None or each.project == project]
    upto = _number(query.get("upto", ""), len(found))
    start = len(found) - upto
    here = visit.links.customer(customer.id)

    def link(project: str | None, upto: int | None = None) -> str:
        pairs = [f"history={project}"] if project else []
        pairs += [f"upto={upto}"] if upto is not None else []
        return here + ("?" + "&".join(pairs) if pairs else "")

    ordered = [slug for slug in visit.slugs if slug in known]
    return History(
        [_line(each, merges, visit) for each in found[start : start + PAGE]],
        len(found),
        [(each, link(each), each == project) for each in (None, *ordered)],
        link(project, upto - PAGE) if upto > PAGE else None,
        link(project) if start > 0 else None,
    )


def _number(text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else most
    return min(max(number, 1), most) if most else 0


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
