"""Applying what was read: batches of rows, one transaction each, and what came of every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast
from uuid import UUID

from tinycrm_core import times
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.events import Identify
from tinycrm_core.ids import uuid7
from tinycrm_core.model import Result
from tinycrm_core.registers import same
from tinycrm_core.state import BatchState, CustomerState
from tinycrm_core.store import Transaction
from tinycrm_core.transfer.report import MAX_LISTED, ImportReport, Kept, Reject, Rejects, Sample
from tinycrm_core.transfer.rows import Options, Person
from tinycrm_core.transport import ensure_project

if TYPE_CHECKING:
    from tinycrm_core.client import TinyCRM

SAMPLES = 10
"""Rows that a dry run shows as they will be read."""
_DRY_BATCH = 5000

_RANK = {"unchanged": 0, "updated": 1, "created": 2}
_ACTIONS = ("unchanged", "updated", "created")


class Item(NamedTuple):
    """A row that could be read."""

    row: int
    line: int
    person: Person


class Run:
    """One pass over the rows. With `write` off, everything but the writing happens."""

    def __init__(
        self,
        crm: TinyCRM,
        report: ImportReport,
        rejects: Rejects,
        options: Options,
        source: str,
        *,
        write: bool,
    ) -> None:
        self._crm, self._report, self._rejects = crm, report, rejects
        self._options, self._source, self._write = options, source, write
        self._batch: BatchState | None = None
        # Without writing, later batches cannot see that an earlier one knew the person already.
        self._seen: dict[int, int] = {}

    def batches(self, items: Iterable[Item | Reject], size: int) -> Iterator[int]:
        """Apply batch after batch; yields the number of rows done."""
        source = iter(items)
        size = size if self._write else max(size, _DRY_BATCH)
        try:
            while chunk := list(islice(source, size)):
                self._apply(chunk)
                yield self._report.rows
        finally:
            self._finish()

    def _apply(self, chunk: list[Item | Reject]) -> None:
        events: dict[str, list[Identify]] = {}
        owners: dict[str, list[int]] = {}
        for place, item in enumerate(chunk):
            if isinstance(item, Item):
                for slug, event in item.person.events:
                    events.setdefault(slug, []).append(event)
                    owners.setdefault(slug, []).append(place)
        actions = [-1] * len(chunk)
        errors: dict[int, TinyCRMError] = {}
        for slug, batch in events.items():
            answers = self._send(slug, batch)
            self._note_kept(slug, batch, owners[slug], answers, chunk)
            for place, answer in zip(owners[slug], answers, strict=True):
                if type(answer) is Result:
                    actions[place] = max(actions[place], _RANK[answer.action])
                elif isinstance(answer, TinyCRMError):
                    errors[place] = answer
        self._count(chunk, actions, errors)

    def _send(self, slug: str, events: list[Identify]) -> list[Result | bool | TinyCRMError]:
        project = self._crm.project(slug)
        if not self._write:
            return project.preview(events)
        return project.send(events, via="import", batch=self._batch_id(slug))

    def _count(
        self, chunk: list[Item | Reject], actions: list[int], errors: dict[int, TinyCRMError]
    ) -> None:
        report = self._report
        for place, item in enumerate(chunk):
            report.rows += 1
            if isinstance(item, Reject):
                self._rejects.add(item)
                continue
            if place in errors:
                error = errors[place]
                self._rejects.add(
                    Reject(item.row, item.line, item.person.email, error.message, error.field)
                )
                continue
            action = actions[place] if self._write else self._dry_action(item, actions[place])
            if action == 2:
                report.created += 1
            elif action == 1:
                report.updated += 1
            else:
                report.unchanged += 1
            if not self._write and len(report.samples) < SAMPLES:
                self._sample(item, _ACTIONS[action])
            if item.person.aliases and self._write:
                self._add_aliases(item)

    def _dry_action(self, item: Item, action: int) -> int:
        """A person of an earlier row is known by now, though nothing was written."""
        first = item.person.events[0][1]
        email = hash(first.email)
        content = hash(
            tuple(
                (slug, e.name, e.status, repr(e.params), e.joined, e.seen)
                for slug, e in item.person.events
            )
        )
        before = self._seen.get(email)
        self._seen[email] = content
        if before is None or action != 2:
            return action
        return 0 if before == content else 1

    def _sample(self, item: Item, action: str) -> None:
        for slug, event in item.person.events:
            self._report.samples.append(
                Sample(
                    item.row,
                    event.email,
                    slug,
                    event.name,
                    event.status,
                    dict(event.params or {}),
                    _when(event.joined),
                    _when(event.seen),
                    action,
                )
            )

    def _note_kept(
        self,
        slug: str,
        events: list[Identify],
        owners: list[int],
        answers: list[Result | bool | TinyCRMError],
        chunk: list[Item | Reject],
    ) -> None:
        """In a dry run: which stored values are newer than the file's."""
        if self._write or self._options.overwrite:
            return

        emails = {event.email for event in events}

        def work(tx: Transaction) -> tuple[dict[str, int], dict[str, CustomerState]]:
            return {p.slug: p.id for p in tx.projects()}, tx.load(emails, lock=False)

        ids, states = self._crm.tenant.read(work)
        for event, place, answer in zip(events, owners, answers, strict=True):
            state = states.get(event.email)
            if state is None or type(answer) is not Result:
                continue
            stored: dict[str, object] = {"name": state.name}
            membership = state.memberships.get(ids.get(slug, -1))
            if membership is not None:
                stored["status"] = membership.status
                stored |= {f"params.{key}": value for key, value in membership.params.items()}
            self._compare(chunk[place].row, slug, event, answer, stored)

    def _compare(
        self, row: int, slug: str, event: Identify, answer: Result, stored: dict[str, object]
    ) -> None:
        given: dict[str, object] = {"name": event.name, "status": event.status}
        given |= {f"params.{key}": value for key, value in (event.params or {}).items()}
        for field, value in given.items():
            if value is None or stored.get(field) is None or field in answer.changed:
                continue
            if not same(stored[field], value):
                self._report.kept_count += 1
                if len(self._report.kept) < MAX_LISTED:
                    self._report.kept.append(
                        Kept(row, event.email, slug, field, stored[field], value)
                    )

    def _batch_id(self, slug: str) -> UUID:
        """The id under which the import can be undone; recorded before the first row is."""
        if self._batch is None:

            def work(tx: Transaction) -> BatchState:
                project = ensure_project(tx, slug, times.now())
                state = BatchState(uuid7(), project.id, self._source, self._options.start)
                tx.save_batch(state)
                return state

            self._batch = self._crm.tenant.write(work)
            self._report.batch = self._batch.id
            self._report.applied = True
        return self._batch.id

    def _finish(self) -> None:
        """Record the totals, also of a run that was interrupted."""
        if self._batch is not None:
            done = replace(self._batch, totals=self._report.totals, finished_at=times.now())
            self._crm.tenant.write(lambda tx: tx.save_batch(done))

    def _add_aliases(self, item: Item) -> None:
        """Addresses nobody has become aliases of the row's person; somebody else's are noted."""
        slug, event = item.person.events[0]
        customers = self._crm.customers
        for alias in item.person.aliases:
            try:
                owner = customers.get(alias)
                person = customers.get(event.email)
                if owner is None:
                    stand_in = Identify(alias, active=False, at=1, joined=event.joined or event.at)
                    self._crm.project(slug).send([stand_in], via="import")
                    customers.merge(event.email, alias)
                elif person is None or owner.id != person.id:
                    self._note(f"row {item.row}: the alias belongs to somebody else already")
            except TinyCRMError as error:
                self._note(f"row {item.row}: alias: {error.message}")

    def _note(self, sentence: str) -> None:
        if len(self._report.notes) < MAX_LISTED:
            self._report.notes.append(sentence)


def _when(micros: object) -> datetime | None:
    return None if micros is None else times.from_micros(cast(int, micros))
