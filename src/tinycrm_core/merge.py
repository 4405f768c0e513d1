"""How two people become one customer, part again, and change their address.

Pure functions over states, like `rules`, whose order of writes decides what survives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from tinycrm_core.model import ABSENT, Json
from tinycrm_core.registers import Registers, known_at, same, writes_of
from tinycrm_core.rules import Effect, Writes, strand_of, with_strand, write_membership
from tinycrm_core.state import DEFAULT_AT, CustomerState, MembershipState
from tinycrm_core.times import LATEST

Field: TypeAlias = tuple[int | None, str]
"""A field of a person: the product's id and `status` or `params.<key>`; `name` is on none."""


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
    """The customer made of these original people and of what was chosen when they were merged.

    Choices add nothing of their own: where the people are on a product no more, they are silent.
    """
    first, *others = sorted(strands, key=lambda each: not each.emails)
    joined = replace(first, id=customer_id, emails=emails, strands=())
    for strand in others:
        joined = replace(joined, created_at=min(joined.created_at, strand.created_at))
        if (strand.name_at, strand.name or "") > (joined.name_at, joined.name or ""):
            joined = replace(joined, name=strand.name, name_at=strand.name_at)
        for project_id, membership in strand.memberships.items():
            mine = joined.memberships.get(project_id)
            if mine is None and not strand.emails:
                continue
            theirs = (
                membership if mine is None
                else write_membership(mine, all_writes(membership), Effect())
            )  # fmt: skip
            joined = replace(joined, memberships={**joined.memberships, project_id: theirs})
    return replace(joined, strands=tuple(strands) if others else ())


def merge(keep: CustomerState, *absorb: CustomerState) -> CustomerState:
    """One customer from several; the addresses of the absorbed ones become aliases."""
    people = (keep, *absorb)
    emails = tuple(email for each in people for email in each.emails)
    return join(keep.id, emails, [strand for each in people for strand in strands_in(each)])


def against(newest: CustomerState, values: Mapping[Field, Json]) -> dict[Field, Json]:
    """Those of the chosen values that would not stay by themselves."""
    stands = dict(values_of(newest))
    return {
        field: value
        for field, value in values.items()
        if not same(stands.get(field, ABSENT), value)
    }


def choose(
    merged: CustomerState, values: Mapping[Field, Json], choices_id: UUID, now: int
) -> CustomerState:
    """The merged person with these values instead of the newest ones.

    They are kept as a strand without addresses, newer than all others, so that taking it out
    gives everybody their own values back.
    """
    if not values:
        return merged
    strand = CustomerState(choices_id, (), LATEST)
    for field, value in values.items():
        strand = _put(strand, field, value, max(now, _known(merged, field) + 1))
    return join(merged.id, merged.emails, (*strands_in(merged), strand))


def _known(state: CustomerState, field: Field) -> int:
    """The newest time a field has heard of."""
    project_id, name = field
    if project_id is None:
        return state.name_at
    membership = state.memberships[project_id]
    if name == "status":
        return membership.status_at
    return known_at(membership, name.removeprefix("params."))


def _put(state: CustomerState, field: Field, value: Json, at: int) -> CustomerState:
    project_id, name = field
    if project_id is None:
        return replace(state, name=value, name_at=at)
    membership = state.memberships.get(project_id, MembershipState(LATEST))
    if name == "status":
        membership = replace(membership, status=value, status_at=at)
    else:
        registers = Registers(membership)
        registers.write(name.removeprefix("params."), value, at)
        params, params_at, marks = registers.pack()
        membership = replace(membership, params=params, params_at=params_at, marks=marks)
    return replace(state, memberships={**state.memberships, project_id: membership})


def unchoose(state: CustomerState, choices_id: UUID) -> CustomerState:
    """The person without what was chosen in one merge."""
    strands = [each for each in state.strands if each.id != choices_id]
    return join(state.id, state.emails, strands) if len(strands) < len(state.strands) else state


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
    if not any(each.emails for each in going) or not any(each.emails for each in staying):
        return None
    return (
        join(state.id, _emails_of(state, staying, before), staying),
        join(leaver_id, _emails_of(state, going, before), going),
    )


def _emails_of(
    state: CustomerState, strands: Sequence[CustomerState], before: Sequence[str]
) -> tuple[str, ...]:
    owned = {email for strand in strands for email in strand.emails}
    own = next(strand.email for strand in strands if strand.emails)
    first = next(email for email in (state.email, *before, own) if email in owned)
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


def values_of(state: CustomerState) -> Iterator[tuple[Field, Json]]:
    """All fields of a person that have a value."""
    if state.name:
        yield (None, "name"), state.name
    for project_id, membership in state.memberships.items():
        yield (project_id, "status"), membership.status
        for key, value in membership.params.items():
            yield (project_id, f"params.{key}"), value


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field in which people differ: `values` in their order, ABSENT for those without one.

    `result` is what stays; ABSENT where somebody removed it later than the others wrote it.
    """

    field: Field
    values: tuple[Json, ...]
    result: Json


def conflicts(people: Sequence[CustomerState], merged: CustomerState) -> list[FieldConflict]:
    """Where a merge has to choose: the name, and on shared products status and params."""
    each_has = [dict(values_of(each)) for each in people]
    stays = dict(values_of(merged))
    found = []
    for field in dict.fromkeys(field for has in each_has for field in has):
        values = tuple(has.get(field, ABSENT) for has in each_has)
        given = [value for value in values if value is not ABSENT]
        if any(not same(given[0], value) for value in given):
            found.append(FieldConflict(field, values, stays.get(field, ABSENT)))
    return found
