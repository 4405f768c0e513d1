"""The jobs of an import: the dry run, the import itself, and undoing it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

from tinycrm_core.client import TinyCRM
from tinycrm_core.transfer import ImportReport, Progress, Sample
from tinycrm_integrations.web.pages.importing_files import Upload
from tinycrm_integrations.web.pages.importing_jobs import Job, Superseded, Tell, new_job, start
from tinycrm_integrations.web.pages.importing_reading import Head, import_options
from tinycrm_integrations.web.pages.importing_words import count_words

PATIENCE = 1.0
"""Seconds that a form waits for its job, so that small files need no page in between."""
PEOPLE = 5
"""People shown as they will be."""
SHOWN_PARAMS = 3
RUN = "run"
"""The job that writes has one name, so that an upload is never imported twice at a time."""


def start_check(crm: TinyCRM, upload: Upload, head: Head) -> None:
    """Begin the dry run; an earlier one ends by itself."""
    options = import_options(upload, head)
    job = new_job(upload.folder)

    def work(tell: Tell) -> Mapping[str, Any]:
        def watch(**counts: object) -> None:
            if not upload.is_checked_by(job.name):
                raise Superseded
            tell(**counts)

        words = count_words(upload, head, watch)
        report = _import(crm, upload, job, watch, options | {"dry_run": True})
        people = _people(crm, report)
        return {"words": words, "people": people, "report": report.to_json()}

    old = upload.job(upload.check)
    upload.check = job.name
    upload.save()
    if old is not None and not old.is_alive():
        old.remove()
    _wait(start(job, work))


def start_run(crm: TinyCRM, upload: Upload, head: Head) -> None:
    """Begin the import; the file is deleted when it is done."""
    options = import_options(upload, head)
    job = Job(upload.folder, RUN)

    def work(tell: Tell) -> Mapping[str, Any]:
        report = _import(crm, upload, job, tell, options)
        upload.data.unlink(missing_ok=True)
        return {"report": report.to_json()}

    upload.run = job.name
    upload.save()
    _wait(start(job, work))


def start_undo(crm: TinyCRM, upload: Upload) -> None:
    """Begin to take back the import that `batch` names."""
    batch = upload.batch or ""
    job = Job(upload.folder, RUN)

    def work(tell: Tell) -> Mapping[str, Any]:
        report = crm.imports.undo(batch, progress=lambda people: tell(people=people))
        return {"restored": report.restored, "removed": report.removed}

    upload.run = job.name
    upload.save()
    _wait(start(job, work))


def _wait(thread: threading.Thread | None) -> None:
    if thread is not None:
        thread.join(PATIENCE)


def _import(
    crm: TinyCRM, upload: Upload, job: Job, tell: Tell, options: Mapping[str, Any]
) -> ImportReport:
    def progress(now: Progress) -> None:
        tell(rows=now.rows, rejected=now.rejected, read=now.read)

    with upload.data.open("rb") as stream, _rejects(job) as rejects:
        return crm.import_csv(stream, rejects=rejects, progress=progress, **options)


@contextmanager
def _rejects(job: Job) -> Iterator[IO[str]]:
    """With a mark at its start, by which spreadsheets know its encoding."""
    with job.rejects.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        job.rejects.chmod(0o600)
        yield file


def _people(crm: TinyCRM, report: ImportReport) -> list[dict[str, Any]]:
    """The first people as they will be: with the products they are on already."""
    kept = {(each.row, each.project, each.field): each.stored for each in report.kept}
    people: dict[str, dict[str, Any]] = {}
    for sample in report.samples:
        if sample.email not in people:
            if len(people) == PEOPLE:
                break
            people[sample.email] = _stored(crm, sample)
        person = people[sample.email]
        row = sample.row, sample.project
        person["name"] = kept.get((*row, "name")) or sample.name or person["name"]
        before = person["on"].get(sample.project, "free")
        person["on"][sample.project] = str(kept.get((*row, "status")) or sample.status or before)
        person["params"] |= dict(islice(sample.params.items(), SHOWN_PARAMS))
    return list(people.values())


def _stored(crm: TinyCRM, sample: Sample) -> dict[str, Any]:
    known = None if sample.action == "created" else crm.customers.get(sample.email)
    return {
        "email": sample.email,
        "id": str(known.id) if known else None,
        "name": known.name if known else None,
        "on": {m.project: str(m.status) for m in known.memberships} if known else {},
        "params": {},
    }
