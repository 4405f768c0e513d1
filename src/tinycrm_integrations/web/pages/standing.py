"""Setting the status of many people on one product: a preview, then batch after batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from tinycrm_core import filters
from tinycrm_core.errors import InvalidInput
from tinycrm_core.events import Identify
from tinycrm_core.filters import And, Condition, Filter, Not, On, Word
from tinycrm_core.model import Result, Status
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.pages.exporting import only, picked
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import View, Visit

BATCH = 500
"""People in one transaction."""

BATCHES = 10
"""Transactions in one request; what is left is offered to be gone on with."""

SECONDS = 5.0
"""After so long no further transaction of the request begins."""

COUNT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """The people meant, the product, and the status they are to have there."""

    people: Filter
    product: str
    status: Status

    @property
    def there(self) -> Filter:
        """Those who are on the product; nobody else is touched."""
        return filters.normalise(And((self.people, On(self.product))))

    @property
    def left(self) -> Filter:
        """Those whose status is another one."""
        same = On(self.product, (Condition("status", "eq", Word(self.status.value)),))
        return filters.normalise(And((self.people, On(self.product), Not(same))))


def preview(visit: Visit) -> View:
    """The form and, once product and status are chosen, what would change."""
    sent = dict(visit.request.query)
    asked, ids, people = _meant(visit, list(visit.request.query))
    change = _change(visit, people, sent) if sent.get("on") and sent.get("to") else None
    return _view(visit, asked, ids, people, change)


def set_status(visit: Visit) -> View | Response:
    """Write it for the next people, for a few seconds; more are offered as the next step."""
    request = visit.request
    query = Asked.parse(request.value("query")).query()
    asked, ids, people = _meant(visit, [*query, *(("id", each) for each in request.values("id"))])
    change = _change(visit, people, dict(request.form))
    if change is None:
        raise InvalidInput("on: choose a product and a status", field="on")
    before = request.value("n", "0")
    changed = int(before) if before.isascii() and before.isdigit() and len(before) < 10 else 0
    fresh, after = _write(visit, change, request.value("after") or None)
    changed += fresh
    if after is not None:
        return _view(visit, asked, ids, people, change, changed, after)
    # The people picked are shown; a question is asked again.
    page = visit.links.filtered(people) if ids else visit.links.customers(asked.query())
    return redirect(done(page or visit.links.customers(), "status-set", n=changed))


def _meant(visit: Visit, pairs: list[tuple[str, str]]) -> tuple[Asked, list[str], Filter]:
    asked = Asked.read(pairs)
    ids = list(dict.fromkeys(value for key, value in pairs if key == "id"))
    return asked, ids, only(picked(visit, ids)) if ids else asked.filter(visit)


def _change(visit: Visit, people: Filter, sent: dict[str, str]) -> Change | None:
    product, status = sent.get("on", ""), sent.get("to", "")
    if product not in visit.slugs or status not in list(Status):
        return None
    return Change(people, product, Status(status))


def _write(visit: Visit, change: Change, after: str | None) -> tuple[int, str | None]:
    """Set the status of the next people; how many changed, and where to go on.

    Nobody is met twice, so it comes to an end whatever others do to these people meanwhile. They
    may be gone by then, or have that status already: neither is written.
    """
    project, changed, until = visit.crm.project(change.product), 0, time.monotonic() + SECONDS
    for _ in range(BATCHES):
        page = visit.crm.customers.find(change.left, sort="created", limit=BATCH, after=after)
        events = [
            Identify(each.email, status=change.status, active=False, limits=visit.crm.limits)
            for each in page
        ]
        answers = project.send(events, create=False) if events else []
        changed += sum(isinstance(each, Result) and "status" in each.changed for each in answers)
        after = page.next
        if after is None or time.monotonic() > until:
            break
    return changed, after


def _view(
    visit: Visit,
    asked: Asked,
    ids: list[str],
    people: Filter,
    change: Change | None,
    changed: int | None = None,
    after: str | None = None,
) -> View:
    counts = None
    if change is not None:
        limit, questions = TimeLimit(COUNT_SECONDS), (people, change.there, change.left)
        count = visit.crm.customers.count
        counts = [limit.ask(partial(count, each)) for each in questions]
    context = {
        "asked": asked,
        "ids": ids,
        "change": change,
        "counts": counts,
        "changed": changed,
        "after": after,
        "parts": filters.describe_parts(people),
        "statuses": [each.value for each in Status],
        "title": "Set a status",
    }
    return View("standing.html", context, filter=people)


ROUTES = (Route("GET", "/status", preview), Route("POST", "/status", set_status))
