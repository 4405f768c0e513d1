"""The import pages: a file comes in, is looked at, is written, and can be taken back."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from uuid import UUID

from tinycrm_core.errors import NotFound
from tinycrm_core.state import BatchState
from tinycrm_core.store import Transaction
from tinycrm_core.times import from_micros
from tinycrm_core.transfer import InvalidFile, content_disposition
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.pages.importing_columns import columns_page, read_form
from tinycrm_integrations.web.pages.importing_files import GONE, NO_ROOM, Upload
from tinycrm_integrations.web.pages.importing_jobs import State
from tinycrm_integrations.web.pages.importing_reading import (
    check_choices,
    import_options,
    read_head,
    said,
)
from tinycrm_integrations.web.pages.importing_work import start_check, start_run, start_undo
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

log = logging.getLogger("tinycrm.admin")

MAX_PASTE = 100_000
"""Characters of pasted rows: hosts refuse larger form fields; more comes as a file."""
SHOWN_BATCHES = 20


def begin(visit: Visit) -> View:
    """Upload or paste, and what was imported before."""
    return _begin(visit)


def _begin(visit: Visit, fault: str | None = None, field: str = "file") -> View:
    batches = list(visit.crm.tenant.read(_batches))
    context = {
        "title": "Import",
        "fault": fault,
        "field": field,
        "text": visit.request.value("text"),
        "project": visit.request.value("project") or dict(visit.request.query).get("project", ""),
        "new": visit.request.value("new"),
        "max_paste": MAX_PASTE,
        "max_bytes": visit.uploads.max_bytes,
        "batches": [_line(*each) for each in batches[:SHOWN_BATCHES]],
        "more": len(batches) > SHOWN_BATCHES,
    }
    return View("import.html", context, 422 if fault else 200)


def _batches(tx: Transaction) -> Iterator[tuple[BatchState, str]]:
    """Newest first, each with the slug of its product."""
    slugs = {each.id: each.slug for each in tx.projects()}
    return ((each, slugs.get(each.project_id, "")) for each in reversed(list(tx.batches())))


def _line(batch: BatchState, project: str) -> dict[str, Any]:
    return {
        "id": batch.id,
        "project": project,
        "source": batch.source or "an import",
        "at": from_micros(batch.created_at),
        "totals": batch.totals,
        "finished": batch.finished_at is not None,
        "undone": batch.undone_at and from_micros(batch.undone_at),
    }


def receive(visit: Visit) -> View | Response:
    """Keep what was uploaded or pasted, and look at it."""
    request = visit.request
    file, text = request.uploads.get("file"), request.value("text")
    if file is not None and file.filename:
        name, stream, field = file.filename, file.stream, "file"
    elif text.strip():
        name, field = "pasted rows", "text"
        stream = io.BytesIO(text.encode("utf-8", "replace"))
        if len(text) > MAX_PASTE:
            return _begin(visit, f"Paste up to {MAX_PASTE:,} characters, or choose a file", field)
    else:
        return _begin(visit, "Choose a file, or paste rows below")
    try:
        upload = visit.uploads.add(visit.crm, request.actor, name, stream)
    except InvalidFile as error:
        return _begin(visit, said(error.message), field)
    except OSError as error:
        log.error("an upload could not be kept: %s", error)
        return _begin(visit, said(NO_ROOM), field)
    upload.choices.project = request.value("new").strip() or request.value("project")
    _, faults = read_head(upload)
    if "file" in faults.fields:
        upload.remove()
        return _begin(visit, faults.fields["file"], field)
    return _look(visit, upload)


def _look(visit: Visit, upload: Upload) -> View | Response:
    """Begin the dry run, or show what it still needs."""
    head, faults = read_head(upload)
    check_choices(upload, head, faults, visit.slugs)
    if head is None or faults:
        upload.check = None
        upload.save()
        return columns_page(visit, upload, head, faults, status=422)
    start_check(visit.crm, upload, head)
    return redirect(_address(visit, upload))


def show(visit: Visit, ident: str) -> View:
    """The step this import is at."""
    upload = visit.uploads.get(visit.crm, visit.request.actor, ident)
    if upload.run is not None:
        return _progress(upload)
    head, faults = read_head(upload)
    check_choices(upload, head, faults, visit.slugs)
    changed = dict(visit.request.query).get("changed") == "1"
    return columns_page(visit, upload, head, faults, changed=changed)


def choose(visit: Visit, ident: str) -> View | Response:
    """Look again with other choices, or import with those that were looked at."""
    upload = visit.uploads.get(visit.crm, visit.request.actor, ident)
    here = redirect(_address(visit, upload))
    if upload.run is not None:
        return _again(visit, upload) or here
    head, _ = read_head(upload)
    chosen = read_form(visit.request, upload, head)
    wanted = visit.request.value("do") == "import"
    job = upload.job(upload.check)
    before = import_options(upload, head) if head else None
    upload.choices = chosen
    if wanted and head is not None and head.plan and job and job.read().name == "done":
        new, faults = read_head(upload)
        if new is not None and not faults and import_options(upload, new) == before:
            start_run(visit.crm, upload, new)
            return here
    answer = _look(visit, upload)
    if wanted and isinstance(answer, Response):
        return redirect(_address(visit, upload) + "?changed=1")
    return answer


def _again(visit: Visit, upload: Upload) -> Response | None:
    """Once more after a job's process died or it failed; imports can be repeated."""
    job = upload.job(upload.run)
    if job is None or job.read().name not in ("stopped", "failed"):
        return None
    if upload.batch is not None:
        start_undo(visit.crm, upload)
    else:
        head, faults = read_head(upload)
        if head is not None and not faults:
            start_run(visit.crm, upload, head)
    return redirect(_address(visit, upload))


