"""Merges as callers ask for them and see them beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tinycrm_core import merge, times
from tinycrm_core.email import canonical
from tinycrm_core.errors import InvalidInput
from tinycrm_core.model import ABSENT, Customer, Json
from tinycrm_core.registers import ordered
from tinycrm_core.state import CustomerState
from tinycrm_core.views import copied, copied_value, customer_view

Choices: TypeAlias = Mapping[tuple[str | None, str], str]
"""Whose value stays: `(project, field)` of a conflict, and the address of that person."""

MOST_ABSORBED = 50
"""People who become part of another one at a time."""


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """A field in which the people differ. `project` is None for the name.

    `values` come in the order of the people, the kept one first; ABSENT stands for who has none.
    `result` is what stays, ABSENT if one of them removed it later than the others wrote it.
    """

    project: str | None
    field: str
    values: tuple[Json, ...]
    result: Json


@dataclass(frozen=True, slots=True)
class MergePreview:
    """What a merge would do: who stays, who goes, which products move, where they differ."""

    keep: Customer
    absorbed: tuple[Customer, ...]
    result: Customer
    moves: tuple[str, ...]
    conflicts: tuple[MergeConflict, ...]

    @property
    def outcome(self) -> str:
        """Equal for previews that promise the same; when people were active says nothing here."""
        who, stays = (self.keep, *self.absorbed), self.result
        return ordered(
            [
                [[str(each.id), each.email, *each.aliases] for each in who],
                stays.name,
                [[m.project, str(m.status), m.params] for m in stays.memberships],
                [[c.project, c.field, [_shown(each) for each in c.values]] for c in self.conflicts],
            ]
        )


def everybody(keep: str, absorb: str | Sequence[str]) -> list[str]:
    """The addresses of the people to be merged. Raises InvalidInput or InvalidEmail."""
    others: object = [absorb] if isinstance(absorb, str) else absorb
    if not isinstance(others, list | tuple) or not 1 <= len(others) <= MOST_ABSORBED:
        raise InvalidInput(
            f"absorb: expected an address or 1 to {MOST_ABSORBED} of them", field="absorb"
        )
    return [canonical(each) for each in (keep, *others)]


def chosen_values(
    people: Sequence[CustomerState], choices: Choices, slugs: Mapping[int, str]
) -> dict[merge.Field, Json]:
    """The values that were chosen, by the id of their product. Raises InvalidInput."""
    ids = {slug: project_id for project_id, slug in slugs.items()}
    has = {each.id: dict(merge.values_of(each)) for each in people}
    values: dict[merge.Field, Json] = {}
    for key, whose in choices.items():
        address = canonical(whose)
        owner = next((each for each in people if address in each.emails), None)
        if owner is None:
            raise InvalidInput("choices: names somebody who is not merged", field="choices")
        try:
            project, name = key
            field = (None if project is None else ids[project], name)
            values[field] = has[owner.id][field]
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                f"choices: that person has nothing for {ascii(key)[:80]}", field="choices"
            ) from None
    return values


def preview(
    people: Sequence[CustomerState], values: Mapping[merge.Field, Json], slugs: Mapping[int, str]
) -> MergePreview:
    """What merging these people, the first of whom is kept, with these values would do."""
    kept, *absorbed = people
    newest = merge.merge(kept, *absorbed)
    result = merge.choose(newest, merge.against(newest, values), kept.id, times.now())
    moving = {key for each in absorbed for key in each.memberships}
    return MergePreview(
        copied(customer_view(kept, slugs)),
        tuple(copied(customer_view(each, slugs)) for each in absorbed),
        copied(customer_view(result, slugs)),
        tuple(slug for key, slug in slugs.items() if key in moving),
        tuple(
            MergeConflict(
                None if project_id is None else slugs.get(project_id),
                field,
                tuple(map(copied_value, each.values)),
                copied_value(each.result),
            )
            for each in merge.conflicts(people, result)
            for project_id, field in [each.field]
        ),
    )


def _shown(value: Json) -> list[Json]:
    return [] if value is ABSENT else [value]
