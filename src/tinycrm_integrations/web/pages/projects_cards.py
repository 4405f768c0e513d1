"""What the pages about products show of each: people by status, and its keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tinycrm_core.directory import LIVE_KEYS
from tinycrm_core.model import Project, Status
from tinycrm_core.times import from_micros
from tinycrm_integrations.web.pages.statuses import Statuses, people_by_status
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import Visit

SECONDS = 1.0
"""Time for counting people; products whose turn does not come show no number."""
PATIENT_SECONDS = 30.0
"""The same for somebody who asked to count anyway."""

IDLE = timedelta(days=30)
"""After this long without a call a key is pointed out."""


@dataclass(frozen=True, slots=True)
class Key:
    """A live key as lists show it; `project` is None for a key of the account with its `scope`."""

    id: UUID
    label: str
    hint: str
    project: str | None
    scope: str
    created_at: datetime
    last_used_at: datetime | None
    is_idle: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One product as a page shows it; `people` is None where there was no time to count."""

    project: Project
    keys: list[Key]
    people: int | None
    statuses: list[tuple[str, int]]

    @property
    def has_room(self) -> bool:
        """Whether it can have another key."""
        return len(self.keys) < LIVE_KEYS


def live_keys(visit: Visit) -> list[Key]:
    """The keys that work, oldest first."""
    found = []
    for key, project in visit.crm.keys.list():
        if key.revoked_at is not None:
            continue
        created = from_micros(key.created_at)
        used = None if key.last_used_at is None else from_micros(key.last_used_at)
        idle = visit.now - (used or created) > IDLE
        found.append(Key(key.id, key.label, key.hint, project, key.scope, created, used, idle))
    return sorted(found, key=lambda each: (each.created_at, each.id))


def seen(keys: Iterable[Key]) -> str:
    """What a form says of the keys that its page showed.

    A form that is sent twice, by a double click or by loading its answer again, finds others.
    """
    return " ".join(sorted(str(each.id) for each in keys))


def cards(visit: Visit, projects: Iterable[Project], keys: Iterable[Key]) -> list[Card]:
    """The products with their numbers, as far as there is time; `count=all` asks for patience."""
    patient = ("count", "all") in visit.request.query
    limit = TimeLimit(PATIENT_SECONDS if patient else SECONDS)
    shown = list(projects)
    numbers = people_by_status(visit, [each.slug for each in shown], limit)
    return [_card(each, keys, numbers[each.slug]) for each in shown]


def _card(project: Project, keys: Iterable[Key], numbers: Statuses | None) -> Card:
    mine = [each for each in keys if each.project == project.slug]
    if numbers is None:
        return Card(project, mine, None, [])
    statuses = [(status, numbers[status]) for status in map(str, Status) if status in numbers]
    return Card(project, mine, sum(numbers.values()), statuses)
