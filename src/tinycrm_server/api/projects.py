"""Products, and the API keys of products and of the account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_server.auth import Keys
from tinycrm_server.bodies import check_members, read_json
from tinycrm_server.description import described
from tinycrm_server.replies import as_json, key_json, project_json


def add_projects(router: APIRouter, keys: Keys) -> None:
    """Add the routes about products and keys."""

    @router.get("/projects", **described("projects"))
    def projects(request: Request) -> Response:
        crm = keys.client(keys.reader(request))
        return as_json({"projects": [project_json(each) for each in crm.projects.list()]})

    @router.post("/projects", **described("add_project"))
    async def add(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.admin, request))
        known = ("slug", "name", "hue")
        body = check_members(await read_json(request), known, "a project", ("slug",))
        made = await run_in_threadpool(crm.projects.add, **_texts(body))
        return as_json(project_json(made), 201)

    @router.get("/projects/{slug}", **described("project"))
    def project(request: Request) -> Response:
        crm = keys.client(keys.reader(request))
        slug = request.path_params["slug"]
        found = next((each for each in crm.projects.list() if each.slug == slug), None)
        if found is None:
            raise _no_project()
        return as_json(project_json(found))

    @router.patch("/projects/{slug}", **described("change_project"))
    async def change(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.admin, request))
        slug = request.path_params["slug"]
        known = ("slug", "name", "hue", "place")
        body = check_members(await read_json(request), known, "a project")
        place = _place(body.pop("place")) if "place" in body else None

        def work() -> Response:
            _must_exist(crm, slug)
            changed = crm.projects.rename(slug, **_texts(body))
            if place is not None:
                crm.projects.move(changed.slug, place)
            return as_json(project_json(changed))

        return await run_in_threadpool(work)

    @router.delete("/projects/{slug}", **described("delete_project"))
    def delete(request: Request) -> Response:
        crm = keys.client(keys.admin(request))
        slug = request.path_params["slug"]
        _must_exist(crm, slug)
        crm.projects.delete(slug)
        return Response(status_code=204)

    @router.get("/keys", **described("keys"))
    def list_keys(request: Request) -> Response:
        crm = keys.client(keys.admin(request))
        return as_json({"keys": [key_json(each, slug) for each, slug in crm.keys.list()]})

    @router.post("/keys", **described("add_key"))
    async def add_key(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.admin, request))
        known = ("project", "scope", "label")
        body = _texts(check_members(await read_json(request), known, "a key"))
        if ("project" in body) == ("scope" in body):
            raise InvalidInput("project: give either project or scope", field="project")

        def work() -> Response:
            if "project" in body:
                _must_exist(crm, body["project"])
            made = crm.keys.create(**body)
            found = next(each for each in crm.keys.list() if each[0].hash == made.hash)
            return as_json({"key": made.secret, **key_json(*found)}, 201)

        return await run_in_threadpool(work)

    @router.delete("/keys/{id}", **described("revoke_key"))
    def revoke(request: Request) -> Response:
        crm = keys.client(keys.admin(request))
        try:
            crm.keys.revoke(UUID(request.path_params["id"]))
        except (ValueError, NotFound):
            raise NotFound("there is no such key", field="id") from None
        return Response(status_code=204)


def _no_project() -> NotFound:
    return NotFound("there is no such project", field="slug")


def _must_exist(crm: TinyCRM, slug: str) -> None:
    if all(each.slug != slug for each in crm.projects.list()):
        raise _no_project()


def _place(value: object) -> int:
    """A place as JSON spells it, 1.0 included. Raises InvalidInput."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value < 2**31:
        return value
    raise InvalidInput("place: expected a whole number from 0 on", field="place")


def _texts(body: dict[str, Any]) -> dict[str, Any]:
    for name, value in body.items():
        if not isinstance(value, str):
            raise InvalidInput(f"{name}: expected text", field=name)
    return body
