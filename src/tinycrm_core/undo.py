"""Undoing an import: fields that still hold what it wrote get back what they held before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinycrm_core.merge import join, strands_in
from tinycrm_core.model import ABSENT, Json
from tinycrm_core.registers import Registers, same
from tinycrm_core.rules import ACTIVE, CREATED, JOINED
from tinycrm_core.state import DEFAULT_AT, CustomerState, Entry, MembershipState


def undo_entries(state: CustomerState, entries: Sequence[Entry]) -> CustomerState | None:
    """The person without the entries' changes; None if nothing is left of them.

    What was written later stays, and so does a membership or person with anything newer to it.
    """
    strands = strands_in(state)
    after: list[CustomerState] = []
    for strand in strands:
        reverted: CustomerState | None = strand
        mine = [entry for entry in entries if entry.strand == strand.id]
        for entry in sorted(mine, key=lambda each: each.at, reverse=True):
            reverted = _undo(reverted, entry) if reverted else None
        if reverted is not None:
            after.append(reverted)
        elif state.strands:
            after.append(replace(strand, memberships={}))  # its address stays an alias
    if all(new is old for new, old in zip(after, strands, strict=False)) and after:
        return state
    if not after:
        return None
    return join(state.id, state.emails, after) if state.strands else after[0]


def _undo(state: CustomerState, entry: Entry) -> CustomerState | None:
    changes = entry.changes
    after = state
    name = changes.get("name")
    if name and _stands(name, entry, state.name_at, state.name):
        after = replace(after, name=name.get("old"), name_at=_time(name, "old_at"))
    membership = after.memberships.get(entry.project_id) if entry.project_id is not None else None
    if membership is not None and entry.project_id is not None:
        reverted = _undo_membership(membership, entry)
        if reverted is not membership:
            memberships = {**after.memberships, entry.project_id: reverted}
            kept = {key: m for key, m in memberships.items() if m is not None}
            after = replace(after, memberships=kept)
    created = changes.get(CREATED)
    if created and "old" not in created and not after.memberships:
        return None
    if created and "old" in created and after.created_at == created["new"]:
        after = replace(after, created_at=_time(created, "old"))
    return after


def _undo_membership(membership: MembershipState, entry: Entry) -> MembershipState | None:
    changes = entry.changes
    after = membership
    status = changes.get("status")
    if status and _stands(status, entry, membership.status_at, membership.status):
        after = replace(after, status=status.get("old", "free"), status_at=_time(status, "old_at"))
    registers, touched = Registers(after), False
    for name, change in changes.items():
        if not name.startswith("params."):
            continue
        key = name.removeprefix("params.")
        if _stands(change, entry, registers.written_at(key), registers.params.get(key, ABSENT)):
            touched = True
            registers.erase(key)
            if "old" in change:
                registers.at[key] = _time(change, "old_at")
                registers.params[key] = change["old"]
    if touched:
        params, params_at, marks = registers.pack()
        after = replace(after, params=params, params_at=params_at, marks=marks)
    after = _undo_times(after, changes)
    joined = changes.get(JOINED)
    if joined and "old" not in joined and _is_bare(after):
        return None
    return after


def _undo_times(m: MembershipState, changes: Mapping[str, Mapping[str, Json]]) -> MembershipState:
    joined, active = changes.get(JOINED), changes.get(ACTIVE)
    if joined and "old" in joined and m.joined_at == joined["new"]:
        m = replace(m, joined_at=joined["old"])
    if active and m.last_active_at == active["new"]:
        m = replace(m, last_active_at=active.get("old"))
    return m


def _stands(change: Mapping[str, Json], entry: Entry, at: int | None, value: Json) -> bool:
    """Whether the field still holds what the entry wrote."""
    return at == change.get("at", entry.event_at) and same(change.get("new", ABSENT), value)


def _time(change: Mapping[str, Json], name: str) -> int:
    at = change.get(name, DEFAULT_AT)
    return at if isinstance(at, int) else DEFAULT_AT


def _is_bare(m: MembershipState) -> bool:
    return m.status_at == DEFAULT_AT and not m.params and not m.marks and m.last_active_at is None