def discard(visit: Visit, ident: str) -> Response:
    """Forget the file. An import that runs goes on."""
    upload = visit.uploads.get(visit.crm, visit.request.actor, ident)
    job = upload.job(upload.run)
    if job is None or not job.is_alive():
        upload.remove()
    return redirect(visit.links.to("/import"))


def rejects(visit: Visit, ident: str) -> Response:
    """The rejected rows of the import, or before it of the dry run, as CSV."""
    upload = visit.uploads.get(visit.crm, visit.request.actor, ident)
    job = upload.job(upload.run or upload.check)
    if job is None or not job.rejects.exists():
        raise NotFound(GONE)
    headers = (
        ("Content-Type", "text/csv; charset=utf-8"),
        ("Content-Disposition", content_disposition(f"{PurePath(upload.name).stem}-rejects.csv")),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    )
    return Response(200, _pieces(job.rejects.open("rb")), headers)


def _pieces(stream: Any) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(1 << 16):
            yield piece


def undo(visit: Visit, batch: str) -> Response:
    """Take back what an import wrote. Raises NotFound."""
    try:
        wanted = UUID(batch)
    except ValueError:
        raise NotFound("there is no such import") from None
    if all(each.id != wanted for each in visit.crm.imports.list()):
        raise NotFound("there is no such import")
    upload = visit.uploads.begin(visit.crm, visit.request.actor, "undo")
    upload.batch = str(wanted)
    start_undo(visit.crm, upload)
    return redirect(_address(visit, upload))


def _progress(upload: Upload) -> View:
    """How far the job that writes is, or what came of it."""
    job = upload.job(upload.run)
    state = job.read() if job else State("stopped", {})
    is_undo = upload.batch is not None
    template = "import_undo.html" if is_undo else "import_result.html"
    context = {
        "title": "Undo an import" if is_undo else f"Import {upload.name}",
        "upload": upload,
        "chosen": upload.choices,
        "state": state,
        "report": state.body.get("report"),
    }
    shown = {upload.choices.project} if upload.choices.project else None
    return View(template, context, products=shown)


def _address(visit: Visit, upload: Upload) -> str:
    return visit.links.to(f"/import/{upload.ident}")


ROUTES = (
    Route("GET", "/import", begin),
    Route("POST", "/import", receive),
    Route("GET", "/import/{ident}", show),
    Route("POST", "/import/{ident}", choose),
    Route("POST", "/import/{ident}/discard", discard),
    Route("GET", "/import/{ident}/rejects.csv", rejects),
    Route("POST", "/import/batches/{batch}/undo", undo),
)
