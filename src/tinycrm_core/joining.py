"""One unit of work that makes one person of several, or parts them again.

Like `apply`: load and lock, let the rules of `merge` decide, save.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from tinycrm_core import merge, rules
from tinycrm_core.errors import Conflict, NotFound
from tinycrm_core.ids import uuid7
from tinycrm_core.model import ABSENT, Json
from tinycrm_core.state import CustomerState, Entry, MergeState, Write
from tinycrm_core.store import Transaction

NOBODY = "email: nobody here has this address"


def require(tx: Transaction, *emails: str, lock: bool = True) -> list[CustomerState]:
    """The people of these addresses, or NotFound."""
    found = tx.load(emails, lock=lock)
    for email in emails:
        if email not in found:
            raise NotFound(NOBODY, field="email")
    return [found[email] for email in emails]


def require_apart(
    tx: Transaction, emails: Sequence[str], *, lock: bool = True
) -> list[CustomerState]:
    """Different people, or NotFound or Conflict."""
    people = require(tx, *emails, lock=lock)
    if len({each.id for each in people}) < len(people):
        raise Conflict("absorb: two addresses lead to the same person already", field="absorb")
    return people


def entry_of(
    state: CustomerState, email: str, kind: str, now: int, via: str, **rest: object
) -> Entry:
    """An entry of the history, which stays with the strand that the address belongs to."""
    strand = rules.strand_of(state, email) if state.strands else state
    entry = Entry(uuid7(), state.id, strand.id, email, now, now, kind, via)
    return replace(entry, **rest)  # type: ignore[arg-type]


def merge_customers(
    tx: Transaction,
    emails: Sequence[str],
    choose: Callable[[Sequence[CustomerState]], Mapping[merge.Field, Json]] = lambda people: {},
    *,
    now: int,
    via: str,
) -> list[MergeState]:
    """Make one customer of several, the first of whom is kept; one record for each other.

    `choose` gives the values that are to stay instead of the newest. Raises NotFound, or Conflict
    if two of them are one already.
    """
    kept, *absorbed = people = require_apart(tx, emails)
    newest = merge.merge(kept, *absorbed)
    values = merge.against(newest, choose(people))
    records = [_record(kept, each, now, via) for each in absorbed]
    act = records[0].id
    if len(records) > 1:
        records = [replace(each, group_id=act) for each in records]
    merged = merge.choose(newest, values, act, now)
    entries = _merge_entries(kept, newest, values, act, now, via)
    for record in records:
        tx.move_history(record.absorb_id, kept.id, record.strands)
    tx.save([*(Write(each, None) for each in absorbed), Write(kept, merged, entries)])
    for record in records:
        tx.save_merge(record)
    return records


def _record(kept: CustomerState, absorbed: CustomerState, now: int, via: str) -> MergeState:
    strands = tuple(each.id for each in merge.strands_in(absorbed))
    return MergeState(uuid7(), kept.id, absorbed.id, kept.email, absorbed.emails, strands, now, via)


def _merge_entries(
    kept: CustomerState,
    newest: CustomerState,
    values: Mapping[merge.Field, Json],
    act: UUID,
    now: int,
    via: str,
) -> tuple[Entry, ...]:
    """What history says: that people were merged and, product by product, what was chosen.

    It names the merge, not the people: deleting one must not leave its address here. All of it
    belongs to the person who is kept, as those who leave again get their own values back.
    """
    stands = dict(merge.values_of(newest))
    changes: dict[int | None, dict[str, dict[str, Json]]] = {None: {"merge": {"new": str(act)}}}
    for (project_id, name), value in values.items():
        stood = stands.get((project_id, name), ABSENT)
        old = {} if stood is ABSENT else {"old": stood}
        changes.setdefault(project_id, {})[name] = {**old, "new": value}
    return tuple(
        entry_of(kept, kept.email, "merge", now + number, via, project_id=project_id, changes=each)
        for number, (project_id, each) in enumerate(changes.items())
    )


def undo_merge(tx: Transaction, merge_id: UUID, *, now: int, via: str) -> MergeState:
    """Take everybody out again who was absorbed. Raises NotFound or Conflict."""
    record = tx.merge(merge_id)
    if record is None:
        raise NotFound("merge_id: no such merge", field="merge_id")
    records = [each for each in tx.merges(record.keep_id) if each.act == record.act]
    # All at once, so that two who undo and merge never lock people in different orders.
    found = tx.load(each.absorb_emails[0] for each in records)
    # Read again: somebody may have undone it while the locks were waited for.
    record = tx.merge(merge_id) or record
    if record.undone_at is not None:
        raise Conflict("merge_id: this merge was undone already", field="merge_id")
    if len(found) < len(records):
        raise NotFound("merge_id: somebody of this merge is not here", field="merge_id")
    for number, each in enumerate(records):
        _undo_one(tx, tx.merge(each.id) or each, now + number, via)
    return replace(record, undone_at=now)


def _undo_one(tx: Transaction, record: MergeState, now: int, via: str) -> None:
    (state,) = require(tx, record.absorb_emails[0])
    before = (record.keep_email, *record.absorb_emails)
    own = merge.unchoose(state, record.act)
    parts = merge.split(own, record.strands, record.absorb_id, before)
    if parts is None:
        raise Conflict("merge_id: these people are apart already", field="merge_id")
    staying, leaving = parts
    change = {"merge": {"old": str(record.act)}}
    stayed = entry_of(staying, staying.email, "undo_merge", now, via, changes=change)
    left = entry_of(leaving, leaving.email, "undo_merge", now, via, changes=change)
    # Of several who leave one after the other, history says once that the merge was undone.
    entries = (stayed,) if record.id == record.act else ()
    tx.save([Write(state, staying, entries), Write(None, leaving, (left,))])
    tx.move_history(state.id, leaving.id, [each.id for each in merge.strands_in(leaving)])
    involved = {m.id: m for each in state.strands for m in tx.merges(each.id) if m.id != record.id}
    for other in involved.values():
        parted = _parted(_parted(other, staying, leaving), leaving, staying)
        if parted != other:
            tx.save_merge(parted)
    tx.save_merge(replace(record, undone_at=now))


def _parted(record: MergeState, mine: CustomerState, gone: CustomerState) -> MergeState:
    """A merge of `mine` without what it said of `gone`, who goes another way from now on.

    Otherwise undoing it would take away people who came back by a later merge, and deleting
    one person would leave an address in the records of the other.
    """
    ids = {each.id for each in merge.strands_in(mine)}
    if record.absorb_id in ids:
        others = {each.id for each in merge.strands_in(gone)}
        record = replace(
            record,
            strands=tuple(each for each in record.strands if each not in others),
            absorb_emails=tuple(each for each in record.absorb_emails if each not in gone.emails),
        )
    if record.keep_id in ids and record.keep_email in gone.emails:
        record = replace(record, keep_email=mine.email)
    return record
