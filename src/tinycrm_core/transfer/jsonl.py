"""Reading people back from the lines that `export_jsonl` writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import Identify, When
from tinycrm_core.model import Json
from tinycrm_core.times import to_micros
from tinycrm_core.transfer.apply import Item
from tinycrm_core.transfer.importer import Items, Source, run_import
from tinycrm_core.transfer.report import ImportReport, ProgressCall, Reject
from tinycrm_core.transfer.rows import Options, Person
from tinycrm_core.transfer.sniff import TextFile
from tinycrm_core.transfer.values import json_value
from tinycrm_core.transport import clean_slug

if TYPE_CHECKING:
    from tinycrm_core.client import TinyCRM


def import_jsonl(
    crm: TinyCRM,
    stream: Source,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
    as_of: When = None,
    on_error: str = "report",
    rejects: IO[str] | None = None,
    progress: ProgressCall | None = None,
    batch_size: int = 1000,
    source: str = "",
) -> ImportReport:
    """Read people from JSON lines, one per person; the options are those of `import_csv`."""

    return run_import(
        crm, stream, _items,
        dry_run=dry_run, overwrite=overwrite, as_of=as_of, on_error=on_error, rejects=rejects,
        progress=progress, batch_size=batch_size, source=source,
    )  # fmt: skip


def _items(file: TextFile, report: ImportReport, options: Options) -> Items:
    report.encoding, report.preset = file.encoding, "tinycrm"
    return _read(file.lines(), options)


def _read(lines: Iterator[str], options: Options) -> Items:
    row = 0
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        row += 1
        email = ""
        try:
            body = json_value(text)
            if not isinstance(body, dict):
                raise InvalidInput("row: the line does not hold a JSON object", field="row")
            email = str(body.get("email") or "")
            yield Item(row, line, _person(body, row, options))
        except TinyCRMError as error:
            yield Reject(row, line, email, error.message, error.field)


def _person(body: dict[str, Json], row: int, options: Options) -> Person:
    memberships, aliases = body.get("memberships"), body.get("aliases") or []
    if not isinstance(memberships, list) or not memberships:
        raise InvalidInput("memberships: the person is on no product", field="memberships")
    if not isinstance(aliases, list) or not all(isinstance(each, str) for each in aliases):
        raise InvalidInput("aliases: expected a list of addresses", field="aliases")
    events = [_event(body, each, row, options) for each in memberships]
    return Person(events[0][1].email, events, tuple(aliases))


def _event(
    body: dict[str, Json], membership: Json, row: int, options: Options
) -> tuple[str, Identify]:
    if not isinstance(membership, dict):
        raise InvalidInput("memberships: expected objects", field="memberships")
    joined, active = (
        None if membership.get(name) is None else to_micros(membership[name], field=name)
        for name in ("joined", "active")
    )
    dates = [each for each in (joined, active) if each is not None]
    event = Identify(
        body.get("email"),  # type: ignore[arg-type]
        name=body.get("name"),
        status=membership.get("status"),
        params=membership.get("params"),
        at=options.event_at(dates, row),
        active=False,
        joined=joined,
        seen=None if active is None else min(active, options.start),
        limits=options.limits,
    )
    return clean_slug(membership.get("project")), event
