"""What an import did, or would do."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import IO, TypeAlias
from uuid import UUID

from tinycrm_core.model import Json
from tinycrm_core.transfer.guard import guard

MAX_LISTED = 100
"""Rejected rows, and values kept, that a report lists; it counts all of them."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: its number, the line where it starts, and why.

    `email` is as the file gives it; `field` is the input at fault, if there is one.
    """

    row: int
    line: int
    email: str
    reason: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored value that is newer than the file's, and stays."""

    row: int
    email: str
    project: str
    field: str
    stored: Json
    given: Json


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the first rows as it will be read."""

    row: int
    email: str
    project: str
    name: str | None
    status: str | None
    params: dict[str, Json]
    joined: datetime | None
    active: datetime | None
    action: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is. `read` and `size` are bytes; `size` is None for streams without end."""

    rows: int
    rejected: int
    read: int
    size: int | None


ProgressCall: TypeAlias = Callable[[Progress], object]


@dataclass(slots=True)
class ImportReport:
    """`rows` is the sum of `created`, `updated`, `unchanged` and `rejected`.

    A person who occurs twice is created by the first row and updated, or left unchanged, by the
    second. `applied` tells whether anything was written: not by a dry run, and not by an
    all-or-nothing run with rejected rows. `batch` is the id under which the import can be undone.
    `columns` pairs every header with its role. `kept` and `rejects` list
    the first 100; `kept_count` and `reasons` count all.
    """

    preset: str = ""
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    dry_run: bool = False
    applied: bool = False
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    kept_count: int = 0
    notes: list[str] = field(default_factory=list)
    batch: UUID | None = None

    def __str__(self) -> str:
        counts = [f"{count:,} {name}" for name, count in self.totals.items() if name != "rows"]
        would = " (nothing written)" if not self.applied and self.rows else ""
        return f"{self.rows:,} rows: {', '.join(counts)}{would}"

    @property
    def totals(self) -> dict[str, int]:
        """The five counts by name."""
        names = ("rows", "created", "updated", "unchanged", "rejected")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Json]:
        """The report as JSON: times as ISO 8601, ids as text."""
        body = asdict(self)
        for sample in body["samples"]:
            for name in ("joined", "active"):
                sample[name] = sample[name] and sample[name].isoformat()
        body["columns"] = [list(each) for each in self.columns]
        body["batch"] = self.batch and str(self.batch)
        return body


class Rejects:
    """Counts rejected rows, keeps the first, and writes all to a CSV file if there is one."""

    def __init__(self, report: ImportReport, stream: IO[str] | None) -> None:
        self._report = report
        self._write = None if stream is None else csv.writer(stream).writerow
        if self._write is not None:
            self._write(("row", "line", "email", "reason"))

    def add(self, reject: Reject) -> None:
        """One more."""
        report = self._report
        report.rejected += 1
        if len(report.rejects) < MAX_LISTED:
            report.rejects.append(reject)
        if reject.reason in report.reasons or len(report.reasons) < MAX_LISTED:
            report.reasons[reject.reason] = report.reasons.get(reject.reason, 0) + 1
        if self._write is not None:
            email, reason = guard(reject.email[:1000]), guard(reject.reason)
            self._write((reject.row, reject.line, email, reason))
