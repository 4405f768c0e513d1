"""One unit of work over a store's transaction: load and lock, let the rules decide, save.

The functions here know neither SQL nor semantics; they are the only callers of `Transaction`'s
writing side.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast
from uuid import UUID

from tinycrm_core import merge, rules
from tinycrm_core.errors import Forgotten, NotFound, Retry, TinyCRMError
from tinycrm_core.events import ChangeEmail, Event, Identify, Ping
from tinycrm_core.ids import uuid7
from tinycrm_core.joining import NOBODY, entry_of, merge_customers
from tinycrm_core.limits import LIMITS, Limits
from tinycrm_core.model import Result
from tinycrm_core.state import CustomerState, Entry, MergeState, Write
from tinycrm_core.store import Transaction
from tinycrm_core.undo import undo_entries

Answer: TypeAlias = Result | bool | TinyCRMError
"""Of one event in a list: a Result for Identify, else a bool, or why it was refused."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Somebody moved from one status to another (`old` None: is new on the product)."""

    customer_id: UUID
    email: str
    project_id: int
    old: str | None
    new: str


@dataclass(slots=True)
class Outcome:
    """The answers of a list of events, and what is to be told once they are stored."""

    answers: list[Answer] = field(default_factory=list)
    created: list[tuple[UUID, str]] = field(default_factory=list)
    status_changes: list[StatusChange] = field(default_factory=list)
    merged: list[MergeState] = field(default_factory=list)


@dataclass(slots=True)
class _Person:
    """Somebody whom events touch: as stored, as they have become, and what is recorded of it."""

    before: CustomerState | None
    now: CustomerState
    entries: list[Entry] = field(default_factory=list)

    def put(self, state: CustomerState, entry: Entry | None) -> None:
        self.now = state
        if entry is not None:
            # Entries of one transaction keep their order: each is a microsecond after the last.
            number = len(self.entries)
            self.entries.append(replace(entry, at=entry.at + number) if number else entry)


class _People(dict[str, _Person]):
    """The people a list of events touches, by address, as they change from event to event."""

    def __init__(self, loaded: dict[str, CustomerState]) -> None:
        self._persons: list[_Person] = []
        seen: dict[int, _Person] = {}
        for email, state in loaded.items():
            person = seen.get(id(state))  # two addresses of one person load one state
            if person is None:
                seen[id(state)] = person = self._added(_Person(state, state))
            self[email] = person

    def _added(self, person: _Person) -> _Person:
        self._persons.append(person)
        return person

    def create(self, email: str, state: CustomerState, entry: Entry | None) -> None:
        """Somebody new."""
        person = self[email] = self._added(_Person(None, state))
        person.put(state, entry)

    def writes(self) -> list[Write]:
        """What is to be saved."""
        return [
            Write(each.before, each.now, tuple(each.entries))
            for each in self._persons
            if each.now is not each.before or each.entries
        ]


def apply_events(
    tx: Transaction,
    project_id: int,
    events: Sequence[Event],
    *,
    now: int,
    via: str,
    batch: UUID | None = None,
    limits: Limits = LIMITS,
    create: bool = True,
) -> Outcome:
    """Apply events of one product in their order; a refused one does not stop the others.

    Without `create` somebody who is not here is answered with NotFound.
    """
    outcome = Outcome()
    context = rules.Context(project_id, now, None, via, batch, limits)
    changes = [event for event in events if isinstance(event, ChangeEmail)]
    if changes:
        # All at once, so that two lists never lock the same people in different orders.
        tx.load({*(event.email for event in events), *(event.new for event in changes)})
    reports: list[Identify | Ping] = []
    for event in events:
        if isinstance(event, ChangeEmail):
            _report(tx, reports, context, outcome, create=create)
            reports = []
            outcome.answers.append(_change(tx, event, context, outcome))
        else:
            reports.append(event)
    _report(tx, reports, context, outcome, create=create)
    return outcome


def _report(
    tx: Transaction,
    events: Sequence[Identify | Ping],
    context: rules.Context,
    outcome: Outcome,
    *,
    create: bool,
) -> None:
    """Apply events that leave addresses as they are."""
    if not events:
        return
    people = _People(tx.load({event.email for event in events}))
    unknown = dict.fromkeys(
        event.email for event in events if isinstance(event, Identify) and event.email not in people
    )
    refused, new_ids = _claim(tx, unknown) if unknown and create else (set(), {})
    for event in events:
        if isinstance(event, Ping):
            outcome.answers.append(_ping(people, event, context.project_id, context.now))
        elif event.email in refused:
            outcome.answers.append(
                Forgotten("email: this person asked to be forgotten; nothing was stored")
            )
        elif not create and event.email not in people:
            outcome.answers.append(NotFound(NOBODY, field="email"))
        else:
            new_id = new_ids.get(event.email)
            theirs = context if new_id is None else replace(context, new_id=new_id)
            outcome.answers.append(_identify(people, event, theirs, outcome))
    writes = people.writes()
    if writes:
        tx.save(writes)


