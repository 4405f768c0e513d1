"""Two or more people beside each other: what differs, what would stay, what would happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from itertools import combinations
from typing import Any

from tinycrm_core.model import ABSENT, Customer, Json, Membership
from tinycrm_core.previews import Choices, MergePreview
from tinycrm_core.registers import ordered, same

LONGEST = 120
"""Characters of a value on the page."""


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the people, in their order; ABSENT for those who do not have it.

    `newest` is the place of the person whose value stays by itself, and `chosen` of the one whose
    value is to stay. `is_choice` tells that values differ and somebody can choose, `is_lost` that
    one of the others removed the value later, so that it goes.
    """

    key: str
    project: str | None
    field: str
    values: tuple[Json, ...]
    able: frozenset[int]
    newest: int
    chosen: int
    is_choice: bool
    is_lost: bool

    def offers(self, place: int) -> bool:
        """Whether the value of that person can be chosen."""
        return self.is_choice and place in self.able and self.values[place] is not ABSENT

    def note(self, place: int) -> str:
        """What to say beside the value of that person."""
        if self.is_lost and place == self.newest:
            return "removed on another later, so it goes"
        having = [each for each, value in enumerate(self.values) if value is not ABSENT]
        if all(same(self.values[each], self.values[having[0]]) for each in having):
            return "the same in all" if len(having) > 1 and place == having[0] else ""
        return "newest" if place == self.newest else ""

    @property
    def result(self) -> Json:
        """The value that stays."""
        return self.values[self.chosen]


@dataclass(frozen=True, slots=True)
class Group:
    """A product that several of them are on; `since` is where it starts for each."""

    project: str
    rows: list[Row]
    since: tuple[datetime | None, ...]

    @property
    def earliest(self) -> datetime:
        """What stays as the start."""
        return min(each for each in self.since if each is not None)


class Comparison:
    """The people and every field of theirs. `choices` maps the key of a row to a person's id."""

    def __init__(
        self,
        people: Sequence[Customer],
        preview: Callable[[str, str], MergePreview],
        choices: Mapping[str, str],
    ) -> None:
        self.people = list(people)
        self._choices = choices
        self._winners: dict[tuple[int, int, str | None, str], int] = {}
        self._lost: set[tuple[int, str | None, str]] = set()
        for one, other in combinations(range(len(people)), 2):
            self._note(one, other, preview(people[one].email, people[other].email))
        self._places = {str(each.id): place for place, each in enumerate(people)}

    @cached_property
    def name(self) -> Row:
        """The name."""
        values = tuple(each.name or ABSENT for each in self.people)
        return self._row(None, "name", values, set(range(len(values))))

    @cached_property
    def groups(self) -> list[Group]:
        """The products that more than one of them is on."""
        return [self._group(slug) for slug in self._slugs if len(self._on(slug)) > 1]

    @cached_property
    def alone(self) -> list[tuple[int, Membership]]:
        """The memberships that only one of them has, with the place of that person."""
        ones = [self._on(slug) for slug in self._slugs]
        return [item for each in ones if len(each) == 1 for item in each.items()]

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [self.name, *(row for group in self.groups for row in group.rows)]

    @property
    def differing(self) -> list[Row]:
        """Where somebody can choose."""
        return [row for row in self.rows if row.is_choice]

    @property
    def choices(self) -> Choices:
        """Where another value than the newest is to stay, and whose."""
        return {
            (row.project, row.field): self.people[row.chosen].email
            for row in self.differing
            if row.chosen != row.newest
        }

    @property
    def badges(self) -> list[tuple[str, str]]:
        """Product and status as they will be."""
        found = {m.project: str(m.status) for _, m in self.alone}
        found |= {group.project: str(group.rows[0].result) for group in self.groups}
        return [(slug, found[slug]) for slug in self._slugs]

    @property
    def fingerprint(self) -> str:
        """Changes whenever something on the page does; a form tells by it what its sender saw."""
        seen: list[Any] = [[str(p.id), p.email, *p.aliases] for p in self.people]
        seen += [
            [row.key, row.newest, *(None if v is ABSENT else [v] for v in row.values)]
            for row in self.rows
        ]
        seen += [[place, m.project, str(m.status)] for place, m in self.alone]
        return blake2b(ordered(seen).encode("utf-8", "replace"), digest_size=16).hexdigest()

    @cached_property
    def _slugs(self) -> list[str]:
        """Products of any of them, in the order of the memberships."""
        return list(dict.fromkeys(m.project for each in self.people for m in each.memberships))

    def _on(self, slug: str) -> dict[int, Membership]:
        found = ((place, each.on(slug)) for place, each in enumerate(self.people))
        return {place: membership for place, membership in found if membership is not None}

    def _group(self, slug: str) -> Group:
        on = self._on(slug)
        places = range(len(self.people))
        statuses = tuple(str(on[i].status) if i in on else ABSENT for i in places)
        rows = [self._row(slug, "status", statuses, set(on))]
        keys = dict.fromkeys(key for m in on.values() for key in m.params)
        for key in keys:
            values = tuple(on[i].params.get(key, ABSENT) if i in on else ABSENT for i in places)
            rows.append(self._row(slug, f"params.{key}", values, set(on)))
        since = tuple(on[i].joined_at if i in on else None for i in places)
        return Group(slug, rows, since)

    def _row(
        self, project: str | None, field: str, values: tuple[Json, ...], able: set[int]
    ) -> Row:
        key = f"{project or ''}:{field}"
        having = [place for place, value in enumerate(values) if value is not ABSENT]
        newest = having[0] if having else 0
        for place in having[1:]:
            if self._winners.get((newest, place, project, field)) == place:
                newest = place
        can = able & set(having)
        differs = any(not same(values[newest], values[place]) for place in having)
        chosen = self._places.get(self._choices.get(key, ""), newest)
        if not differs or chosen not in can:
            chosen = newest
        is_lost = (newest, project, field) in self._lost
        return Row(
            key,
            project,
            field,
            values,
            frozenset(can),
            newest,
            chosen,
            differs and bool(can),
            is_lost,
        )

    def _note(self, one: int, other: int, preview: MergePreview) -> None:
        """Whose value is newer where these two differ, and what one of them removed later."""
        for each in preview.conflicts:
            newer = one if same(each.result, each.values[0]) else other
            for pair in ((one, other), (other, one)):
                self._winners[(*pair, each.project, each.field)] = newer
        for place, person in ((one, preview.keep), (other, preview.absorbed[0])):
            for membership in person.memberships:
                after = preview.result.on(membership.project)
                left = after.params.keys() if after else ()
                self._lost |= {
                    (place, membership.project, f"params.{key}")
                    for key in membership.params
                    if key not in left
                }
