"""The products of an account and the registry of their params keys."""

from __future__ import annotations

from dataclasses import fields, replace

from sqlalchemy import ColumnElement, delete, func, literal, select, update

from tinycrm_core.model import Json
from tinycrm_core.sql.columns import dumps
from tinycrm_core.sql.directory import Directory
from tinycrm_core.sql.people import People, parsed
from tinycrm_core.sql.registry import Delta, Registry, add_sample
from tinycrm_core.sql.standings import LETTERS
from tinycrm_core.state import ParamKeyState, ProjectState
from tinycrm_core.store import moved


class Projects(Directory):
    """The part of a transaction that is about products."""

    registry: Registry
    _people: People
    _projects: list[ProjectState] | None = None

    def projects(self) -> list[ProjectState]:
        if self._projects is None:
            table = self.tables.projects
            query = select(table).where(self._mine(table))
            self._projects = [
                ProjectState(row.project_id, row.slug, row.name, row.hue, row.created_at, row.place)
                for row in self._run(query.order_by(table.c.place, table.c.project_id))
            ]
        return list(self._projects)

    def add_project(self, project: ProjectState) -> ProjectState:
        accounts = self.tables.accounts
        counter = accounts.c.project_seq
        drawn = counter + 1 if not project.id else func.greatest(counter, project.id)
        if project.id and self.dialect == "sqlite":
            drawn = func.max(counter, project.id)
        # Counting locks the account's row, so that of two equal slugs one comes second.
        self._run(update(accounts).where(self._mine(accounts)).values(project_seq=drawn))
        self._projects = None
        for stored in self.projects():
            if stored.slug == project.slug:
                return stored
        if not project.id:
            fresh = self._run(select(counter).where(self._mine(accounts))).scalar_one()
            project = replace(project, id=fresh)
        last = max((each.place for each in self.projects()), default=0)
        project = replace(project, place=last + 1)
        names = [each.name for each in fields(project) if each.name != "id"]
        values = {name: getattr(project, name) for name in names}
        self._put(self.tables.projects, {"project_id": project.id, **values})
        self._projects = None
        return project

    def save_project(self, project: ProjectState) -> None:
        self._change_project(project.id, slug=project.slug, name=project.name, hue=project.hue)
        self._projects = None

    def _change_project(self, project_id: int, **values: object) -> None:
        table = self.tables.projects
        this = table.c.project_id == project_id
        self._run(update(table).where(self._mine(table), this).values(**values))

    def place_project(self, project_id: int, place: int) -> None:
        accounts = self.tables.accounts
        # The account's row is locked, as for a new product: of two moves one sees the other.
        same = {"project_seq": accounts.c.project_seq}
        self._run(update(accounts).where(self._mine(accounts)).values(**same))
        self._projects = None
        for number, each in enumerate(moved(self.projects(), project_id, place), 1):
            if each.place != number:
                self._change_project(each.id, place=number)
        self._projects = None

    def delete_project(self, project_id: int) -> None:
        tables = self.tables
        members, customers, others = (
            tables.memberships,
            tables.customers,
            tables.memberships.alias(),
        )
        on_it = select(members.c.customer_id).where(
            self._mine(members), members.c.project_id == project_id
        )
        seen_elsewhere = select(func.max(others.c.last_active_at)).where(
            others.c.account_id == self.account_id,
            others.c.customer_id == customers.c.customer_id,
            others.c.project_id != project_id,
        )
        self._run(
            update(customers)
            .where(self._mine(customers), customers.c.customer_id.in_(on_it))
            .values(
                project_count=customers.c.project_count - 1,
                last_seen_at=seen_elsewhere.scalar_subquery(),
                standing=_without(customers.c.standing, project_id),
            )
        )
        self._flush_registry()
        for table in (
            members,
            tables.param_values,
            tables.param_keys,
            tables.api_keys,
            tables.projects,
        ):
            self._run(delete(table).where(self._mine(table), table.c.project_id == project_id))
        self._projects = None

    # The registry of params keys ------------------------------------------------------------
    def param_keys(self, project_id: int | None = None) -> list[ParamKeyState]:
        self._flush_registry()
        table = self.tables.param_keys
        query = select(table).where(self._mine(table))
        if project_id is not None:
            query = query.where(table.c.project_id == project_id)
        rows = self._run(query.order_by(table.c.project_id, table.c.path)).mappings()
        return [
            ParamKeyState(
                row["project_id"], row["path"], row["count"], row["kinds"], tuple(row["samples"])
            )
            for row in rows
        ]

    def _flush_registry(self) -> None:
        """Write what saving people changed; last, because many transactions want these rows."""
        deltas = self.registry.take()
        for project_id in sorted({project_id for project_id, _, _ in deltas}):
            mine = {path: delta for each, path, delta in deltas if each == project_id}
            self._write_registry(project_id, mine)

    def _write_registry(self, project_id: int, deltas: dict[str, Delta]) -> None:
        """Several statements for any number of keys."""
        locked = self._people.param_keys(self.account_id, project_id, list(deltas))
        stored = {
            path: (count, parsed(kinds), parsed(samples)) for path, count, kinds, samples in locked
        }
        rows = []
        for path, delta in deltas.items():
            old = stored.get(path, (0, {}, []))
            row = _added(*old, delta)
            count, kinds, samples = row
            self.registry.stored(project_id, path, samples if count > 0 else ())
            if count <= 0 or row != old:
                rows.append((path, count, dumps(kinds), dumps(samples)))
        if rows:
            self._people.save_param_keys(self.account_id, project_id, rows)


def _without(standing: ColumnElement[str], project_id: int) -> ColumnElement[str]:
    """Standings in which a product, whatever the status there, is no more."""
    text: ColumnElement[str] = literal(" ").concat(standing).concat(" ")
    for letter in LETTERS:
        text = func.replace(text, f" {project_id}{letter} ", " ")
    return func.trim(text)


def _added(
    count: int, kinds: dict[str, int], samples: list[Json], delta: Delta
) -> tuple[int, dict[str, int], list[Json]]:
    """The row of a key after the changes."""
    kinds, samples = dict(kinds), list(samples)
    for kind, step in delta.kinds.items():
        kinds[kind] = kinds.get(kind, 0) + step
    for sample in delta.samples:
        add_sample(samples, sample)
    kinds = {kind: each for kind, each in kinds.items() if each > 0}
    return count + delta.number, kinds, samples