def _change(
    tx: Transaction, event: ChangeEmail, context: rules.Context, outcome: Outcome
) -> Answer:
    """Whether the person has the new address now; an event that comes again changes nothing."""
    found = tx.load((event.email, event.new))
    state, owner = found.get(event.email), found.get(event.new)
    if state is None:
        return False
    if owner is not None and owner.id == state.id:
        if event.email != state.email:
            return True  # changed before, and perhaps once more since
    elif owner is not None and not event.merge:
        at = context.now if event.at is None else cast(int, event.at)
        if owner.created_at < at:
            return False
    try:
        merged = _readdress(tx, found, event.email, event.new, now=context.now, via=context.via)
    except Forgotten as error:
        return error
    if merged is not None:
        outcome.merged.append(merged)
    return True


def _claim(tx: Transaction, unknown: Iterable[str]) -> tuple[set[str], dict[str, UUID]]:
    """Take the unknown addresses, except those of people who asked to be forgotten."""
    digests = {digest(tx.secret(), email): email for email in unknown}
    refused = {digests[each] for each in tx.forgotten(digests)}
    new_ids = {email: uuid7() for email in digests.values() if email not in refused}
    if new_ids and len(tx.claim(new_ids)) < len(new_ids):
        # Loading their owners here would lock people out of order; the next try loads them first.
        raise Retry("somebody else took one of the addresses at this moment")
    return refused, new_ids


def digest(secret: bytes, email: str) -> bytes:
    """What is kept of an address that must be recognised but not known."""
    return hmac.digest(secret, email.encode(), "sha256")


def _ping(people: _People, event: Ping, project_id: int, now: int) -> bool:
    person = people.get(event.email)
    at = now if event.at is None else cast(int, event.at)
    after = rules.ping(person.now, event.email, project_id, at) if person else None
    if person is None or after is None:
        return False
    person.put(after, None)
    return True


def _identify(people: _People, event: Identify, context: rules.Context, outcome: Outcome) -> Answer:
    person = people.get(event.email)
    before = person.now if person else None
    try:
        after, effect, entry = rules.identify(before, event, context)
    except TinyCRMError as error:
        return error
    if person is None:
        people.create(event.email, after, entry)
        outcome.created.append((after.id, after.email))
    else:
        person.put(after, entry)
    if "status" in effect.changes:
        change = effect.changes["status"]
        outcome.status_changes.append(
            StatusChange(
                after.id, after.email, context.project_id, change.get("old"), change["new"]
            )
        )
    action: Literal["created", "updated", "unchanged"]
    action = "created" if before is None else "updated" if effect.changes else "unchanged"
    return Result(action, after.id, effect.joined, tuple(effect.changes))


def change_email(tx: Transaction, old: str, new: str, *, now: int, via: str) -> MergeState | None:
    """Rename a person; where `new` is somebody else's, that is a merge into its owner."""
    found = tx.load((old, new))
    if old not in found:
        raise NotFound("old: nobody here has this address", field="old")
    return _readdress(tx, found, old, new, now=now, via=via)


def _readdress(
    tx: Transaction, found: Mapping[str, CustomerState], old: str, new: str, *, now: int, via: str
) -> MergeState | None:
    """The same for people who are loaded, the owner of `new` too if there is one."""
    state = found[old]
    if new in found and found[new].id != state.id:
        return merge_customers(tx, (new, old), now=now, via=via)[0]
    if state.email == new:
        return None
    if new not in found:
        if tx.forgotten([digest(tx.secret(), new)]):
            raise Forgotten("new: this person asked to be forgotten", field="new")
        if not tx.claim({new: state.id}):
            raise Retry("the new address was taken by someone else at this moment")
    after = merge.rename(state, old, new)
    owner = rules.strand_of(after, new) if after.strands else after
    # The entry leaves with the address; it must not take along that of somebody merged.
    old_email = {"old": state.email} if state.email in owner.emails else {}
    entry = entry_of(after, new, "rename", now, via, changes={"email": {**old_email, "new": new}})
    tx.save([Write(state, after, (entry,))])
    return None


def delete_customer(tx: Transaction, email: str, *, forget: bool) -> bool:
    """Erase a person; with `forget` keep hashes of the addresses, known or not."""
    state = tx.load((email,)).get(email)
    if forget:
        secret = tx.secret()
        tx.forget(digest(secret, each) for each in {email, *(state.emails if state else ())})
    if state is not None:
        tx.delete_merges({state.id, *(strand.id for strand in state.strands)})
        tx.save([Write(state, None)])
    return state is not None


def undo_batch(
    tx: Transaction, batch: UUID, after: UUID | None, size: int
) -> tuple[int, int, UUID | None]:
    """Undo one slice of an import: people restored, people removed, and where to go on."""
    entries = tx.batch_entries(batch, after, size)
    if not entries:
        return 0, 0, None
    by_person: dict[UUID, list[Entry]] = {}
    for entry in entries:
        by_person.setdefault(entry.customer_id, []).append(entry)
    if len(entries) == size and len(by_person) > 1:
        by_person.popitem()  # perhaps not all of the last person's entries came
    states = tx.load_ids(by_person)
    writes = []
    for customer_id, theirs in by_person.items():
        if customer_id in states:
            before = states[customer_id]
            reverted = undo_entries(before, theirs)
            if reverted is not before:
                writes.append(Write(before, reverted))
    tx.save(writes)
    removed = sum(write.after is None for write in writes)
    return len(writes) - removed, removed, max(by_person)
