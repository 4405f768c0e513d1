"""The memory backend: dictionaries under one lock, for tests, scripts and small tools.

States are immutable values, so nothing handed out is a live reference, and a transaction is
undone by putting back what it replaced.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from tinycrm_core.errors import Retry
from tinycrm_core.filters import Filter, On, Param
from tinycrm_core.limits import dumps
from tinycrm_core.memory_query import Questions
from tinycrm_core.merge import drop_project
from tinycrm_core.model import Json
from tinycrm_core.params import kind_of, param_instant, walk
from tinycrm_core.query import WHOLE_HISTORY, After, HistoryQuery, Query
from tinycrm_core.state import (
    BatchState,
    CustomerState,
    Entry,
    KeyState,
    MergeState,
    ParamKeyState,
    ProjectState,
    SegmentState,
    Write,
)
from tinycrm_core.store import Combinations, Tally, Totals, moved

MAX_SAMPLES = 10


@dataclass(slots=True)
class _Registered:
    """How often a params key is there, and what it looked like."""

    count: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    samples: list[Json] = field(default_factory=list)


class _Recorded(NamedTuple):
    """An entry of the history as it is kept: changes as JSON text, which takes a fifth."""

    strand: UUID
    email: str
    at: int
    event_at: int
    kind: str
    via: str
    project_id: int | None
    batch: UUID | None
    text: str

    def entry(self, customer_id: UUID, entry_id: bytes) -> Entry:
        """The entry, which is the reader's to change."""
        changes, late = json.loads(self.text)
        about = (UUID(bytes=entry_id), customer_id, *self[:7])
        return Entry(*about, changes, late, self.batch)


def _recorded(entry: Entry, emails: Sequence[str]) -> _Recorded:
    """The entry as it is kept; its address is the same object as the person's."""
    return _Recorded(
        entry.strand,
        next((email for email in emails if email == entry.email), entry.email),
        entry.at,
        entry.event_at,
        entry.kind,
        entry.via,
        entry.project_id,
        entry.batch,
        dumps([entry.changes, entry.late]),
    )


@dataclass(slots=True)
class Account:
    """Everything of one tenant."""

    secret: bytes = field(default_factory=lambda: os.urandom(32))
    people: dict[UUID, CustomerState] = field(default_factory=dict)
    ids: dict[str, UUID] = field(default_factory=dict)
    history: dict[UUID, dict[bytes, _Recorded]] = field(default_factory=dict)
    merges: dict[UUID, MergeState] = field(default_factory=dict)
    projects: dict[int, ProjectState] = field(default_factory=dict)
    last_project: int = 0
    registry: dict[tuple[int, str], _Registered] = field(default_factory=dict)
    segments: dict[str, SegmentState] = field(default_factory=dict)
    keys: dict[UUID, KeyState] = field(default_factory=dict)
    batches: dict[UUID, BatchState] = field(default_factory=dict)
    forgotten: set[bytes] = field(default_factory=set)
    questions: Questions = field(init=False)

    def __post_init__(self) -> None:
        self.questions = Questions(self.people)


