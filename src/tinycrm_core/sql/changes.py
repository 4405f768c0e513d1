"""What saving people comes to, row by row: the difference between two states of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

from tinycrm_core.model import Json
from tinycrm_core.params import param_instant, walk
from tinycrm_core.query import SORT_TEXT
from tinycrm_core.sql.columns import LONGEST_PATH, dumps, stored_path
from tinycrm_core.sql.registry import Registry
from tinycrm_core.sql.standings import stand_equally, standing
from tinycrm_core.state import CustomerState, Entry, MembershipState, Write
from tinycrm_core.text import fold, search_key

Row: TypeAlias = tuple[Any, ...]
Value: TypeAlias = tuple[str, str, Any, str]
"""A row of `param_values` without its owner: path, kind, num, txt."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a dialect wants an id, the JSON of params, and a number."""

    ident: Callable[[UUID], Any]
    params: Callable[[Json], str]
    number: Callable[[Any], Any]


_SCALARS = {str, int, float, bool}
_NOTHING: frozenset[Value] = frozenset()
SQLITE = Encoding(lambda ident: ident.bytes, dumps, lambda number: number)


@dataclass(slots=True)
class Changes:
    """Rows to write, without the account; keys come last, as an UPDATE names them."""

    encoding: Encoding
    registry: Registry
    new_customers: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)
    unsearched: list[Any] = field(default_factory=list)
    searched: list[Any] = field(default_factory=list)
    emails: list[Row] = field(default_factory=list)
    lost_emails: list[Row] = field(default_factory=list)
    new_memberships: list[Row] = field(default_factory=list)
    memberships: list[Row] = field(default_factory=list)
    active: list[Row] = field(default_factory=list)
    gone_memberships: list[Row] = field(default_factory=list)
    new_values: list[Row] = field(default_factory=list)
    gone_values: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)

    def add(self, writes: Sequence[Write], claimed: Mapping[str, UUID]) -> None:
        """Everything that differs; `claimed` addresses are stored already."""
        for write in writes:
            owner = write.after or write.before
            if owner is None:
                continue
            ident = self.encoding.ident(owner.id)
            if write.before is not write.after:
                self._customer(write.before, write.after, ident)
                self._memberships(write.before, write.after, ident)
            for entry in write.entries:
                self.entries.append(self._entry(entry, owner.id, ident))
        self._emails(writes, claimed)
        # In the order of the index, which is written the quicker for it.
        self.new_values.sort()

    def _customer(
        self, before: CustomerState | None, after: CustomerState | None, ident: Any
    ) -> None:
        key = (ident,)
        if after is None:
            self.gone.append(key)
            self.unsearched.append(ident)
            return
        if before is None:
            self.new_customers.append(_columns(after) + key)
            self.searched.append(ident)
            return
        renamed = before.emails != after.emails or before.name != after.name
        if (
            renamed
            or before.strands is not after.strands
            or before.created_at != after.created_at
            or not stand_equally(before.memberships, after.memberships)
        ):
            self.customers.append(_columns(after) + key)
        elif (seen := after.last_seen_at) != before.last_seen_at or after.name_at != before.name_at:
            self.seen.append((seen, after.name_at, *key))
        if renamed:
            self.unsearched.append(ident)
            self.searched.append(ident)

    def _emails(self, writes: Sequence[Write], claimed: Mapping[str, UUID]) -> None:
        moving = [
            write
            for write in writes
            if write.before is None
            or write.after is None
            or write.before.emails != write.after.emails
            or write.before.id != write.after.id
        ]
        kept = {email for each in moving if each.after for email in each.after.emails}
        for write in moving:
            before, after = write.before, write.after
            old = before.emails if before else ()
            new = after.emails if after else ()
            if after is not None and (old != new or before is None or before.id != after.id):
                known = {email: position for position, email in enumerate(old)}
                for position, email in enumerate(new):
                    stored = position == 0 and claimed.get(email) == after.id
                    if known.get(email) != position and not stored:
                        self.emails.append((email, self.encoding.ident(after.id), position))
            if before is not None and old != new:
                ident = self.encoding.ident(before.id)
                self.lost_emails += [(email, ident) for email in old if email not in kept]
        self.emails.sort()

    def _memberships(
        self, before: CustomerState | None, after: CustomerState | None, ident: Any
    ) -> None:
        old = before.memberships if before else {}
        new = after.memberships if after else {}
        for project_id, membership in new.items():
            was = old.get(project_id)
            if was is membership:
                continue
            self._membership(was, membership, (ident, project_id))
        for project_id, was in old.items():
            if project_id not in new:
                self.gone_memberships.append((ident, project_id))
                self._params(was.params, {}, (ident, project_id))

    def _membership(self, was: MembershipState | None, now: MembershipState, key: Row) -> None:
        if was is not None and (
            was.params is now.params
            and was.status == now.status
            and was.status_at == now.status_at
            and was.params_at == now.params_at
            and was.joined_at == now.joined_at
            and was.marks is now.marks
        ):
            if was.last_active_at != now.last_active_at:
                self.active.append((now.last_active_at, *key))
            return
        marks = now.marks.to_json() if now.marks else None
        row = (
            now.status,
            now.status_at,
            self.encoding.params(now.params),
            now.params_at,
            dumps(marks) if marks else None,
            now.joined_at,
            now.last_active_at,
            *key,
        )
        (self.new_memberships if was is None else self.memberships).append(row)
        if was is None or was.params is not now.params:
            self._params(was.params if was else {}, now.params, key)

    def _params(self, old: Mapping[str, Json], new: Mapping[str, Json], key: Row) -> None:
        differing = {k: v for k, v in old.items() if not (k in new and _same(v, new[k]))}
        fresh = {k: v for k, v in new.items() if k in differing or k not in old}
        before = set(self._values(key[1], differing, -1)) if differing else _NOTHING
        after = set(self._values(key[1], fresh, 1)) if fresh else _NOTHING
        number = self.encoding.number
        for rows, values in (
            (self.gone_values, before - after),
            (self.new_values, after - before),
        ):
            rows += [(path, kind, number(num), txt, *key) for path, kind, num, txt in values]

    def _values(self, project_id: int, params: Mapping[str, Json], step: int) -> list[Value]:
        """The rows of `param_values` that stand for params, which the registry counts too."""
        found: list[Value] = []
        deltas = self.registry.deltas(project_id)
        for path, value in walk(params):
            kinds, rows = _KINDS[type(value)](value)
            stored = path if len(path) <= LONGEST_PATH // 4 else stored_path(path)
            found += [(stored, *row) for row in rows]
            if stored == path:  # longer ones nobody would pick from a list
                deltas[path].count(kinds, step, value)
        return found

    def _entry(self, entry: Entry, owner: UUID, its_ident: Any) -> Row:
        ident = self.encoding.ident
        return (
            its_ident if entry.customer_id is owner else ident(entry.customer_id),
            ident(entry.id),
            its_ident if entry.strand is owner else ident(entry.strand),
            entry.email,
            entry.at,
            entry.event_at,
            entry.kind,
            entry.via,
            entry.project_id,
            dumps(entry.changes),
            dumps(entry.late) if entry.late else None,
            ident(entry.batch) if entry.batch else None,
        )


