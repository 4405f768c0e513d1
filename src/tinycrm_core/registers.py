"""The params of one membership as registers: which write of a key counts, whatever the order.

A key holds its newest explicit write, a value or a removal; where there is no explicit value, the
oldest `set_once` write that is newer than the removal shows. That is what replaying all writes in
the order of their event times gives, so the order in which they arrive cannot matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from tinycrm_core.model import ABSENT, Json
from tinycrm_core.state import NO_MARKS, Marks, MembershipState

KeyWrite: TypeAlias = tuple[str, Json, int]
"""A key, its value (ABSENT: unset) and the event time."""

MAX_ONCE = 32
"""`set_once` writes of one key that are remembered; the oldest ones count."""


def ordered(value: Json) -> str:
    """A text that orders JSON values for ties; equal values have equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def same(left: Json, right: Json) -> bool:
    """Equal as JSON: 1, 1.0 and true are three values."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, dict | list):
        return ordered(left) == ordered(right)
    return bool(left == right)


def written_at(membership: MembershipState, key: str) -> int | None:
    """When a key was last set or unset explicitly."""
    marks = membership.marks
    if not marks:
        return membership.params_at if key in membership.params else None
    at = marks.at.get(key)
    if at is None and key in membership.params and key not in marks.once:
        return membership.params_at
    return marks.gone.get(key) if at is None else at


def known_at(membership: MembershipState, key: str) -> int:
    """The newest time a key has heard of; 0 when it has not."""
    once = membership.marks.once.get(key)
    return max(written_at(membership, key) or 0, once[-1][0] if once else 0)


def newest_at(membership: MembershipState) -> int:
    """The newest time any key has heard of; 0 when none has."""
    marks = membership.marks
    if not marks:
        return membership.params_at
    once = (writes[-1][0] for writes in marks.once.values())
    return max(membership.params_at, *marks.at.values(), *marks.gone.values(), *once)


def overwritten(
    membership: MembershipState, values: Mapping[str, Json], at: int
) -> tuple[dict[str, Json], int, Marks]:
    """`Registers.pack` after values newer than `newest_at`, where nothing is gone or `set_once`.

    What most calls write: nothing has to be weighed, so it is done at once.
    """
    known = membership.marks.at
    before = {
        key: known.get(key, membership.params_at) for key in membership.params if key not in values
    }
    marks = Marks(before) if before else NO_MARKS
    return {**membership.params, **values}, at, marks


class Registers:
    """A mutable copy of a membership's params, for the time of one event."""

    def __init__(self, membership: MembershipState) -> None:
        marks = membership.marks
        self.params = dict(membership.params)
        if not marks:
            self.once: dict[str, tuple[tuple[int, Json], ...]] = {}
            self.gone: dict[str, int] = {}
            self.at = dict.fromkeys(membership.params, membership.params_at)
            return
        self.once = dict(marks.once)
        self.gone = dict(marks.gone)
        shown_once = marks.once.keys() - marks.at.keys()
        self.at = {
            key: marks.at.get(key, membership.params_at)
            for key in membership.params
            if key not in shown_once
        }

    def written_at(self, key: str) -> int | None:
        """When the key was last set or unset explicitly."""
        at = self.at.get(key)
        return self.gone.get(key) if at is None else at

    def write(self, key: str, value: Json, at: int) -> bool:
        """Set a key, or unset it with ABSENT. False if a newer write, or an equal one, stands."""
        standing = self.written_at(key)
        if standing is not None and (
            at < standing or (at == standing and not self._wins(key, value))
        ):
            return False
        self._forget_once(key, at)
        if value is ABSENT:
            self.at.pop(key, None)
            self.gone[key] = at
            self._show_once(key)
        else:
            self.gone.pop(key, None)
            self.at[key] = at
            self.params[key] = value
        return True

    def write_once(self, key: str, value: Json, at: int) -> None:
        """Offer a value for where the key has none."""
        standing = self.written_at(key)
        writes = self.once.get(key, ())
        if (standing is not None and at <= standing) or any(
            at == each_at and same(value, each) for each_at, each in writes
        ):
            return
        later = sorted((*writes, (at, value)), key=lambda each: (each[0], ordered(each[1])))
        self.once[key] = tuple(later[:MAX_ONCE])
        if key not in self.at:
            self.params[key] = later[0][1]

    def erase(self, key: str) -> None:
        """As if the key's explicit write had never been."""
        self.at.pop(key, None)
        self.gone.pop(key, None)
        self._show_once(key)

    def _wins(self, key: str, value: Json) -> bool:
        # At equal times a value beats a removal, and the larger text beats the smaller.
        if value is ABSENT or key not in self.at:
            return value is not ABSENT
        return ordered(value) > ordered(self.params[key])

    def _forget_once(self, key: str, until: int) -> None:
        if key in self.once:
            newer = tuple(each for each in self.once[key] if each[0] > until)
            if newer:
                self.once[key] = newer
            else:
                del self.once[key]

    def _show_once(self, key: str) -> None:
        if key in self.once:
            self.params[key] = self.once[key][0][1]
        else:
            self.params.pop(key, None)

    def pack(self) -> tuple[dict[str, Json], int, Marks]:
        """`params`, `params_at` and `marks` for the state; one spelling for one content."""
        params_at = max(self.at.values(), default=0)
        at = {k: t for k, t in self.at.items() if t != params_at or k in self.once}
        marks = Marks(at, self.gone, self.once) if at or self.gone or self.once else NO_MARKS
        return self.params, params_at, marks


def writes_of(membership: MembershipState) -> tuple[list[KeyWrite], list[KeyWrite]]:
    """All explicit and all `set_once` writes a membership remembers, for joining it to another."""
    registers = Registers(membership)
    explicit: list[KeyWrite] = [(k, registers.params[k], at) for k, at in registers.at.items()]
    explicit += [(key, ABSENT, at) for key, at in registers.gone.items()]
    once = [(key, value, at) for key, each in registers.once.items() for at, value in each]
    return explicit, once
