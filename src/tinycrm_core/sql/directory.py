"""What surrounds people in an account: history, merges, segments, API keys, imports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    CursorResult,
    Executable,
    RowMapping,
    Table,
    and_,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tinycrm_core.query import WHOLE_HISTORY, HistoryQuery
from tinycrm_core.sql.tables import Tables
from tinycrm_core.state import BatchState, Entry, KeyState, MergeState, SegmentState


class Directory(ABC):
    """The part of a transaction that is about small tables; each statement names the account."""

    account_id: int
    tables: Tables
    dialect: str

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """The connection, on which everything put off has run."""

    def _run(self, statement: Executable) -> CursorResult[Any]:
        return self.connection.execute(statement)

    def _put(self, table: Table, values: Mapping[str, Any], *, replace: bool = True) -> None:
        """Insert a row of this account, or replace (else keep) the one that has its key."""
        insert = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        statement: Any = insert(table).values(account_id=self.account_id, **values)
        key = [column.name for column in table.primary_key]
        if replace:
            rest = {name: statement.excluded[name] for name in values if name not in key}
            statement = statement.on_conflict_do_update(index_elements=key, set_=rest)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=key)
        self._run(statement)

    def _mine(self, table: Table) -> Any:
        return table.c.account_id == self.account_id

    # History --------------------------------------------------------------------------------
    def history(self, customer_id: UUID, query: HistoryQuery = WHOLE_HISTORY) -> list[Entry]:
        table = self.tables.history
        rows = select(table).where(self._mine(table), table.c.customer_id == customer_id)
        if query.after is not None:
            at, entry_id = query.after
            older = and_(table.c.at == at, table.c.entry_id < entry_id)
            rows = rows.where(or_(table.c.at < at, older))
        if query.project_id is not None:
            rows = rows.where(table.c.project_id == query.project_id)
        if query.kind is not None:
            rows = rows.where(table.c.kind == query.kind)
        rows = rows.order_by(table.c.at.desc(), table.c.entry_id.desc()).limit(query.limit)
        return [_entry(row) for row in self._run(rows).mappings()]

    def move_history(self, source: UUID, target: UUID, strands: Iterable[UUID]) -> None:
        table = self.tables.history
        moving = table.c.strand.in_(list(strands))
        self._run(
            update(table)
            .where(self._mine(table), table.c.customer_id == source, moving)
            .values(customer_id=target)
        )

    def batch_entries(self, batch: UUID, after: UUID | None, limit: int) -> list[Entry]:
        table = self.tables.history
        query = select(table).where(self._mine(table), table.c.batch_id == batch)
        if after is not None:
            query = query.where(table.c.customer_id > after)
        rows = self._run(query.order_by(table.c.customer_id, table.c.entry_id).limit(limit))
        return [_entry(row) for row in rows.mappings()]

    # Merges ---------------------------------------------------------------------------------
    def merge(self, merge_id: UUID) -> MergeState | None:
        table = self.tables.merges
        query = select(table).where(self._mine(table), table.c.merge_id == merge_id)
        return next(map(_merge, self._run(query).mappings()), None)

    def merges(self, customer_id: UUID) -> list[MergeState]:
        table = self.tables.merges
        involved = (table.c.keep_id == customer_id) | (table.c.absorb_id == customer_id)
        query = select(table).where(self._mine(table), involved)
        return [_merge(row) for row in self._run(query.order_by(table.c.at)).mappings()]

    def save_merge(self, merge: MergeState) -> None:
        values = _values(merge) | {
            "merge_id": merge.id,
            "absorb_emails": list(merge.absorb_emails),
            "strands": [str(each) for each in merge.strands],
        }
        self._put(self.tables.merges, values)

    def delete_merges(self, customer_ids: Iterable[UUID]) -> None:
        table, ids = self.tables.merges, list(customer_ids)
        involved = table.c.keep_id.in_(ids) | table.c.absorb_id.in_(ids)
        self._run(delete(table).where(self._mine(table), involved))

    # Segments -------------------------------------------------------------------------------
    def segments(self) -> list[SegmentState]:
        table = self.tables.segments
        rows = self._run(select(table).where(self._mine(table)).order_by(table.c.name))
        return [SegmentState(row.name, row.filter, row.created_at) for row in rows]

    def save_segment(self, segment: SegmentState) -> None:
        self._put(self.tables.segments, _values(segment))

    def delete_segment(self, name: str) -> bool:
        table = self.tables.segments
        found = self._run(delete(table).where(self._mine(table), table.c.name == name))
        return found.rowcount > 0

    # API keys -------------------------------------------------------------------------------
    def keys(self) -> list[KeyState]:
        table = self.tables.api_keys
        query = select(table).where(self._mine(table))
        rows = self._run(query.order_by(table.c.created_at, table.c.key_id))
        return [key_state(row) for row in rows.mappings()]

    def save_key(self, key: KeyState) -> None:
        self._put(self.tables.api_keys, _values(key) | {"key_id": key.id})

    def touch_key(self, key_id: UUID, at: int) -> None:
        table = self.tables.api_keys
        live = (table.c.key_id == key_id, table.c.revoked_at.is_(None))
        self._run(update(table).where(self._mine(table), *live).values(last_used_at=at))

    # Imports --------------------------------------------------------------------------------
    def batches(self) -> list[BatchState]:
        table = self.tables.import_batches
        query = select(table).where(self._mine(table))
        rows = self._run(query.order_by(table.c.created_at, table.c.batch_id))
        return [_batch(row) for row in rows.mappings()]

    def batch(self, batch_id: UUID) -> BatchState | None:
        table = self.tables.import_batches
        query = select(table).where(self._mine(table), table.c.batch_id == batch_id)
        return next(map(_batch, self._run(query).mappings()), None)

    def save_batch(self, batch: BatchState) -> None:
        values = _values(batch) | {"batch_id": batch.id, "totals": dict(batch.totals)}
        self._put(self.tables.import_batches, values)

    # Addresses that asked to be forgotten ---------------------------------------------------
    def forget(self, digests: Iterable[bytes]) -> None:
        for digest in sorted(digests):
            self._put(self.tables.forgotten, {"digest": digest}, replace=False)


def _values(state: Any) -> dict[str, Any]:
    """The fields of a state as columns, which have the same names but for the id."""
    return {name: getattr(state, name) for name in state.__slots__ if name != "id"}


def _entry(row: RowMapping) -> Entry:
    rest = {name: row[name] for name in ("strand", "email", "at", "event_at", "kind", "via")}
    return Entry(
        id=row["entry_id"],
        customer_id=row["customer_id"],
        **rest,
        project_id=row["project_id"],
        changes=row["changes"],
        late=row["late"] or {},
        batch=row["batch_id"],
    )


def _merge(row: RowMapping) -> MergeState:
    names = ("keep_id", "absorb_id", "keep_email", "at", "via", "undone_at", "group_id")
    return MergeState(
        id=row["merge_id"],
        absorb_emails=tuple(row["absorb_emails"]),
        strands=tuple(map(UUID, row["strands"])),
        **{name: row[name] for name in names},
    )


def key_state(row: RowMapping) -> KeyState:
    """An API key from a row of its table."""
    names = [each.name for each in fields(KeyState) if each.name not in ("id", "hash")]
    return KeyState(
        id=row["key_id"], hash=bytes(row["hash"]), **{name: row[name] for name in names}
    )


def _batch(row: RowMapping) -> BatchState:
    names = ("project_id", "source", "created_at", "totals", "finished_at", "undone_at")
    return BatchState(id=row["batch_id"], **{name: row[name] for name in names})
