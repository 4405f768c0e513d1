"""Stored states as the values that filters read and callers get."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tinycrm_core.model import ABSENT, Change, Customer, Json, Membership, Status
from tinycrm_core.state import CustomerState, Entry, MembershipState
from tinycrm_core.times import from_micros

_STATUS = {str(each): each for each in Status}


def customer_view(state: CustomerState, slugs: Mapping[int, str]) -> Customer:
    """The customer of a state, memberships in the order of `slugs`.

    Params are shared with the state, not copied.
    """
    theirs = state.memberships
    memberships = tuple(
        _membership_view(theirs[key], slug) for key, slug in slugs.items() if key in theirs
    )
    seen = state.last_seen_at
    return Customer(
        state.id,
        state.email,
        state.name,
        from_micros(state.created_at),
        None if seen is None else from_micros(seen),
        state.emails[1:],
        memberships,
    )


def _membership_view(state: MembershipState, slug: str) -> Membership:
    active = state.last_active_at
    return Membership(
        slug,
        _STATUS[state.status],
        state.params,  # type: ignore[arg-type]
        from_micros(state.joined_at),
        None if active is None else from_micros(active),
    )


def copied(customer: Customer) -> Customer:
    """A customer whose params are the caller's to change."""
    memberships = tuple(
        Membership(m.project, m.status, _copy(m.params), m.joined_at, m.last_active_at)
        for m in customer.memberships
    )
    return Customer(
        customer.id,
        customer.email,
        customer.name,
        customer.created_at,
        customer.last_seen_at,
        customer.aliases,
        memberships,
    )


def _copy(params: Mapping[str, Json]) -> dict[str, Json]:
    return {key: copied_value(value) for key, value in params.items()}


def copied_value(value: Json) -> Json:
    """A JSON value, or ABSENT, that is the caller's to change."""
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value


def change_view(entry: Entry, slugs: Mapping[int, str]) -> Change | None:
    """The history entry as callers see it; None if it only serves to undo an import."""
    changes = {
        name: (copied_value(change.get("old", ABSENT)), copied_value(change.get("new", ABSENT)))
        for name, change in entry.changes.items()
        if not name.startswith("@")
    }
    if not changes and not entry.late:
        return None
    return Change(
        from_micros(entry.at),
        from_micros(entry.event_at),
        entry.kind,
        entry.via,
        None if entry.project_id is None else slugs.get(entry.project_id),
        entry.email,
        changes,
        _copy(entry.late),
        entry.batch,
    )
