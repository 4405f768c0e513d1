"""The rules: what a call does to a person.

Pure functions over states. Every value carries the event time of its newest write; a write takes
effect where it is newer than what stands, so any order and any repetition of the same events ends
in the same state. Equal times are decided by the values: the later status in the order free,
trial, paid, churned; a value over a removal; otherwise the larger text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import NamedTuple, cast
from uuid import UUID

from tinycrm_core.events import STATUSES, Identify
from tinycrm_core.limits import LIMITS, Limits, check_size
from tinycrm_core.model import ABSENT, Json
from tinycrm_core.registers import (
    KeyWrite,
    Registers,
    known_at,
    newest_at,
    overwritten,
    same,
    written_at,
)
from tinycrm_core.state import DEFAULT_AT, CustomerState, Entry, MembershipState, immutable

_RANK = {status: rank for rank, status in enumerate(STATUSES)}

JOINED, ACTIVE, CREATED = "@joined", "@active", "@created"
"""Fields that only the entries of an import carry, so that undoing it can restore them."""


class Writes(NamedTuple):
    """One event with its times settled: what to write, and as of when."""

    joined_at: int
    active_at: int | None = None
    name: tuple[str, int] | None = None
    status: tuple[str, int] | None = None
    params: Sequence[KeyWrite] = ()
    once: Sequence[KeyWrite] = ()


@dataclass(slots=True)
class Effect:
    """What writing did: fields with `old`, `new`, `old_at`, and the values that came too late."""

    joined: bool = False
    changes: dict[str, dict[str, Json]] = field(default_factory=dict)
    late: dict[str, Json] = field(default_factory=dict)


def settle(state: CustomerState | None, project_id: int, event: Identify, now: int) -> Writes:
    """Give each field of an event its time.

    Without `at` that is now, or just after what is known of the field if some clock was ahead.
    """
    given = cast("int | None", event.at)
    at = max(now if given is None else given, DEFAULT_AT + 1)
    membership = state.memberships.get(project_id) if state else None
    once = event.set_once or {}
    name_at = status_at = at
    ahead = None
    if given is None and state is not None:
        name_at = max(at, state.name_at + 1)
        if membership is not None:
            status_at = max(at, membership.status_at + 1)
            # A call that is made now and finds the key has nothing to offer to the future either.
            once = {key: value for key, value in once.items() if key not in membership.params}
            ahead = membership if newest_at(membership) >= at else None
    params = _timed(event.params or {}, at, ahead)
    if event.unset:
        params += _timed(dict.fromkeys(event.unset, ABSENT), at, ahead)
    seen_at = now if given is None else at
    return Writes(
        seen_at if event.joined is None else cast(int, event.joined),
        _newest(cast("int | None", event.seen), seen_at if event.active else None),
        (event.name, name_at) if event.name else None,
        (event.status, status_at) if event.status else None,
        params,
        _timed(once, at, ahead) if once else [],
    )


def _timed(values: Mapping[str, Json], at: int, ahead: MembershipState | None) -> list[KeyWrite]:
    """Each key with its value and time; `ahead` is a membership that knows later ones."""
    if ahead is None:
        return [(key, value, at) for key, value in values.items()]
    return [(key, value, max(at, known_at(ahead, key) + 1)) for key, value in values.items()]


def write_membership(
    membership: MembershipState | None, writes: Writes, effect: Effect
) -> MembershipState:
    """The membership after the writes; `effect` collects what they did."""
    before = membership
    if membership is None:
        effect.joined = True
        membership = MembershipState(writes.joined_at)
    status, status_at = _write_status(membership, writes, effect)
    if before is None:
        effect.changes["status"] = _change(ABSENT, status, DEFAULT_AT, status_at)
    params, params_at, marks = membership.params, membership.params_at, membership.marks
    if _is_plain(membership, writes):
        values = {key: value for key, value, _ in writes.params}
        params, params_at, marks = overwritten(membership, values, writes.params[0][2])
    elif writes.params or writes.once:
        registers = Registers(membership)
        too_late = [
            (key, value)
            for key, value, at in writes.params
            if not registers.write(key, value, at)
            and not same(registers.params.get(key, ABSENT), value)
        ]
        for key, value, at in writes.once:
            registers.write_once(key, value, at)
        params, params_at, marks = registers.pack()
        for key, value in too_late:
            effect.late[f"params.{key}"] = None if value is ABSENT else value
    after = MembershipState(
        min(membership.joined_at, writes.joined_at),
        _newest(membership.last_active_at, writes.active_at),
        status,
        status_at,
        params,
        params_at,
        marks,
    )
    if writes.params or writes.once:
        _note_params(membership, after, writes, effect)
    return after


def _is_plain(membership: MembershipState, writes: Writes) -> bool:
    """Whether there are only values, newer than all that stands: nothing has to be weighed."""
    params, marks = writes.params, membership.marks
    if not params or writes.once or marks.gone or marks.once:
        return False
    at = params[0][2]
    if at <= newest_at(membership):
        return False
    for _, value, each_at in params:
        if each_at != at or value is ABSENT:
            return False
    return len({key for key, _, _ in params}) == len(params)


def _write_status(m: MembershipState, writes: Writes, effect: Effect) -> tuple[str, int]:
    if writes.status is None:
        return m.status, m.status_at
    status, at = writes.status
    if (at, _RANK[status]) <= (m.status_at, _RANK[m.status]):
        if status != m.status:
            effect.late["status"] = status
        return m.status, m.status_at
    if status != m.status:
        effect.changes["status"] = _change(m.status, status, m.status_at, at)
    return status, at


def _note_params(
    before: MembershipState, after: MembershipState, writes: Writes, effect: Effect
) -> None:
    for key, at in {key: at for key, _, at in (*writes.params, *writes.once)}.items():
        old, new = before.params.get(key, ABSENT), after.params.get(key, ABSENT)
        if not same(old, new):
            old_at = written_at(before, key) or DEFAULT_AT
            effect.changes[f"params.{key}"] = _change(old, new, old_at, at)


def _change(old: Json, new: Json, old_at: int, at: int) -> dict[str, Json]:
    change: dict[str, Json] = {}
    if old is not ABSENT:
        change["old"] = old
    if new is not ABSENT:
        change["new"] = new
    if old_at != DEFAULT_AT:
        change["old_at"] = old_at
    change["at"] = at
    return change


def _newest(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def write(state: CustomerState, project_id: int, writes: Writes, effect: Effect) -> CustomerState:
    """One person after the writes, strands left as they are."""
    name, name_at = state.name, state.name_at
    if writes.name is not None:
        value, at = writes.name
        if (at, value) > (name_at, name or ""):
            if value != name:
                old = ABSENT if name is None else name
                effect.changes["name"] = _change(old, value, name_at, at)
            name, name_at = value, at
        elif value != name:
            effect.late["name"] = value
    membership = write_membership(state.memberships.get(project_id), writes, effect)
    return CustomerState(
        state.id,
        state.emails,
        min(state.created_at, writes.joined_at),
        name,
        name_at,
        {**state.memberships, project_id: membership},
        state.strands,
    )


@immutable
class Context:
    """What an event needs besides itself: the clock and through what it came.

    `new_id` is the id of a person who is new; for others there is none.
    """

    project_id: int
    now: int
    new_id: UUID | None
    via: str
    batch: UUID | None = None
    limits: Limits = LIMITS


def identify(
    state: CustomerState | None, event: Identify, context: Context
) -> tuple[CustomerState, Effect, Entry | None]:
    """Apply one event; the entry is None when there is nothing to record.

    Raises InvalidParams if the params as a whole would exceed a limit.
    """
    project_id = context.project_id
    writes = settle(state, project_id, event, context.now)
    before = state
    if state is None:
        if context.new_id is None:
            raise AssertionError("a new person without an id")
        state = CustomerState(context.new_id, (event.email,), writes.joined_at)
    effect = Effect()
    after = write(state, project_id, writes, effect)
    if effect.changes and before is not None and (writes.params or writes.once):
        known = before.memberships.get(project_id)
        params = after.memberships[project_id].params
        check_size(params, "params", context.limits, known.params if known else None)
    strand_id = state.id
    if state.strands:
        strand = strand_of(state, event.email)
        strand_id = strand.id
        after = replace(
            after, strands=with_strand(state, write(strand, project_id, writes, Effect()))
        )
    changes: dict[str, Mapping[str, Json]] = dict(effect.changes)
    if context.batch is not None:
        changes |= _import_changes(before, after, project_id)
    if not (changes or effect.late):
        return after, effect, None
    event_at = context.now if event.at is None else cast(int, event.at)
    entry = Entry(
        _entry_id(strand_id, project_id, writes),
        state.id,
        strand_id,
        event.email,
        context.now,
        event_at,
        "identify",
        context.via,
        project_id,
        changes,
        effect.late,
        context.batch,
    )
    return after, effect, entry


def _entry_id(strand: UUID, project_id: int, writes: Writes) -> UUID:
    text = repr((strand.int, project_id, *writes))
    digest = blake2b(text.encode("utf-8"), digest_size=16)
    return UUID(bytes=digest.digest())


def _import_changes(
    before: CustomerState | None, after: CustomerState, project_id: int
) -> dict[str, dict[str, Json]]:
    old = before.memberships.get(project_id) if before else None
    new = after.memberships[project_id]
    pairs = {
        CREATED: (before.created_at if before else None, after.created_at),
        JOINED: (old.joined_at if old else None, new.joined_at),
        ACTIVE: (old.last_active_at if old else None, new.last_active_at),
    }
    return {
        name: {"old": was, "new": now} if was is not None else {"new": now}
        for name, (was, now) in pairs.items()
        if was != now
    }


def ping(state: CustomerState, email: str, project_id: int, at: int) -> CustomerState | None:
    """Move the activity on one product forward; None if the person is not known there."""
    membership = state.memberships.get(project_id)
    if membership is None:
        return None
    after = _active(state, project_id, at)
    if state.strands:
        # An address whose own strand is not on this product speaks for the first that is.
        strands = (strand_of(state, email), *state.strands)
        strand = next(each for each in strands if each.emails and project_id in each.memberships)
        after = replace(after, strands=with_strand(state, _active(strand, project_id, at)))
    return after


def _active(state: CustomerState, project_id: int, at: int) -> CustomerState:
    membership = state.memberships[project_id]
    newest = _newest(membership.last_active_at, at)
    if newest == membership.last_active_at:
        return state
    moved = replace(membership, last_active_at=newest)
    return replace(state, memberships={**state.memberships, project_id: moved})


def strand_of(state: CustomerState, email: str) -> CustomerState:
    """The original person to whom an address of this customer belongs."""
    return next(strand for strand in state.strands if email in strand.emails)


def with_strand(state: CustomerState, strand: CustomerState) -> tuple[CustomerState, ...]:
    """The strands of a customer with one of them replaced."""
    return tuple(strand if each.id == strand.id else each for each in state.strands)
