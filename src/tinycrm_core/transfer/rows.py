"""From the cells of a row to events: the plan of a file, compiled into one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tinycrm_core.errors import InvalidInput, InvalidParams, InvalidStatus
from tinycrm_core.events import STATUSES, Identify, clean_status
from tinycrm_core.limits import LIMITS, Limits
from tinycrm_core.model import Json
from tinycrm_core.transfer.guard import unguard
from tinycrm_core.transfer.mapping import Column, Plan
from tinycrm_core.transfer.values import converter, instant, json_value
from tinycrm_core.transport import clean_slug

SAYS_NOTHING = ""
"""In a status map: the word is known and leaves the status alone."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every row of an import has in common. Times in microseconds.

    `start` is when the import began: no event is newer. `as_of` is the event time of rows without
    a date.
    """

    start: int
    as_of: int
    project: str | None = None
    status_map: Mapping[str, str] | None = None
    date_format: str | None = None
    overwrite: bool = False
    raw: bool = False
    limits: Limits = LIMITS

    def event_at(self, dates: Sequence[int], number: int) -> int | None:
        """The time of a row's values: its newest date. Without one, later rows count as newer."""
        if self.overwrite:
            return None
        return min(max(dates), self.start) if dates else self.as_of + number


class Person(NamedTuple):
    """What one row says: an event per product, and other addresses of the same person."""

    email: str
    events: list[tuple[str, Identify]]
    aliases: tuple[str, ...] = ()


ReadRow: TypeAlias = Callable[[list[str], int], Person]
_Params: TypeAlias = list[tuple[int, str, Callable[[str], Json] | None]]


class _Group:
    """The columns about one membership."""

    def __init__(self, columns: Sequence[Column], options: Options, project: str | None) -> None:
        at = {column.role: column.index for column in columns}
        self.project = project
        self.status = at.get("status")
        self.joined = at.get("joined")
        self.times = [(name, at[name]) for name in ("joined", "active", "at") if name in at]
        self.params: _Params = [
            (c.index, c.key, converter(c.kind, c.key, options.date_format, c.guessed))
            for c in columns
            if c.role == "param"
        ]
        self.spread = at.get("params")
        self.profile = at.get("profile")


def row_reader(plan: Plan, options: Options) -> ReadRow:
    """The function that reads a row; it raises an InvalidInput that says what is wrong with it."""
    columns = plan.columns
    at = {column.role: column.index for column in columns if column.project is None}
    email_at, aliases_at, project_at = at["email"], at.get("aliases"), at.get("project")
    slugs = dict.fromkeys(c.project for c in columns if c.project is not None)
    if slugs:
        groups = [_Group([c for c in columns if c.project == s], options, s) for s in slugs]
    else:
        groups = [_Group(columns, options, None)]
    read_name, read_status = _name_reader(at), _status_reader(plan, options)
    bare = (lambda cell: cell) if options.raw else unguard
    width = len(columns)

    def read(cells: list[str], number: int) -> Person:
        if len(cells) != width:
            cells = _fitted(cells, width)
        email = bare(cells[email_at])
        if not email.strip():
            raise InvalidInput("email: missing", field="email")
        name = read_name(cells, bare)
        events = []
        for group in groups:
            slug = group.project
            if slug is None:
                slug = _slug(cells, project_at, options.project)
            elif not _is_there(group, cells):
                continue
            params, name = _params(group, cells, name, bare)
            joined, active, dates = _times(group, cells, bare, options.date_format)
            status = None if group.status is None else read_status(bare(cells[group.status]))
            events.append((slug, Identify(
                email,
                name=name,
                status=status,
                params=params or None,
                at=options.event_at(dates, number),
                active=False,
                joined=joined,
                seen=None if active is None else min(active, options.start),
                limits=options.limits,
            )))  # fmt: skip
        if not events:
            raise InvalidInput("project: the row has no values for any product", field="project")
        aliases = bare(cells[aliases_at]).split() if aliases_at is not None else ()
        return Person(email, events, tuple(aliases))

    return read


def _fitted(cells: list[str], width: int) -> list[str]:
    """Empty cells beyond the header are dropped; any other difference is an error."""
    if len(cells) > width and not any(cells[width:]):
        return cells[:width]
    raise InvalidInput(f"row: has {len(cells)} cells where the header has {width}", field="row")


def _name_reader(
    at: Mapping[str, int],
) -> Callable[[list[str], Callable[[str], str]], str | None]:
    places = [at[role] for role in ("name",) if role in at] or [
        at[role] for role in ("first_name", "last_name") if role in at
    ]

    def read(cells: list[str], bare: Callable[[str], str]) -> str | None:
        if len(places) == 1:
            return bare(cells[places[0]]) or None
        parts = (bare(cells[place]).strip() for place in places)
        return " ".join(part for part in parts if part) or None

    return read


def _status_reader(plan: Plan, options: Options) -> Callable[[str], str | None]:
    table: dict[str, str | None] = {"": None, **{each: each for each in STATUSES}}
    table |= plan.preset.statuses
    for word, status in (options.status_map or {}).items():
        meant = SAYS_NOTHING if status == SAYS_NOTHING else clean_status(status)
        table[word.strip().lower()] = meant

    def read(cell: str) -> str | None:
        word = cell.strip().lower()
        try:
            return table[word] or None
        except KeyError:
            pass
        try:
            return clean_status(cell, forgiving=True)
        except InvalidStatus as error:
            raise InvalidStatus(f"{error.message}; status_map can say what it means") from None

    return read


def _slug(cells: list[str], at: int | None, default: str | None) -> str:
    given = cells[at].strip() if at is not None else ""
    if given:
        return clean_slug(given)
    if default is None:
        raise InvalidInput("project: the row names no product", field="project")
    return default


def _is_there(group: _Group, cells: list[str]) -> bool:
    """Whether the person is on this product: the layout gives members a status and a date."""
    places = [place for place in (group.status, group.joined) if place is not None]
    if not places:
        places = [index for index, _, _ in group.params]
    return any(cells[place] for place in places)


def _times(
    group: _Group, cells: list[str], bare: Callable[[str], str], date_format: str | None
) -> tuple[int | None, int | None, list[int]]:
    joined = active = None
    dates = []
    for name, index in group.times:
        cell = cells[index]
        if cell and not cell.isspace():
            micros = instant(bare(cell), name, date_format)
            if micros is not None:
                dates.append(micros)
                if name == "joined":
                    joined = micros
                elif name == "active":
                    active = micros
    return joined, active, dates


def _params(
    group: _Group, cells: list[str], name: str | None, bare: Callable[[str], str]
) -> tuple[dict[str, Json], str | None]:
    params: dict[str, Json] = {}
    if group.spread is not None and cells[group.spread].strip():
        params |= _object(bare(cells[group.spread]), "params")
    if group.profile is not None and cells[group.profile].strip():
        profile = _object(bare(cells[group.profile]), "profile")
        found = [profile.pop(key, None) for key in ("full_name", "name")]
        if name is None:
            name = next((each for each in found if isinstance(each, str) and each.strip()), None)
        params |= profile
    for index, key, convert in group.params:
        cell = cells[index]
        if cell and not cell.isspace():
            if cell[0] == "'":
                cell = bare(cell)
            value = cell if convert is None else convert(cell)
            if value is not None:
                params[key] = value
    return params, name


def _object(text: str, field: str) -> dict[str, Json]:
    value = json_value(text) if text.strip() else None
    if isinstance(value, dict):
        return value
    raise InvalidParams(f"{field}: the cell does not hold a JSON object", field=field)
