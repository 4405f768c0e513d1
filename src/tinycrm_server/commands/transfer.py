"""People in from a file, people out to one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_core.transfer.presets import PRESETS
from tinycrm_core.transfer.report import ImportReport
from tinycrm_core.transfer.report import Progress as Done
from tinycrm_server.commands.console import console, plain, print_json, print_table, with_crm
from tinycrm_server.commands.failing import Failed

SHOWN = 5
"""Reasons and sample rows that are printed."""


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--project", help="The product that takes the rows.")
@click.option(
    "--map",
    "roles",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="What a column is: email=Mail, params.plan=Tier, ignore=Notes. Repeatable.",
)
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Read the file as this export.")
@click.option("--delimiter", help="What separates the cells; found by itself if left out.")
@click.option("--encoding", help="Such as cp1252; UTF-8 if left out.")
@click.option(
    "--status-map",
    "statuses",
    multiple=True,
    metavar="WORD=STATUS",
    help="What a word of the status column means: gold=paid. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, write nothing.")
@click.option("--overwrite", is_flag=True, help="Let the file replace newer values.")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the rejected rows to this CSV file.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON document.")
@with_crm(create=True)
def import_(
    crm: TinyCRM,
    file: Path,
    project: str | None,
    roles: Sequence[str],
    preset: str | None,
    delimiter: str | None,
    encoding: str | None,
    statuses: Sequence[str],
    dry_run: bool,
    overwrite: bool,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Read people from a CSV file. Ends with 1 if no row could be taken."""
    if preset and roles:
        raise InvalidInput("give either --preset or --map", field="preset")
    mapping = preset or {column: role for role, column in _pairs(roles, "--map")}
    with ExitStack() as open_files:
        stream = open_files.enter_context(file.open("rb"))
        written = None
        if rejects is not None:
            written = open_files.enter_context(rejects.open("w", encoding="utf-8", newline=""))
        progress = open_files.enter_context(_progress(file.name, hidden=as_json))
        report = crm.import_csv(
            stream,
            project=project,
            mapping=mapping,
            delimiter="\t" if delimiter in ("\\t", "tab") else delimiter,
            encoding=encoding,
            status_map=dict(_pairs(statuses, "--status-map")) or None,
            dry_run=dry_run,
            overwrite=overwrite,
            rejects=written,
            progress=progress,
            source=file.name,
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    if report.rows and report.rejected == report.rows:
        raise Failed("no row could be taken")


def _pairs(texts: Sequence[str], option: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        left, sign, right = text.partition("=")
        if not left or not sign:
            raise InvalidInput(f"{option}: expected two names joined by =", field=option)
        yield left, right


@contextmanager
def _progress(name: str, *, hidden: bool) -> Iterator[object]:
    """What an import calls to move a bar on stderr; no bar where nobody looks."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
    )
    shown = console(err=True)
    with Progress(
        *columns, console=shown, transient=True, disable=hidden or not shown.is_terminal
    ) as bar:
        task = bar.add_task(plain(name).plain, total=None, rows=0)

        def move(done: Done) -> None:
            bar.update(task, total=done.size, completed=done.read, rows=done.rows)

        yield move


def totals(report: ImportReport) -> str:
    """The counts of a report as a phrase."""
    parts = [
        f"{count:,} {name}"
        for name, count in report.totals.items()
        if count or name in ("rows", "created")
    ]
    return ", ".join(parts)


def _print_report(report: ImportReport) -> None:
    click.echo(f"{'Would be: ' if report.dry_run else ''}{totals(report)}.")
    if report.dry_run:
        print_table(("Column", "Becomes"), report.columns)
        rows = [
            (s.row, s.email, s.name or "", s.status or "", s.action) for s in report.samples[:SHOWN]
        ]
        print_table(("#Row", "Email", "Name", "Status", "What would happen"), rows)
    for reason, count in list(report.reasons.items())[:SHOWN]:
        click.echo(f"  rejected {count:,}: {plain(reason).plain}")
    if len(report.reasons) > SHOWN:
        click.echo("  and for other reasons; --rejects FILE writes them all")
    if report.kept_count:
        click.echo(f"  {report.kept_count:,} values stay, as newer ones are known (--overwrite)")
    for note in report.notes:
        click.echo(f"  {plain(note).plain}")


@click.command()
@click.argument("query", default="")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, allow_dash=True),
    help="The file to write; - is stdout.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), help="csv, or by the file's ending."
)
@with_crm()
def export(crm: TinyCRM, query: str, output: Path, form: str | None) -> None:
    """Write everybody who matches a filter to a file, which is replaced as a whole."""
    form = form or ("jsonl" if output.suffix in (".jsonl", ".ndjson") else "csv")
    write = crm.export_jsonl if form == "jsonl" else crm.export_csv
    if str(output) == "-":
        write(sys.stdout, query)
        return
    with _replacing(output) as stream:
        count = write(stream, query)
    click.echo(f"{count:,} {'row' if count == 1 else 'rows'} in {output}.", err=True)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes the place of `path` once it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
