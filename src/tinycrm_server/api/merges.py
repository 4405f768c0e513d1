"""Making one person of two, looking at it before, and taking it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_core.people import MergePreview
from tinycrm_server.auth import Keys
from tinycrm_server.bodies import check_members, read_json
from tinycrm_server.description import described
from tinycrm_server.replies import as_json, customer_json

SIDES = ("keep", "absorb")


def add_merges(router: APIRouter, keys: Keys) -> None:
    """Add the routes about merges."""

    @router.post("/merges", **described("merge"))
    async def merge(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.admin, request))
        body = check_members(await read_json(request), SIDES, "a merge", SIDES)

        def work() -> Response:
            keep, absorb = (_address(crm, body[side], side) for side in SIDES)
            ident = crm.customers.merge(keep, absorb)
            kept = crm.customers.get(keep)
            return as_json({"id": str(ident), "customer_id": kept and str(kept.id)}, 201)

        return await run_in_threadpool(work)

    @router.post("/merges/preview", **described("preview"))
    async def preview(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.reader, request))
        body = check_members(await read_json(request), SIDES, "a merge", SIDES)

        def work() -> Response:
            keep, absorb = (_address(crm, body[side], side) for side in SIDES)
            return as_json(_preview_json(crm.customers.preview_merge(keep, absorb)))

        return await run_in_threadpool(work)

    @router.post("/merges/{id}/undo", **described("undo_merge"))
    def undo(request: Request) -> Response:
        crm = keys.client(keys.admin(request))
        missing = NotFound("there is no such merge", field="id")
        try:
            crm.customers.undo_merge(UUID(request.path_params["id"]))
        except (ValueError, NotFound) as error:
            if isinstance(error, InvalidInput):
                raise
            raise missing from None
        return Response(status_code=204)


def _address(crm: TinyCRM, value: object, side: str) -> str:
    """The address of the person whose id or address this is. Raises InvalidInput or NotFound."""
    if not isinstance(value, str):
        raise InvalidInput(f"{side}: expected a customer's id or email", field=side)
    try:
        found = crm.customers.get(value) if "@" in value else crm.customers.get_by_id(UUID(value))
    except InvalidInput as error:
        raise InvalidInput(f"{side}: {error.message}", field=side) from None
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"{side}: there is no such customer", field=side)
    return found.email


def _preview_json(preview: MergePreview) -> dict[str, Any]:
    return {
        "keep": customer_json(preview.keep),
        "absorb": customer_json(preview.absorb),
        "result": customer_json(preview.result),
        "moves": list(preview.moves),
        "conflicts": [
            {
                "project": each.project,
                "field": each.field,
                "keep": each.keep,
                "absorb": each.absorb,
                "result": each.result,
            }
            for each in preview.conflicts
        ],
    }
