"""The page of one person: products side by side, addresses, history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from tinycrm_core.errors import NotFound
from tinycrm_core.model import ABSENT, Change, Json, Membership
from tinycrm_integrations.web.links import Links, shown
from tinycrm_integrations.web.pages.columns import spelled
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

MAX_HISTORY = 200
"""Changes on the page; the newest are shown."""

_STANDING = (("", "paid"), ("on ", "trial"), ("", "free"), ("", "churned"))

LONGEST = 120
"""Characters of a value in the history; more ends in an ellipsis."""


def customer(visit: Visit, ident: str) -> View:
    """The page of the customer with this id. Raises NotFound."""
    crm, links = visit.crm, visit.links
    try:
        found = crm.customers.get_by_id(UUID(ident))
    except ValueError:
        found = None
    if found is None:
        raise NotFound("the person was merged into another one, deleted, or never existed")
    history = crm.customers.history(found.email)
    context = {
        "customer": found,
        "title": found.name or found.email,
        "standing": [
            (words, status, slugs)
            for words, status in _STANDING
            if (slugs := [m.project for m in found.memberships if m.status == status])
        ],
        "facts": {each.project: _facts(each, links) for each in found.memberships},
        "history": [_line(each) for each in history[:MAX_HISTORY]],
        "changes": len(history),
    }
    return View("customer.html", context, products={m.project for m in found.memberships})


def _facts(membership: Membership, links: Links) -> list[tuple[str, Json, str | None]]:
    """Name, value and link of each param; objects one level down, as their dotted keys."""
    facts = []
    for key, value in membership.params.items():
        inner = value.items() if isinstance(value, dict) and value else [(None, value)]
        for below, each in inner:
            path = (key,) if below is None else (key, below)
            link = links.param(path, each, membership.project)
            facts.append((spelled(path) or key, each, link))
    return facts


def _line(change: Change) -> dict[str, Any]:
    fields = []
    for name, (old, new) in change.changes.items():
        if not name.startswith("@"):
            fields.append((name.removeprefix("params."), _cut(old), _cut(new)))
    late = [(name.removeprefix("params."), _cut(value)) for name, value in change.late.items()]
    status = change.changes.get("status", (None, None))[1]
    earlier = change.at - change.event_at >= timedelta(days=1)
    return {"change": change, "earlier": earlier, "fields": fields, "late": late, "status": status}


def _cut(value: Json) -> Json:
    """None stands for «there was no value»; long text is cut."""
    if value is ABSENT:
        return None
    text = shown(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


ROUTES = (Route("GET", "/customers/{ident}", customer),)
