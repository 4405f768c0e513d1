"""What a file looks like under the choices made for it: its columns, their first values, faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO, Any

from tinycrm_core.errors import InvalidInput
from tinycrm_core.transfer import InvalidFile
from tinycrm_core.transfer.guard import unguard
from tinycrm_core.transfer.mapping import SINGLE, Column, Plan, clean_headers, propose_columns
from tinycrm_core.transfer.presets import is_secret, words
from tinycrm_core.transfer.reader import Record, open_records
from tinycrm_core.transfer.sniff import TextFile
from tinycrm_core.transfer.values import KINDS, clean_date_format, read_time
from tinycrm_core.transport import clean_slug
from tinycrm_integrations.web.pages.importing_files import Choices, Upload, file_options

HEAD_ROWS = 200
HEAD_CHARACTERS = 2_000_000
"""How much of a file is looked at before it is read as a whole."""
MAX_COLUMNS = 250
"""Columns that can be chosen for; hosts refuse forms with a thousand fields."""
FIRST_VALUES = 3
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file. `plan` is None where the columns chosen contradict each other."""

    encoding: str
    delimiter: str
    headers: list[str]
    rows: list[list[str]]
    plan: Plan | None

    @property
    def digest(self) -> str:
        """Tells whether a form was made for these columns."""
        return blake2b(
            "\0".join(self.headers).encode("utf-8", "replace"), digest_size=6
        ).hexdigest()

    def at(self, role: str) -> int | None:
        """The place of the column with this role."""
        columns = self.plan.columns if self.plan else ()
        return next((c.index for c in columns if c.role == role and c.project is None), None)


@dataclass(slots=True)
class Faults:
    """What is wrong with the choices, beside which field; `columns` by the place of a column."""

    fields: dict[str, str] = field(default_factory=dict)
    columns: dict[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields or self.columns)


def read_head(upload: Upload) -> tuple[Head | None, Faults]:
    """The beginning of the file as chosen, or what is in the way; both where columns clash."""
    chosen = upload.choices
    faults = Faults()
    try:
        with upload.data.open("rb") as stream:
            encoding, delimiter, cells, rows = _records(stream, chosen)
        headers = clean_headers(cells)
    except InvalidInput as error:
        name = error.field if error.field in ("encoding", "header", "delimiter") else "file"
        faults.fields[str(name)] = said(error.message)
        return None, faults
    mapping = {name: role for name, role in chosen.roles.items() if name in headers}
    _find_doubles(headers, mapping, faults)
    plan = None
    if not faults:
        try:
            plan = _plan(headers, rows, mapping)
        except InvalidInput as error:
            faults.fields["mapping"] = said(error.message)
    return Head(encoding, delimiter, headers, rows, plan), faults


def check_choices(upload: Upload, head: Head | None, faults: Faults, slugs: Sequence[str]) -> None:
    """Add what else is missing before the file can be read as a whole."""
    chosen = upload.choices
    if head is not None and head.plan is not None and head.at("email") is None:
        faults.fields["mapping"] = _no_email(head)
    has_products = head is not None and (head.at("project") is not None or _is_wide(head))
    if chosen.project:
        try:
            clean_slug(chosen.project)
        except InvalidInput as error:
            faults.fields["project"] = said(error.message)
    elif not has_products:
        faults.fields["project"] = "Choose the product that these people are on"
    try:
        clean_date_format(chosen.date_format)
    except InvalidInput as error:
        faults.fields["date_format"] = said(error.message)


def import_options(upload: Upload, head: Head) -> dict[str, Any]:
    """What to call `import_csv` with."""
    chosen = upload.choices
    columns = head.plan.columns if head.plan else ()
    fixed = {c.header: role_of(c) for c in columns if c.header and c.project is None}
    return {
        **file_options(upload),
        "delimiter": head.delimiter,
        "encoding": head.encoding,
        "headers": None if chosen.headed else head.headers,
        "project": chosen.project or None,
        "mapping": fixed if not _is_wide(head) else dict(chosen.roles),
        "status_map": {w: s for w, s in chosen.words.items() if s != "reject"} or None,
        "source": upload.name,
    }


def role_of(column: Column) -> str:
    """The role as a mapping spells it; a guessed type stays a guess."""
    if column.role != "param":
        return column.role
    return f"params.{column.key}" + ("" if _stays_guess(column) else f":{column.kind}")


