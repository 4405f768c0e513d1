"""`crm.projects`, `crm.segments`, `crm.keys` and `crm.imports`: what surrounds the people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from tinycrm_core import apply, times
from tinycrm_core.account import Account
from tinycrm_core.errors import Conflict, InvalidInput, NotFound
from tinycrm_core.filters import format
from tinycrm_core.ids import uuid7
from tinycrm_core.keys import ApiKey, new_key
from tinycrm_core.model import HUES, Project
from tinycrm_core.people import read_id
from tinycrm_core.query_text import FilterLike, read_filter
from tinycrm_core.state import BatchState, KeyState, ParamKeyState, ProjectState, SegmentState
from tinycrm_core.store import Transaction
from tinycrm_core.times import from_micros
from tinycrm_core.transport import clean_slug, ensure_project

Scope = Literal["read", "admin"]
LIVE_KEYS = 2
"""Keys a product can have at once: the old one and the new one, while one replaces the other."""


class _Part:
    def __init__(self, account: Account) -> None:
        self._account = account


def _view(project: ProjectState) -> Project:
    return Project(project.slug, project.name, project.hue, from_micros(project.created_at))


def _find(tx: Transaction, slug: str) -> ProjectState:
    projects = tx.projects()
    found = next((each for each in projects if each.slug == slug), None)
    if found is None:
        known = ", ".join(each.slug for each in projects) or "none"
        raise NotFound(f"project: there is no product {ascii(slug)[:80]}; there are: {known}",
                       field="project")  # fmt: skip
    return found


def _clean_label(text: object, field: str) -> None:
    if isinstance(text, str) and 0 < len(text.strip()) <= 100 and text.isprintable():
        return
    raise InvalidInput(f"{field}: expected 1 to 100 printable characters", field=field)


def _clean_look(name: object, hue: object) -> None:
    if name is not None:
        _clean_label(name, "name")
    if hue is not None and hue not in HUES:
        raise InvalidInput(f"hue: must be one of {', '.join(HUES)}", field="hue")


class Projects(_Part):
    """The products of an account, in the order of their places: at first that of creation."""

    def list(self) -> tuple[Project, ...]:
        """All products."""
        return self._account.read(lambda tx: tuple(_view(each) for each in tx.projects()))

    def add(self, slug: str, *, name: str | None = None, hue: str | None = None) -> Project:
        """A new product. Raises Conflict if the slug is taken."""
        _clean_look(name, hue)
        clean_slug(slug)

        def work(tx: Transaction) -> Project:
            if any(each.slug == slug for each in tx.projects()):
                raise Conflict(f"project: {slug} exists already", field="project")
            return _view(ensure_project(tx, slug, times.now(), name, hue))

        return self._account.write(work)

    def rename(
        self,
        project: str,
        *,
        slug: str | None = None,
        name: str | None = None,
        hue: str | None = None,
    ) -> Project:
        """Give a product another slug, name or colour. Raises NotFound or Conflict."""  # fmt: skip
        _clean_look(name, hue)
        if slug is not None:
            clean_slug(slug)

        def work(tx: Transaction) -> Project:
            found = _find(tx, project)
            if slug not in (None, found.slug) and any(p.slug == slug for p in tx.projects()):
                raise Conflict(f"project: {slug} exists already", field="slug")
            renamed = replace(
                found, slug=slug or found.slug, name=name or found.name, hue=hue or found.hue
            )
            tx.save_project(renamed)
            return _view(renamed)

        return self._account.write(work)

    def move(self, project: str, place: int) -> tuple[Project, ...]:
        """Put a product where `place` others come before it (0: first), and return them all.

        That is the order of memberships and badges everywhere; beyond the last place is the last.
        Raises NotFound or InvalidInput.
        """
        if type(place) is not int or place < 0:
            raise InvalidInput("place: expected a whole number from 0 on", field="place")

        def work(tx: Transaction) -> tuple[Project, ...]:
            tx.place_project(_find(tx, project).id, place)
            return tuple(_view(each) for each in tx.projects())

        return self._account.write(work)

    def delete(self, project: str) -> None:
        """Remove a product, its memberships and keys; the people stay. Raises NotFound."""

        def work(tx: Transaction) -> None:
            tx.delete_project(_find(tx, project).id)

        self._account.write(work)

    def params(self, project: str | None = None) -> tuple[tuple[str, ParamKeyState], ...]:
        """The params keys seen, with the slug of their product, kept at write time."""

        def work(tx: Transaction) -> tuple[tuple[str, ParamKeyState], ...]:
            slugs = {each.id: each.slug for each in tx.projects()}
            wanted = None if project is None else _find(tx, project).id
            return tuple((slugs[key.project_id], key) for key in tx.param_keys(wanted))

        return self._account.read(work)


@dataclass(frozen=True, slots=True)
class Segment:
    """A filter saved under a name, as text."""

    name: str
    filter: str


class Segments(_Part):
    """Filters saved under a name."""

    def list(self) -> tuple[Segment, ...]:
        """All segments, by name."""
        return self._account.read(
            lambda tx: tuple(Segment(s.name, s.filter) for s in tx.segments())
        )

    def get(self, name: str) -> Segment:
        """One segment. Raises NotFound."""
        for segment in self.list():
            if segment.name == name:
                return segment
        raise NotFound(f"segment: there is none called {ascii(name)[:80]}", field="name")

    def add(self, name: str, filter: FilterLike) -> Segment:
        """Save a filter. Raises InvalidFilter, or Conflict if the name is taken."""
        _clean_label(name, "name")

        def work(tx: Transaction) -> Segment:
            text = format(read_filter(filter, [each.slug for each in tx.projects()]))
            if any(each.name == name for each in tx.segments()):
                raise Conflict(f"segment: {name!a} exists already", field="name")
            tx.save_segment(SegmentState(name, text, times.now()))
            return Segment(name, text)

        return self._account.write(work)

    def rename(self, name: str, new: str) -> Segment:
        """Another name for a segment. Raises NotFound or Conflict."""
        segment = self.add(new, self.get(name).filter)
        self.delete(name)
        return segment

    def delete(self, name: str) -> None:
        """Remove a segment. Raises NotFound."""
        if not self._account.write(lambda tx: tx.delete_segment(name)):
            raise NotFound(f"segment: there is none called {ascii(name)[:80]}", field="name")


class Keys(_Part):
    """API keys: of a product, to write, or of the account, to `read` or `admin`ister."""

    def create(
        self, project: str | None = None, *, scope: Scope = "read", label: str = ""
    ) -> ApiKey:
        """A new key; its secret is in the result and nowhere else.

        Raises NotFound for an unknown product and Conflict where two keys are live already.
        """
        if scope not in ("read", "admin"):
            raise InvalidInput("scope: must be read or admin", field="scope")
        if label:
            _clean_label(label, "label")
        key = new_key("acct" if project is None else "proj")

        def work(tx: Transaction) -> ApiKey:
            project_id = None if project is None else _find(tx, project).id
            live = [k for k in tx.keys() if k.project_id == project_id and not k.revoked_at]  # noqa: SIM118
            if project_id is not None and len(live) >= LIVE_KEYS:
                raise Conflict(
                    f"project: {project} has {LIVE_KEYS} live keys; revoke one first",
                    field="project",
                )
            used = "write" if project_id is not None else scope
            tx.save_key(
                KeyState(
                    uuid7(), key.hash, key.hint, key.kind, used, project_id, label, times.now()
                )
            )
            return key

        return self._account.write(work)

    def list(self) -> tuple[tuple[KeyState, str | None], ...]:
        """All keys, each with the slug of its product."""

        def work(tx: Transaction) -> tuple[tuple[KeyState, str | None], ...]:
            slugs = {each.id: each.slug for each in tx.projects()}
            return tuple((key, slugs.get(key.project_id or 0)) for key in tx.keys())  # noqa: SIM118

        return self._account.read(work)

    def revoke(self, key_id: UUID | str) -> None:
        """End a key. Raises NotFound."""
        wanted = read_id(key_id, "key_id")

        def work(tx: Transaction) -> None:
            found = next((k for k in tx.keys() if k.id == wanted), None)  # noqa: SIM118
            if found is None:
                raise NotFound("key_id: no such key", field="key_id")
            if found.revoked_at is None:
                tx.save_key(replace(found, revoked_at=times.now()))

        self._account.write(work)


@dataclass(frozen=True, slots=True)
class UndoReport:
    """How many people an undone import gave their former values back, and how many it removed."""

    restored: int
    removed: int


class Imports(_Part):
    """The imports of an account."""

    SLICE = 1000

    def list(self) -> tuple[BatchState, ...]:
        """All imports, oldest first."""
        return self._account.read(lambda tx: tuple(tx.batches()))

    def undo(
        self, batch_id: UUID | str, *, progress: Callable[[int], None] | None = None
    ) -> UndoReport:
        """Take back what an import wrote and nobody has changed since.

        Works in slices, so it can be repeated after an interruption; `progress` is told after each
        how many people are done. Raises NotFound or Conflict.
        """
        wanted = read_id(batch_id, "batch_id")
        self._account.read(lambda tx: _undoable(tx, wanted))
        restored = removed = 0
        after: UUID | None = None
        while True:
            place = after

            def work(tx: Transaction, place: UUID | None = place) -> tuple[int, int, UUID | None]:
                return apply.undo_batch(tx, wanted, place, self.SLICE)

            some, gone, after = self._account.write(work)
            restored, removed = restored + some, removed + gone
            if progress is not None:
                progress(restored + removed)
            if after is None:
                break

        def finish(tx: Transaction) -> None:
            tx.save_batch(replace(_undoable(tx, wanted), undone_at=times.now()))

        self._account.write(finish)
        return UndoReport(restored, removed)


def _undoable(tx: Transaction, batch_id: UUID) -> BatchState:
    batch = tx.batch(batch_id)
    if batch is None:
        raise NotFound("batch_id: no such import", field="batch_id")
    if batch.undone_at is not None:
        raise Conflict("batch_id: this import was undone already", field="batch_id")
    return batch
