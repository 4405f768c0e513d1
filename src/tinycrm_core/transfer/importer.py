"""Importing people: read, check, apply in batches, and report every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, TypeAlias

from tinycrm_core import times
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import When
from tinycrm_core.transfer.apply import Item, Run
from tinycrm_core.transfer.mapping import clean_headers, plan_columns
from tinycrm_core.transfer.reader import Record, open_records
from tinycrm_core.transfer.report import ImportReport, Progress, ProgressCall, Reject, Rejects
from tinycrm_core.transfer.rows import Options, ReadRow, row_reader
from tinycrm_core.transfer.sniff import (
    InvalidFile,
    TextFile,
    check_encoding,
    clean_delimiter,
)
from tinycrm_core.transfer.spool import rewindable
from tinycrm_core.transfer.values import clean_date_format
from tinycrm_core.transport import clean_slug

if TYPE_CHECKING:
    from tinycrm_core.client import TinyCRM

SAMPLE_ROWS = 200
"""Rows that are looked at before the types of columns are guessed."""

SAMPLE_SIZE = 4 * 1024 * 1024
"""Characters after which no further row of these is read: a few rows can be huge."""

LONGEST_SHOWN = 1000
"""Characters of the address that a rejected row is listed with."""

Source: TypeAlias = IO[bytes] | IO[str]
Items: TypeAlias = Iterator[Item | Reject]
Open: TypeAlias = Callable[[TextFile, ImportReport, Options], Items]


def import_csv(
    crm: TinyCRM,
    stream: Source,
    *,
    project: str | None = None,
    mapping: Mapping[str, str] | str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    headers: Sequence[str] | None = None,
    status_map: Mapping[str, str] | None = None,
    date_format: str | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    as_of: When = None,
    on_error: str = "report",
    rejects: IO[str] | None = None,
    progress: ProgressCall | None = None,
    batch_size: int = 1000,
    source: str = "",
    raw: bool = False,
) -> ImportReport:
    """Read people from a CSV stream, binary or text, in constant memory.

    `project` takes the rows, unless the file names products itself. `mapping` is a preset's name
    or `{header: role}`; headers it leaves out keep their automatic role. A row's values count as
    of its newest date, rows without one as of `as_of` (default: now), and never replace anything
    newer, except with `overwrite`. `on_error="stop"` writes all rows or none. `dry_run` reports
    the same and writes nothing. `rejects` takes the rejected rows as CSV. `raw` reads cells as
    they are, without taking off the apostrophe that guards formulas. `headers` name the columns
    of a file whose first line is a row already.

    Raises InvalidFile for a file that cannot be read and InvalidInput for a wrong option.
    """
    if delimiter is not None:
        clean_delimiter(delimiter)

    def read(file: TextFile, report: ImportReport, options: Options) -> Items:
        return _csv_items(file, report, options, mapping, delimiter, headers)

    return run_import(
        crm, stream, read,
        project=project, encoding=encoding, status_map=status_map, date_format=date_format,
        dry_run=dry_run, overwrite=overwrite, as_of=as_of, on_error=on_error, rejects=rejects,
        progress=progress, batch_size=batch_size, source=source, raw=raw,
    )  # fmt: skip


def _csv_items(
    file: TextFile,
    report: ImportReport,
    options: Options,
    mapping: Mapping[str, str] | str | None,
    delimiter: str | None,
    named: Sequence[str] | None,
) -> Items:
    delimiter, found = open_records(file.lines(), delimiter)
    headers = clean_headers(_header(found) if named is None else named, raw=options.raw)
    ahead = _sample(found)
    plan = plan_columns(headers, [each.cells for each in ahead if not each.fault], mapping)
    report.encoding, report.delimiter, report.preset = file.encoding, delimiter, plan.preset.name
    report.columns = tuple((column.header, column.spelled) for column in plan.columns)
    report.notes += _notes(headers)
    # The header is the first record, where there is one.
    before = 1 if named is None else 0
    return _read_rows(chain(ahead, found), row_reader(plan, options), plan.email_at, before)


def _sample(found: Iterator[Record]) -> list[Record]:
    """The first rows, as many as fit."""
    ahead, size = [], 0
    for record in islice(found, SAMPLE_ROWS):
        ahead.append(record)
        size += sum(map(len, record.cells))
        if size > SAMPLE_SIZE:
            break
    return ahead


def _header(found: Iterator[Record]) -> list[str]:
    header = next(found, None)
    if header is None or header.fault is not None:
        fault = "file: is empty" if header is None else f"header: {header.fault}"
        raise InvalidFile(fault, field="header", line=1)
    return header.cells


def _notes(headers: list[str]) -> list[str]:
    unnamed = [str(index) for index, header in enumerate(headers, 1) if not header]
    return [f"columns without a header are left out: {', '.join(unnamed)}"] if unnamed else []


def _read_rows(found: Iterator[Record], read: ReadRow, email_at: int, before: int) -> Items:
    for number, line, cells, fault in found:
        row = number - before
        try:
            if fault is not None:
                raise InvalidInput(f"row: {fault}", field="row")
            yield Item(row, line, read(cells, row))
        except TinyCRMError as error:
            email = cells[email_at][:LONGEST_SHOWN] if email_at < len(cells) else ""
            yield Reject(row, line, email, error.message, error.field)


def run_import(
    crm: TinyCRM,
    stream: Source,
    read: Open,
    *,
    project: str | None = None,
    encoding: str | None = None,
    status_map: Mapping[str, str] | None = None,
    date_format: str | None = None,
    dry_run: bool,
    overwrite: bool,
    as_of: When,
    on_error: str,
    rejects: IO[str] | None,
    progress: ProgressCall | None,
    batch_size: int,
    source: str,
    raw: bool = False,
) -> ImportReport:
    """One import, whatever the form of the file: `read` makes rows of it, once per pass."""
    start = times.now()
    options = Options(
        start=start,
        as_of=_as_of(as_of, start),
        project=None if project is None else clean_slug(project),
        status_map=status_map,
        date_format=clean_date_format(date_format),
        overwrite=overwrite,
        raw=raw,
        limits=crm.limits,
    )
    if on_error not in ("report", "stop"):
        raise InvalidInput("on_error: must be report or stop", field="on_error")
    if type(batch_size) is not int or not 1 <= batch_size <= 10_000:
        raise InvalidInput("batch_size: must be 1 to 10000", field="batch_size")
    with rewindable(stream, wanted=on_error == "stop") as (steady, size):
        begin = steady.tell() if size is not None else 0

        def go(*, write: bool, told: IO[str] | None) -> ImportReport:
            if size is not None:
                steady.seek(begin)
            report = ImportReport(dry_run=dry_run)
            file = TextFile(steady, encoding)
            items = read(file, report, options)
            run = Run(crm, report, Rejects(report, told), options, source, write=write)
            for done in run.batches(items, batch_size):
                if progress is not None:
                    progress(Progress(done, report.rejected, file.read_bytes, size))
            return report

        if size is not None and not dry_run:
            _check_whole(steady, begin, encoding)
        if dry_run:
            return go(write=False, told=rejects)
        if on_error == "stop":
            trial = go(write=False, told=rejects)
            if trial.rejected:
                return trial
            rejects = None
        report = go(write=True, told=rejects)
        if on_error == "stop" and report.rejected and report.batch is not None:
            # Somebody was forgotten between the two passes.
            crm.imports.undo(report.batch)
            report.applied = False
        return report


def _check_whole(stream: Source, begin: int, encoding: str | None) -> None:
    """Refuse a file in the wrong encoding before the first row of it is written."""
    stream.seek(begin)
    found = TextFile(stream, encoding).encoding
    stream.seek(begin)
    sample = stream.read(0)
    if isinstance(sample, bytes):
        check_encoding(stream, found)  # type: ignore[arg-type]
    stream.seek(begin)


def _as_of(as_of: When, start: int) -> int:
    if as_of is None:
        return start
    given = as_of if type(as_of) is int else times.to_micros(as_of, field="as_of")
    return min(given, start)
