"""How two people become one customer, part again, and change their address.

Pure functions over states, like `rules`, whose order of writes decides what survives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from tinycrm_core.model import Json
from tinycrm_core.registers import same, writes_of
from tinycrm_core.rules import Effect, Writes, strand_of, with_strand, write_membership
from tinycrm_core.state import DEFAULT_AT, CustomerState, MembershipState


def all_writes(membership: MembershipState) -> Writes:
    """Everything a membership remembers, as writes: joining two is writing one into the other."""
    explicit, once = writes_of(membership)
    known = membership.status_at != DEFAULT_AT
    return Writes(
        membership.joined_at,
        membership.last_active_at,
        status=(membership.status, membership.status_at) if known else None,
        params=explicit,
        once=once,
    )


def join(
    customer_id: UUID, emails: tuple[str, ...], strands: Sequence[CustomerState]
) -> CustomerState:
    """The customer made of these original people."""
    first, *others = strands
    joined = replace(first, id=customer_id, emails=emails, strands=())
    for strand in others:
        joined = replace(joined, created_at=min(joined.created_at, strand.created_at))
        if (strand.name_at, strand.name or "") > (joined.name_at, joined.name or ""):
            joined = replace(joined, name=strand.name, name_at=strand.name_at)
        for project_id, membership in strand.memberships.items():
            mine = joined.memberships.get(project_id)
            theirs = (
                membership if mine is None
                else write_membership(mine, all_writes(membership), Effect())
            )  # fmt: skip
            joined = replace(joined, memberships={**joined.memberships, project_id: theirs})
    return replace(joined, strands=tuple(strands) if others else ())


def merge(keep: CustomerState, absorb: CustomerState) -> CustomerState:
    """One customer from two; the addresses of the absorbed one become aliases."""
    strands = (*strands_in(keep), *strands_in(absorb))
    return join(keep.id, (*keep.emails, *absorb.emails), strands)


def strands_in(state: CustomerState) -> tuple[CustomerState, ...]:
    """The original people a customer consists of: itself, unless something was merged."""
    return state.strands or (state,)


def split(
    state: CustomerState,
    leaving: Sequence[UUID],
    leaver_id: UUID,
    before: Sequence[str] = (),
) -> tuple[CustomerState, CustomerState] | None:
    """The customer without these strands, and the person they become; None if that is impossible.

    Each gets what arrived under its own addresses, before and after the merge. `before` are the
    addresses by which the two were identified then: each gets its own back.
    """
    going = tuple(each for each in state.strands if each.id in leaving)
    staying = tuple(each for each in state.strands if each.id not in leaving)
    if not going or not staying:
        return None
    return (
        join(state.id, _emails_of(state, staying, before), staying),
        join(leaver_id, _emails_of(state, going, before), going),
    )


def _emails_of(
    state: CustomerState, strands: Sequence[CustomerState], before: Sequence[str]
) -> tuple[str, ...]:
    owned = {email for strand in strands for email in strand.emails}
    first = next(email for email in (state.email, *before, strands[0].email) if email in owned)
    return (first, *(email for email in state.emails if email in owned and email != first))


def rename(state: CustomerState, old: str, new: str) -> CustomerState:
    """`new` becomes the address that identifies the person; `old` stays as an alias."""
    emails = (new, *(email for email in state.emails if email != new))
    strands = state.strands
    if strands and not any(new in strand.emails for strand in strands):
        owner = strand_of(state, old)
        strands = with_strand(state, replace(owner, emails=(new, *owner.emails)))
    return replace(state, emails=emails, strands=strands)


def drop_project(state: CustomerState, project_id: int) -> CustomerState:
    """The person without one product, in every strand."""
    kept = {key: m for key, m in state.memberships.items() if key != project_id}
    strands = tuple(drop_project(strand, project_id) for strand in state.strands)
    return replace(state, memberships=kept, strands=strands)


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that both people have, with different values; `kept` says whose survives."""

    project_id: int | None
    field: str
    keep: Json
    absorb: Json
    kept: Any


def conflicts(keep: CustomerState, absorb: CustomerState) -> list[FieldConflict]:
    """Where a merge has to choose: the name, and on shared products status and params."""
    merged = merge(keep, absorb)
    found = []
    if keep.name and absorb.name and keep.name != absorb.name:
        found.append(FieldConflict(None, "name", keep.name, absorb.name, merged.name))
    for project_id in sorted(keep.memberships.keys() & absorb.memberships.keys()):
        one, other = keep.memberships[project_id], absorb.memberships[project_id]
        result = merged.memberships[project_id]
        if one.status != other.status:
            found.append(
                FieldConflict(project_id, "status", one.status, other.status, result.status)
            )
        found += [
            FieldConflict(
                project_id, f"params.{key}", one.params[key], other.params[key],
                result.params.get(key),
            )
            for key in one.params
            if key in other.params and not same(one.params[key], other.params[key])
        ]  # fmt: skip
    return found
