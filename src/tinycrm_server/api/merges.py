"""Making one person of several, looking at it before, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_core.model import ABSENT, Customer
from tinycrm_core.previews import MOST_ABSORBED, Choices, MergeConflict, MergePreview
from tinycrm_server.auth import Keys
from tinycrm_server.bodies import check_members, read_json
from tinycrm_server.description import described
from tinycrm_server.replies import as_json, customer_json

SIDES = ("keep", "absorb")
KNOWN = (*SIDES, "choices")
CHOICE = ("project", "field", "of")


def add_merges(router: APIRouter, keys: Keys) -> None:
    """Add the routes about merges."""

    @router.post("/merges", **described("merge"))
    async def merge(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.admin, request))
        body = check_members(await read_json(request), KNOWN, "a merge", SIDES)

        def work() -> Response:
            keep, absorb, choices = _read(crm, body)
            ident = crm.customers.merge(keep, absorb, choices)
            kept = crm.customers.get(keep)
            return as_json({"id": str(ident), "customer_id": kept and str(kept.id)}, 201)

        return await run_in_threadpool(work)

    @router.post("/merges/preview", **described("preview"))
    async def preview(request: Request) -> Response:
        crm = keys.client(await run_in_threadpool(keys.reader, request))
        body = check_members(await read_json(request), KNOWN, "a merge", SIDES)

        def work() -> Response:
            return as_json(_preview_json(crm.customers.preview_merge(*_read(crm, body))))

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


def _read(crm: TinyCRM, body: dict[str, Any]) -> tuple[str, list[str], Choices]:
    """Who is kept, who is absorbed, and whose values stay. Raises InvalidInput or NotFound."""
    sent = body["absorb"]
    others = sent if isinstance(sent, list) else [sent]
    if not 1 <= len(others) <= MOST_ABSORBED:
        raise InvalidInput(f"absorb: expected 1 to {MOST_ABSORBED} people", field="absorb")
    keep = _address(crm, body["keep"], "keep")
    return keep, [_address(crm, each, "absorb") for each in others], _choices(crm, body)


def _choices(crm: TinyCRM, body: dict[str, Any]) -> Choices:
    sent = body.get("choices", [])
    if not isinstance(sent, list):
        raise InvalidInput("choices: expected a list", field="choices")
    choices: dict[tuple[str | None, str], str] = {}
    for each in sent:
        choice = check_members(each, CHOICE, "a choice", CHOICE)
        project, field = choice["project"], choice["field"]
        if not isinstance(project, str | None) or not isinstance(field, str):
            raise InvalidInput("choices: expected project and field as text", field="choices")
        choices[project, field] = _address(crm, choice["of"], "choices")
    return choices


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
    people = (preview.keep, *preview.absorbed)
    return {
        "keep": customer_json(preview.keep),
        "absorbed": [customer_json(each) for each in preview.absorbed],
        "result": customer_json(preview.result),
        "moves": list(preview.moves),
        "conflicts": [_conflict_json(each, people) for each in preview.conflicts],
    }


def _conflict_json(conflict: MergeConflict, people: Sequence[Customer]) -> dict[str, Any]:
    """A field with the value of each person who has one; no result where it goes."""
    values = zip(people, conflict.values, strict=True)
    result = {} if conflict.result is ABSENT else {"result": conflict.result}
    return {
        "project": conflict.project,
        "field": conflict.field,
        "values": [
            {"of": each.email, "value": value} for each, value in values if value is not ABSENT
        ],
        **result,
    }