class MemoryTransaction:
    """Changes are made at once and noted, so that an error can take them back."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._undo: list[Callable[[], Any]] = []

    def roll_back(self) -> None:
        """Put everything back as it was."""
        while self._undo:
            self._undo.pop()()

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set, or with None remove, one entry of a table."""
        old = table.get(key)
        if old is None:
            self._undo.append(lambda: table.pop(key, None))
        else:
            self._undo.append(lambda: table.__setitem__(key, old))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    # People ---------------------------------------------------------------------------------
    def load(self, emails: Iterable[str], *, lock: bool = True) -> dict[str, CustomerState]:
        ids, people = self._account.ids, self._account.people
        return {email: people[ids[email]] for email in emails if email in ids}

    def load_ids(self, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, CustomerState]:
        people = self._account.people
        return {each: people[each] for each in ids if each in people}

    def claim(self, people: Mapping[str, UUID]) -> set[str]:
        return {email for email in people if email not in self._account.ids}

    def save(self, writes: Sequence[Write]) -> None:
        account = self._account
        for write in writes:
            after = write.after
            if after and any(key not in account.projects for key in after.memberships):
                raise Retry("a product was deleted at this moment")
        for write in writes:
            before = write.before
            if before is not None:
                for email in before.emails:
                    if account.ids.get(email) == before.id:
                        self._put(account.ids, email, None)
        for write in writes:
            self._save(write)

    def _save(self, write: Write) -> None:
        account, before, after = self._account, write.before, write.after
        if after is not None:
            for email in after.emails:
                self._put(account.ids, email, after.id)
            self._put(account.people, after.id, after)
            for entry in write.entries:
                entries = account.history.setdefault(entry.customer_id, {})
                if entry.id.bytes not in entries:
                    self._put(entries, entry.id.bytes, _recorded(entry, after.emails))
        elif before is not None:
            self._put(account.people, before.id, None)
            self._put(account.history, before.id, None)
        self._register(before, after)
        account.questions.changed(before, after)
        self._undo.append(lambda: account.questions.changed(after, before))

    def _register(self, before: CustomerState | None, after: CustomerState | None) -> None:
        old = before.memberships if before else {}
        new = after.memberships if after else {}
        for project_id in old.keys() | new.keys():
            was, now = old.get(project_id), new.get(project_id)
            was_params = was.params if was else {}
            now_params = now.params if now else {}
            if was_params is not now_params:
                self._recount(project_id, was_params, now_params)
                self._undo.append(partial(self._recount, project_id, now_params, was_params))

    def _recount(self, project_id: int, gone: Mapping[str, Json], come: Mapping[str, Json]) -> None:
        self._count(project_id, gone, -1)
        self._count(project_id, come, +1)

    def _count(self, project_id: int, params: Mapping[str, Json], step: int) -> None:
        registry = self._account.registry
        for path, value in walk(params):
            seen = registry.setdefault((project_id, path), _Registered())
            seen.count += step
            kinds = [kind_of(value)]
            if kinds == ["text"] and param_instant(value) is not None:
                kinds.append("date")
            for kind in kinds:
                seen.kinds[kind] = seen.kinds.get(kind, 0) + step
            if step > 0:
                _sample(seen.samples, value)
            elif seen.count == 0:
                del registry[project_id, path]

    def forget(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            if digest not in self._account.forgotten:
                self._account.forgotten.add(digest)
                self._undo.append(partial(self._account.forgotten.discard, digest))

    def forgotten(self, digests: Iterable[bytes]) -> set[bytes]:
        return self._account.forgotten.intersection(digests)

    def secret(self) -> bytes:
        return self._account.secret

    # Questions ------------------------------------------------------------------------------
    def find(self, query: Query) -> tuple[list[CustomerState], After | None]:
        return self._account.questions.find(query, self._slugs())

    def count(self, filter: Filter, now: int, cap: int | None = None) -> int:
        return self._account.questions.count(filter, now, cap, self._slugs())

    def tally(self, filter: Filter, by: str | Param, project: str | None, now: int) -> Tally:
        return self._account.questions.tally(filter, by, project, now, self._slugs())

    def aggregate(self, filter: Filter, param: Param, project: str | None, now: int) -> Totals:
        return self._account.questions.aggregate(filter, param, project, now, self._slugs())

    def combinations(self, on: On, now: int) -> Combinations:
        return self._account.questions.combinations(on, now, self._slugs())

    def _slugs(self) -> dict[int, str]:
        return {project.id: project.slug for project in self.projects()}

    # What surrounds people --------------------------------------------------------------------
    def history(self, customer_id: UUID, query: HistoryQuery = WHOLE_HISTORY) -> list[Entry]:
        until = None if query.after is None else (query.after[0], query.after[1].bytes)
        found = [
            ((each.at, entry_id), each)
            for entry_id, each in self._account.history.get(customer_id, {}).items()
            if query.project_id in (None, each.project_id)
            and query.kind in (None, each.kind)
            and (until is None or (each.at, entry_id) < until)
        ]
        found.sort(key=itemgetter(0), reverse=True)
        return [each.entry(customer_id, entry_id) for (_, entry_id), each in found[: query.limit]]

    def move_history(self, source: UUID, target: UUID, strands: Iterable[UUID]) -> None:
        moving = set(strands)
        entries = self._account.history.get(source, {})
        others = self._account.history.setdefault(target, {})
        for entry_id, each in [pair for pair in entries.items() if pair[1].strand in moving]:
            self._put(entries, entry_id, None)
            self._put(others, entry_id, each)

    def batch_entries(self, batch: UUID, after: UUID | None, limit: int) -> list[Entry]:
        found = [
            each.entry(customer_id, entry_id)
            for customer_id, entries in self._account.history.items()
            if after is None or customer_id > after
            for entry_id, each in entries.items()
            if each.batch == batch
        ]
        return sorted(found, key=attrgetter("customer_id", "id"))[:limit]

    def merge(self, merge_id: UUID) -> MergeState | None:
        return self._account.merges.get(merge_id)

    def merges(self, customer_id: UUID) -> list[MergeState]:
        return [
            each
            for each in self._account.merges.values()
            if customer_id in (each.keep_id, each.absorb_id)
        ]

    def save_merge(self, merge: MergeState) -> None:
        self._put(self._account.merges, merge.id, merge)

    def delete_merges(self, customer_ids: Iterable[UUID]) -> None:
        for merge in [each for one in customer_ids for each in self.merges(one)]:
            self._put(self._account.merges, merge.id, None)

    def projects(self) -> list[ProjectState]:
        return sorted(self._account.projects.values(), key=attrgetter("place", "id"))

    def add_project(self, project: ProjectState) -> ProjectState:
        stored = next((p for p in self.projects() if p.slug == project.slug), None)
        if stored is None:
            self._account.last_project += 1
            place = max((each.place for each in self._account.projects.values()), default=0) + 1
            stored = replace(project, id=self._account.last_project, place=place)
            self._put(self._account.projects, stored.id, stored)
        return stored

    def save_project(self, project: ProjectState) -> None:
        self._put(self._account.projects, project.id, project)

    def place_project(self, project_id: int, place: int) -> None:
        for number, each in enumerate(moved(self.projects(), project_id, place), 1):
            self.save_project(replace(each, place=number))

    def delete_project(self, project_id: int) -> None:
        account = self._account
        touched = [s for s in account.people.values() if project_id in s.memberships]
        self.save([Write(state, drop_project(state, project_id)) for state in touched])
        self._put(account.projects, project_id, None)
        for key in [key for key in account.registry if key[0] == project_id]:
            self._put(account.registry, key, None)
        for each in [key for key in account.keys.values() if key.project_id == project_id]:
            self._put(account.keys, each.id, None)

    def param_keys(self, project_id: int | None = None) -> list[ParamKeyState]:
        return [
            ParamKeyState(project, path, seen.count, dict(seen.kinds), tuple(seen.samples))
            for (project, path), seen in sorted(self._account.registry.items())
            if project_id in (None, project)
        ]

    def segments(self) -> list[SegmentState]:
        return [self._account.segments[name] for name in sorted(self._account.segments)]

    def save_segment(self, segment: SegmentState) -> None:
        self._put(self._account.segments, segment.name, segment)

    def delete_segment(self, name: str) -> bool:
        known = name in self._account.segments
        self._put(self._account.segments, name, None)
        return known

    def keys(self) -> list[KeyState]:
        return list(self._account.keys.values())

    def save_key(self, key: KeyState) -> None:
        self._put(self._account.keys, key.id, key)

    def touch_key(self, key_id: UUID, at: int) -> None:
        key = self._account.keys.get(key_id)
        if key is not None and key.revoked_at is None:
            self.save_key(replace(key, last_used_at=at))

    def batches(self) -> list[BatchState]:
        return sorted(self._account.batches.values(), key=attrgetter("created_at", "id"))

    def batch(self, batch_id: UUID) -> BatchState | None:
        return self._account.batches.get(batch_id)

    def save_batch(self, batch: BatchState) -> None:
        self._put(self._account.batches, batch.id, batch)


def _sample(samples: list[Json], value: Json) -> None:
    scalar = not isinstance(value, dict | list) and value is not None
    if scalar and len(samples) < MAX_SAMPLES and value not in samples and len(str(value)) <= 60:
        samples.append(value)


class MemoryStore:
    """A Store that lives and dies with the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}

    def begin(
        self, account: str, *, write: bool = True
    ) -> AbstractContextManager[MemoryTransaction]:
        return self._begin(account, write)

    @contextmanager
    def _begin(self, slug: str, write: bool) -> Iterator[MemoryTransaction]:
        with self._lock:
            account = self._accounts.get(slug) or Account()
            if write:
                self._accounts[slug] = account
            tx = MemoryTransaction(account)
            try:
                yield tx
            except BaseException:
                tx.roll_back()
                raise

    def find_key(self, digest: bytes) -> tuple[str, KeyState] | None:
        with self._lock:
            for slug, account in self._accounts.items():
                for key in account.keys.values():
                    if key.hash == digest and key.revoked_at is None:
                        return slug, key
        return None

    def accounts(self) -> list[str]:
        with self._lock:
            return list(self._accounts)

    def migrate(self) -> None:
        """Nothing to bring up to date."""

    def check(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing to give back."""