def _stays_guess(column: Column) -> bool:
    return column.guessed and ":" not in column.key


def said(message: str) -> str:
    """A message of the core as a sentence beside its field."""
    text = message.partition(": ")[2] or message
    return text[:1].upper() + text[1:]


def first_values(head: Head, index: int) -> list[str]:
    """The first different values of a column."""
    found: dict[str, None] = {}
    for row in head.rows:
        cell = row[index].strip() if index < len(row) else ""
        if cell:
            found[cell if len(cell) <= LONGEST_VALUE else cell[:LONGEST_VALUE] + "…"] = None
        if len(found) == FIRST_VALUES:
            break
    return list(found)


def read_as(head: Head, column: Column, date_format: str | None) -> tuple[str, bool]:
    """What becomes of a column, in words, and whether its first value can be read at all."""
    match column.role:
        case "email":
            return "email, needed", True
        case "status":
            return "one of four, see below", True
        case "joined" | "active" | "at":
            return _first_date(head, column.index, date_format)
        case "ignore" if is_secret(column.header):
            return "left out: it looks like a secret", True
        case "ignore":
            return "left out" if column.header else "left out: it has no name", True
        case "params" | "profile":
            return "JSON, one param per key", True
        case "project":
            return "the product of each row", True
        case "aliases":
            return "emails, with spaces between", True
    return "text", True


def _first_date(head: Head, index: int, date_format: str | None) -> tuple[str, bool]:
    for value in first_values(head, index):
        try:
            found = read_time(unguard(value), "date", date_format)
        except InvalidInput:
            return f"{value} is no date in this format", False
        if found is not None:
            return f"date, first is {found.day} {found:%b %Y}", True
    return "date", True


def _records(stream: IO[bytes], chosen: Choices) -> tuple[str, str, list[str], list[list[str]]]:
    """Encoding, delimiter, header and first rows."""
    file = TextFile(stream, chosen.encoding)
    delimiter, found = open_records(file.lines(), chosen.delimiter or None)
    ahead = list(_first(found))
    if not chosen.headed:
        width = max((len(each.cells) for each in ahead), default=1)
        cells = [f"Column {number}" for number in range(1, width + 1)]
    else:
        if ahead[0].fault:
            raise InvalidFile(f"header: {ahead[0].fault}", field="header")
        cells = ahead.pop(0).cells
    return file.encoding, delimiter, cells, [each.cells for each in ahead if not each.fault]


def _first(found: Iterator[Record]) -> Iterator[Record]:
    size = 0
    for count, record in enumerate(found):
        yield record
        size += sum(map(len, record.cells))
        if count == HEAD_ROWS or size > HEAD_CHARACTERS:
            return


def _plan(headers: list[str], rows: list[list[str]], mapping: Mapping[str, str]) -> Plan:
    try:
        return propose_columns(headers, rows, mapping)
    except InvalidInput:
        if mapping:
            raise
    # Headers such as `Total Spend` and `total_spend` come to the same key: number the later ones.
    seen: set[str] = set()
    numbered = {}
    for number, header in enumerate(headers, 1):
        name = words(header)
        if name in seen and header:
            numbered[header] = f"params.{'_'.join(name.split())}_{number}:text"
        seen.add(name)
    return propose_columns(headers, rows, numbered)


def _find_doubles(headers: list[str], mapping: Mapping[str, str], faults: Faults) -> None:
    taken: dict[str, str] = {}
    for index, header in enumerate(headers):
        role = mapping.get(header, "")
        if role.startswith("params."):
            key, colon, kind = role.rpartition(":")
            place = key if colon and kind in KINDS else role
            if place == "params.":
                faults.columns[index] = "A param needs a name"
        else:
            place = role if role in SINGLE else ""
        if place in taken:
            what = place.removeprefix("params.")
            faults.columns[index] = f"{taken[place][:LONGEST_VALUE]} is {what} already"
        elif place:
            taken[place] = header


def _no_email(head: Head) -> str:
    for index, header in enumerate(head.headers):
        cells = [row[index] for row in head.rows if index < len(row) and row[index].strip()]
        if header and cells and all("@" in cell for cell in cells):
            return f"No column is the email yet; {header[:LONGEST_VALUE]} looks like it"
    return "No column is the email yet: say which one holds it"


def _is_wide(head: Head) -> bool:
    return head.plan is not None and any(c.project is not None for c in head.plan.columns)
