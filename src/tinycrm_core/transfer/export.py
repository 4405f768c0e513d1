"""Exporting people: CSV for spreadsheets, and two lossless forms, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from tinycrm_core.errors import InvalidFilter, InvalidInput
from tinycrm_core.limits import dumps
from tinycrm_core.model import Customer, Json, Membership
from tinycrm_core.params import path_parts
from tinycrm_core.query_text import FilterLike, read_param, split_project
from tinycrm_core.transfer.guard import guard
from tinycrm_core.transfer.sniff import clean_delimiter

if TYPE_CHECKING:
    from tinycrm_core.client import TinyCRM

LAYOUTS = ("memberships", "customers")
PERSON = ("email", "name", "aliases", "created", "seen", "projects")
MEMBERSHIP = ("project", "status", "joined", "active", "params")
ROWS_PER_CHUNK = 100

Cell: TypeAlias = Callable[[Customer, Membership | None], Json]


def _aliases(customer: Customer) -> str:
    return " ".join(customer.aliases)


_OF_PERSON: Mapping[str, Callable[[Customer], Json]] = {
    "email": lambda customer: customer.email,
    "name": lambda customer: customer.name,
    "aliases": _aliases,
    "created": lambda customer: customer.created_at,
    "seen": lambda customer: customer.last_seen_at,
    "projects": lambda customer: len(customer.memberships),
}
_OF_MEMBERSHIP: Mapping[str, Callable[[Membership], Json]] = {
    "project": lambda membership: membership.project,
    "status": lambda membership: str(membership.status),
    "joined": lambda membership: membership.joined_at,
    "active": lambda membership: membership.last_active_at,
    "params": lambda membership: membership.params,
}


def csv_chunks(
    crm: TinyCRM,
    filter: FilterLike = "",
    *,
    layout: str = "memberships",
    columns: Sequence[str] | None = None,
    sort: str = "created",
    delimiter: str = ",",
    raw: bool = False,
) -> Iterator[str]:
    """The text of `export_csv` in pieces, the header first; for streamed responses."""
    for text, _ in _chunks(crm, filter, layout, columns, sort, delimiter, raw):
        yield text


def export_csv(
    crm: TinyCRM,
    stream: IO[str] | IO[bytes],
    filter: FilterLike = "",
    *,
    layout: str = "memberships",
    columns: Sequence[str] | None = None,
    sort: str = "created",
    delimiter: str = ",",
    raw: bool = False,
    bom: bool = False,
) -> int:
    """Write the people a filter finds as CSV (UTF-8, CRLF); returns the number of rows.

    `layout="memberships"` is one row per person and product and loses nothing; people who are on
    no product get a row without one. `layout="customers"` is one row per person with columns such
    as `status@shop` and `p.plan@shop`. `columns` chooses and orders them.

    Text that a spreadsheet would run as a formula is written behind an apostrophe, headers too,
    which an import takes off again; `raw` writes it as it is. `bom` starts with a byte order
    mark, by which Excel knows UTF-8.
    """
    write = _writer(stream)
    if bom:
        write("\ufeff")
    count = 0
    for text, rows in _chunks(crm, filter, layout, columns, sort, delimiter, raw):
        write(text)
        count += rows
    return count


def _chunks(
    crm: TinyCRM,
    filter: FilterLike,
    layout: str,
    columns: Sequence[str] | None,
    sort: str,
    delimiter: str,
    raw: bool,
) -> Iterator[tuple[str, int]]:
    clean_delimiter(delimiter)
    if layout not in LAYOUTS:
        raise InvalidInput(f"layout: must be {' or '.join(LAYOUTS)}", field="layout")
    wide = layout == "customers"
    names = list(columns) if columns is not None else _default_columns(crm, wide)
    slugs = {project.slug for project in crm.projects.list()}
    cells = [_cell(name, wide, slugs, nested=columns is not None) for name in names]
    buffer = io.StringIO(newline="")
    write = csv.writer(buffer, delimiter=delimiter).writerow
    write(names if raw else [guard(name) for name in names])
    yield buffer.getvalue(), 0
    pending = 0
    _empty(buffer)
    for customer in crm.customers.stream(filter, sort=sort):
        rows: Sequence[Membership | None] = (None,) if wide else customer.memberships or (None,)
        for membership in rows:
            write([_written(cell(customer, membership), raw) for cell in cells])
            pending += 1
        if pending >= ROWS_PER_CHUNK:
            yield buffer.getvalue(), pending
            pending = 0
            _empty(buffer)
    if pending:
        yield buffer.getvalue(), pending


def _empty(buffer: io.StringIO) -> None:
    buffer.seek(0)
    buffer.truncate()


def _default_columns(crm: TinyCRM, wide: bool) -> list[str]:
    if not wide:
        return [*PERSON[:5], *MEMBERSHIP]
    keys: dict[str, list[str]] = {project.slug: [] for project in crm.projects.list()}
    for slug, state in crm.projects.params():
        parts = path_parts(state.path)
        if len(parts) == 1:
            keys[slug].append(parts[0])
    names = list(PERSON[:5])
    for slug, params in keys.items():
        names += [f"{name}@{slug}" for name in ("status", "joined", "active")]
        names += [f"p.{key}@{slug}" for key in sorted(params)]
    return names


def _cell(name: str, wide: bool, slugs: Set[str], *, nested: bool) -> Cell:
    """What fills a column; with `nested`, a key is spelled as in filters."""
    if name in _OF_PERSON:
        of_person = _OF_PERSON[name]
        return lambda customer, membership: of_person(customer)
    field, project = split_project(name) if wide else (name, None)
    read = _reader(field, nested)
    if read is None or (project is not None and project not in slugs):
        raise InvalidInput(
            f"columns: {ascii(name)[:60]} is no column; there are {', '.join(PERSON)}, "
            f"{', '.join(MEMBERSHIP)} and p.<key>, in the customers layout with "
            f"@<product> ({', '.join(sorted(slugs)) or 'none yet'})",
            field="columns",
        )
    if not wide:
        return lambda customer, membership: None if membership is None else read(membership)
    if project is not None:
        return lambda customer, membership: _on(customer, project, read)
    return lambda customer, membership: _everywhere(customer, read)


def _reader(field: str, nested: bool) -> Callable[[Membership], Json] | None:
    if not field.startswith("p.") or field == "p.":
        return _OF_MEMBERSHIP.get(field)
    key, path = field[2:], _path(field) if nested else ()

    def read(membership: Membership) -> Json:
        value: Json = membership.params
        if key in value or not path:
            return value.get(key)
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    return read


def _path(field: str) -> tuple[str, ...]:
    """Where a filter would look; nowhere for a key that filters could only name in quotes."""
    try:
        return read_param(field).path
    except InvalidFilter:
        return ()


def _on(customer: Customer, project: str, read: Callable[[Membership], Json]) -> Json:
    membership = customer.on(project)
    return None if membership is None else read(membership)


def _everywhere(customer: Customer, read: Callable[[Membership], Json]) -> Json:
    """The values on all products: one as it is, several as one text."""
    found = [value for value in map(read, customer.memberships) if value is not None]
    if len(found) < 2:
        return found[0] if found else None
    return "; ".join(dict.fromkeys(_plain(value) for value in found))


def _plain(value: Json) -> str:
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else dumps(value)


def _written(value: Json, raw: bool) -> Json:
    if value is None:
        return ""
    if type(value) is str:
        return value if raw else guard(value)
    return value.isoformat() if isinstance(value, datetime) else dumps(value)


def jsonl_chunks(crm: TinyCRM, filter: FilterLike = "", *, sort: str = "created") -> Iterator[str]:
    """The lines of `export_jsonl`, one at a time; for streamed responses."""
    for customer in crm.customers.stream(filter, sort=sort):
        yield dumps(customer_json(customer)) + "\n"


def export_jsonl(
    crm: TinyCRM, stream: IO[str] | IO[bytes], filter: FilterLike = "", *, sort: str = "created"
) -> int:
    """Write one JSON object per person and line, memberships inside; returns how many."""
    write = _writer(stream)
    count = 0
    for line in jsonl_chunks(crm, filter, sort=sort):
        write(line)
        count += 1
    return count


def customer_json(customer: Customer) -> dict[str, Json]:
    """A person as JSON, with the words of filters: `created`, `seen`, `joined`, `active`."""
    return {
        "email": customer.email,
        "name": customer.name,
        "aliases": list(customer.aliases),
        "created": _time(customer.created_at),
        "seen": _time(customer.last_seen_at),
        "memberships": [
            {
                "project": membership.project,
                "status": str(membership.status),
                "joined": _time(membership.joined_at),
                "active": _time(membership.last_active_at),
                "params": membership.params,
            }
            for membership in customer.memberships
        ],
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _writer(stream: IO[Any]) -> Callable[[str], object]:
    """Writes text to a stream of either kind, as UTF-8 where it takes bytes."""
    try:
        stream.write("")
    except TypeError:
        return lambda text: stream.write(text.encode())
    write: Callable[[str], object] = stream.write
    return write
