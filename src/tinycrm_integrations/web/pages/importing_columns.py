"""The step of an import where columns are chosen and the dry run is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinycrm_core.events import STATUSES
from tinycrm_core.transfer.mapping import Column
from tinycrm_core.transfer.presets import SPREADSHEET
from tinycrm_core.transfer.values import KINDS
from tinycrm_integrations.web.http import Request
from tinycrm_integrations.web.pages.importing_files import Choices, Upload
from tinycrm_integrations.web.pages.importing_jobs import State
from tinycrm_integrations.web.pages.importing_reading import (
    MAX_COLUMNS,
    Faults,
    Head,
    first_values,
    read_as,
    said,
)
from tinycrm_integrations.web.pages.importing_words import Word, automatic, read_words
from tinycrm_integrations.web.visit import View, Visit

DELIMITERS = ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar"))
ENCODINGS = (
    ("utf-8", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("utf-16-le", "UTF-16, little-endian"),
    ("cp1252", "Windows-1252 (Western)"),
    ("iso8859-15", "Latin-9"),
    ("cp1250", "Windows-1250 (Central European)"),
    ("cp1251", "Windows-1251 (Cyrillic)"),
    ("mac-roman", "Mac Roman"),
    ("shift_jis", "Shift JIS"),
    ("gb18030", "GB 18030"),
)
DATES = (
    ("", "2026-12-31 or 31.12.2026"),
    ("%d/%m/%Y", "31/12/2026"),
    ("%m/%d/%Y", "12/31/2026"),
    ("%d/%m/%y", "31/12/26"),
    ("%m/%d/%y", "12/31/26"),
    ("%d-%m-%Y", "31-12-2026"),
    ("%d/%m/%Y %H:%M", "31/12/2026 14:05"),
    ("%m/%d/%Y %H:%M", "12/31/2026 14:05"),
    ("%m/%d/%Y %I:%M %p", "12/31/2026 2:05 PM"),
)
ROLES = (
    ("email", "email"),
    ("name", "name"),
    ("first_name", "first name"),
    ("last_name", "last name"),
    ("status", "status"),
    ("joined", "joined"),
    ("active", "last active"),
    ("at", "true as of"),
    ("aliases", "other emails"),
    ("project", "product"),
    ("param", "param"),
    ("params", "params, as JSON"),
    ("profile", "profile, as JSON"),
    ("ignore", "leave out"),
)
KIND_NAMES = {
    "text": "text", "number": "number", "boolean": "true or false", "date": "date", "json": "JSON",
}  # fmt: skip
SHOWN_REJECTS = 20
FIELDS = ("file", "delimiter", "encoding", "date_format", "header", "project", "mapping", "check")
"""Where the page can say what is wrong."""


def read_form(request: Request, upload: Upload, head: Head | None) -> Choices:
    """The choices as a form has them; those about columns only where it was made for these."""
    value = request.value
    chosen = replace(
        upload.choices,
        project=value("new").strip() or value("project"),
        delimiter=_one_of(DELIMITERS, value("delimiter")),
        encoding=_one_of(ENCODINGS, value("encoding")),
        headed=value("headed") == "1",
        date_format=_one_of(DATES, value("date_format")) or None,
        overwrite=value("overwrite") == "1",
    )
    if head is not None and value("columns") == head.digest:
        chosen.roles = upload.choices.roles | _roles(request, head)
        chosen.words = dict(upload.choices.words)
        for name, meant in request.form:
            word = name.removeprefix("word.")
            if word != name and meant in ("", "reject", *STATUSES):
                chosen.words.pop(word, None)
                if meant != (automatic(word, head.plan.preset) if head.plan else None):
                    chosen.words[word] = meant
    return chosen


def _roles(request: Request, head: Head) -> dict[str, str]:
    form, roles = dict(request.form), {}
    for index, header in enumerate(head.headers[:MAX_COLUMNS]):
        role = form.get(f"role.{index}")
        if role == "param":
            key = form.get(f"key.{index}", header).strip()
            kind = form.get(f"kind.{index}", "")
            # A guess has no type behind it; a key with a colon must have one.
            kind = kind if kind in KINDS else ("text" if ":" in key else "")
            role = f"params.{key}" + (f":{kind}" if kind else "")
        elif role not in dict(ROLES):
            continue
        if header:
            roles[header] = role
    return roles


def _one_of(offered: tuple[tuple[str, str], ...], given: str) -> str | None:
    return given if given in dict(offered) else None


def columns_page(
    visit: Visit,
    upload: Upload,
    head: Head | None,
    faults: Faults,
    *,
    status: int = 200,
    changed: bool = False,
) -> View:
    """The file's columns and where they go, with the dry run as far as it is.

    `changed` says that an import was asked for with other choices than those looked at.
    """
    job = upload.job(upload.check)
    check = State("none", {}) if job is None or faults else job.read()
    if check.name == "failed":
        name = check.body["field"]
        place = name if name in ("encoding", "date_format", "project") else "check"
        faults.fields[place] = said(check.body["message"])
    chosen = upload.choices
    context = {
        "title": f"Import {upload.name}",
        "upload": upload,
        "size": upload.size,
        "chosen": chosen,
        "head": head,
        "wrong": dict.fromkeys(FIELDS, "") | faults.fields,
        "check": check,
        "changed": changed,
        "preset": head.plan.preset if head and head.plan else SPREADSHEET,
        "delimiters": DELIMITERS,
        "encodings": _encodings(head, chosen),
        "dates": DATES,
        "roles": ROLES,
        "kinds": KIND_NAMES,
        "statuses": STATUSES,
        "columns": list(_columns(head, chosen, faults)) if head else [],
        "left": max(0, len(head.headers) - MAX_COLUMNS) if head else 0,
        "delimiter": head.delimiter if head else chosen.delimiter or ",",
        "is_new": bool(chosen.project) and chosen.project not in visit.slugs,
        "has_products": head is not None and head.at("project") is not None,
        "words": _words(check, head, chosen),
        "report": check.body.get("report"),
        "people": check.body.get("people", ()),
        "most": SHOWN_REJECTS,
    }
    return View("import_columns.html", context, status, products={chosen.project})


def _words(check: State, head: Head | None, chosen: Choices) -> list[Word]:
    if check.name != "done" or head is None or head.plan is None:
        return []
    return list(read_words(check.body["words"], head.plan.preset, chosen.words))


def _encodings(head: Head | None, chosen: Choices) -> list[tuple[str, str, bool]]:
    """Value, label and whether it is the one in use."""
    found = (head.encoding if head else chosen.encoding or "utf-8").removesuffix("-sig")
    return [(value, label, value == found) for value, label in ENCODINGS]


def _columns(head: Head, chosen: Choices, faults: Faults) -> Any:
    """What the table says of each column."""
    for index, header in enumerate(head.headers[:MAX_COLUMNS]):
        column = head.plan.columns[index] if head.plan else _as_chosen(index, header, chosen)
        words, readable = read_as(head, column, chosen.date_format)
        guess = KIND_NAMES.get(column.kind, "text") if column.guessed else None
        yield {
            "index": index,
            "header": header,
            "values": first_values(head, index),
            "role": column.role,
            "key": column.key,
            "kind": "" if column.guessed else column.kind,
            "guess": guess,
            "fixed": column.spelled if column.project else None,
            "read_as": words,
            "readable": readable,
            "fault": faults.columns.get(index),
        }


def _as_chosen(index: int, header: str, chosen: Choices) -> Column:
    """A column where the choices as a whole make no sense yet."""
    role = chosen.roles.get(header, "ignore")
    if not role.startswith("params."):
        return Column(index, header, role)
    key, colon, kind = role.removeprefix("params.").rpartition(":")
    return Column(index, header, "param", key if colon else kind, kind if colon else "", not colon)