def _columns(state: CustomerState) -> Row:
    strands = [strand.to_json() for strand in state.strands]
    return (
        state.email,
        state.name,
        state.name_at,
        fold(state.email),
        None if state.name is None else fold(state.name),
        search_key(state.email, state.emails[1:], state.name),
        state.created_at,
        state.last_seen_at,
        len(state.memberships),
        standing(state.memberships),
        dumps(strands) if strands else None,
    )


def _text(value: str) -> tuple[tuple[str, ...], list[Row]]:
    row = ("s", 0, value[:SORT_TEXT])
    instant = param_instant(value)
    if instant is None:
        return ("text",), [row]
    return ("text", "date"), [row, ("d", instant, "")]


_KINDS: dict[type, Callable[[Any], tuple[tuple[str, ...], list[Row]]]] = {
    str: _text,
    int: lambda value: (("number",), [("n", value, "")]),
    float: lambda value: (("number",), [("n", value, "")]),
    bool: lambda value: (("boolean",), [("b", int(value), "")]),
    NoneType: lambda value: (("null",), [("z", 0, "")]),
    dict: lambda value: (("object",), [("o", 0, "")]),
    list: lambda value: (("array",), [("o", 0, "")]),
}
"""By type: what the registry counts, and kind, num and txt of the rows."""


def _same(one: Json, other: Json) -> bool:
    """Whether two values are one; containers that only look alike are compared row by row."""
    return one is other or (type(one) is type(other) in _SCALARS and one == other)
