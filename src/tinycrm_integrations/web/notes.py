"""What was just done, said once on the page that follows: `done=KEY` in its address.

The words are fixed here, so that an address can choose a note but never write one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from tinycrm_integrations.web.http import Request
    from tinycrm_integrations.web.links import Links

KEYS = frozenset({"done", "n", "id"})
"""The query keys of a note; pages leave them out of the links they build."""

MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Note:
    """`text` may hold `{n}`, a count; `one` is the text for one. `undo` is a path with `{id}`."""

    text: str
    one: str | None = None
    undo: str | None = None


NOTES = {
    "merged": Note("Merged into one person.", undo="/merges/{id}/undo"),
    "merge-undone": Note("The merge was undone. They are separate people again."),
    "person-changed": Note("The change was saved."),
    "person-deleted": Note("The person was deleted, with all addresses and history."),
    "person-forgotten": Note("The person was deleted. Their addresses are refused from now on."),
    "project-changed": Note("The product was changed."),
    "project-moved": Note("The products have a new order, here and on every badge."),
    "project-deleted": Note("The product was deleted. The people stay."),
    "key-revoked": Note("The key was revoked. Calls with it are refused from now on."),
    "segment-saved": Note("The segment was saved. It is the tab above."),
    "segment-renamed": Note("The segment has its new name."),
    "segment-deleted": Note("The segment was deleted. The people in it stay."),
    "status-set": Note("{n} people changed their status.", one="One person changed status."),
}
"""By key: what a page may say was done. Each page adds its own."""


@dataclass(frozen=True, slots=True)
class Done:
    """A note as a page shows it; `undo` is the path that a form posts to."""

    text: str
    undo: str | None


def done(path: str, key: str, *, n: int | None = None, id: UUID | None = None) -> str:
    """`path`, as `Links` builds it, with the note `key`. Raises KeyError for an unknown one."""
    NOTES[key]
    told = f"done={key}" + (f"&n={n}" if n is not None else "") + (f"&id={id}" if id else "")
    return f"{path}{'&' if '?' in path else '?'}{told}"


def read_note(request: Request, links: Links) -> Done | None:
    """The note an address asks for; None when it is none of ours or says something odd."""
    said = dict(request.query)
    note = NOTES.get(said.get("done", ""))
    if note is None:
        return None
    n, id = said.get("n", ""), said.get("id", "")
    text = note.one if n == "1" and note.one else note.text
    if "{n}" in text:
        if not re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", n):
            return None
        text = text.replace("{n}", f"{int(n):,}")
    if note.undo is None:
        return Done(text, None)
    try:
        return Done(text, links.to(note.undo.replace("{id}", str(UUID(id)))))
    except ValueError:
        return None
