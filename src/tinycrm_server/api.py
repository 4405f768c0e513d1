"""The HTTP API under /v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core import events
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import Identify, Ping
from tinycrm_core.query import MAX_LIMIT
from tinycrm_core.times import from_micros, now, to_micros
from tinycrm_server.auth import Caller, Keys
from tinycrm_server.bodies import read_json
from tinycrm_server.description import operations
from tinycrm_server.replies import as_json, customer_json, outcome_json

MAX_BATCH = 500
"""Events of one batch."""


def api_router(crm: TinyCRM, keys: Keys) -> APIRouter:
    """The routes of the API, reading and writing through `crm`'s store."""
    router = APIRouter(prefix="/v1", default_response_class=Response)
    described = operations(MAX_BATCH)

    @router.post("/identify", summary="What a product knows", openapi_extra=described["identify"])
    async def identify(request: Request) -> Response:
        return await _one(crm, keys, request, "identify")

    @router.post("/ping", summary="Somebody was here", openapi_extra=described["ping"])
    async def ping(request: Request) -> Response:
        return await _one(crm, keys, request, "ping")

    @router.post("/events", summary="Several of either", openapi_extra=described["events"])
    async def batch(request: Request) -> Response:
        writer = await run_in_threadpool(keys.writer, request)
        body = await read_json(request)
        received = now()
        read = [_read(each, None, sent, received) for sent, each in _batch(body)]
        outcomes = await run_in_threadpool(_send, crm, writer, read)
        return as_json({"results": [outcome_json(each) for each in outcomes]})

    @router.get("/customers", summary="Who matches a filter", openapi_extra=described["customers"])
    async def customers(request: Request) -> Response:
        caller = await run_in_threadpool(keys.reader, request)
        own, pairs = _query(request)
        page = await run_in_threadpool(
            crm.account(caller.account).customers.find,
            pairs,
            sort=own.get("sort", "-seen"),
            limit=_limit(own.get("limit", "50")),
            after=own.get("after"),
        )
        found = [customer_json(each) for each in page]
        return as_json({"customers": found, "next": page.next})

    return router


async def _one(crm: TinyCRM, keys: Keys, request: Request, kind: str) -> Response:
    writer = await run_in_threadpool(keys.writer, request)
    body = await read_json(request)
    sent_at = None
    if isinstance(body, Mapping):
        sent_at = body.pop("sent_at", None) if isinstance(body, dict) else None
        if body.get("type", kind) != kind:
            raise InvalidInput(f"type: expected {kind} here", field="type")
    event = _read(body, kind, _sent(sent_at), now())
    if isinstance(event, TinyCRMError):
        raise event
    [outcome] = await run_in_threadpool(_send, crm, writer, [event])
    if isinstance(outcome, TinyCRMError):
        raise outcome
    return as_json(outcome_json(outcome))


def _batch(body: object) -> list[tuple[int | None, object]]:
    """The send time and the body of each event of a batch."""
    if not isinstance(body, dict):
        raise InvalidInput("body: expected a JSON object with a list called events", field=None)
    unknown = sorted(body.keys() - {"events", "sent_at"})
    if unknown:
        name = ascii(unknown[0])[1:61]
        raise InvalidInput(f"{name}: unknown field; a batch takes events, sent_at", field=name)
    listed = body.get("events")
    if not isinstance(listed, list) or len(listed) > MAX_BATCH:
        raise InvalidInput(f"events: expected a list of at most {MAX_BATCH}", field="events")
    sent = _sent(body.get("sent_at"))
    return [(sent, each) for each in listed]


def _sent(sent_at: object) -> int | None:
    if sent_at is None:
        return None
    if not isinstance(sent_at, str):
        raise InvalidInput("sent_at: expected ISO 8601 text", field="sent_at")
    return to_micros(sent_at, field="sent_at")


def _read(
    body: object, kind: str | None, sent: int | None, received: int
) -> Identify | Ping | TinyCRMError:
    """The event of a body, with the sender's clock corrected, or what is wrong with it."""
    try:
        if isinstance(body, Mapping) and not isinstance(body.get("type", kind or ""), str):
            raise InvalidInput("type: expected identify or ping", field="type")
        if isinstance(body, Mapping):
            body = {**body, **_settled(body, sent, received)}
        return events.from_json(body, type=kind)
    except TinyCRMError as error:
        return error


def _settled(body: Mapping[str, object], sent: int | None, received: int) -> dict[str, str]:
    """The times of a body: `at` corrected by the sender's clock, none later than the arrival."""
    times = {}
    for name in ("at", "joined", "seen"):
        text = body.get(name)
        if isinstance(text, str):
            at = to_micros(text, field=name)
            if name == "at" and sent is not None:
                at = received - (sent - at)
            times[name] = from_micros(max(0, min(at, received))).isoformat()
    return times


def _send(crm: TinyCRM, writer: tuple[Caller, str], read: list[Any]) -> list[Any]:
    """Apply what could be read, in one transaction; results and errors stay in order."""
    caller, slug = writer
    project = crm.account(caller.account).project(slug)
    good = [each for each in read if not isinstance(each, TinyCRMError)]
    via = f"key {caller.key.label or caller.key.hint}"
    done = iter(project.send(good, via=via) if good else ())
    return [each if isinstance(each, TinyCRMError) else next(done) for each in read]


def _query(request: Request) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """What pages and sorts, and the pairs of the filter."""
    own: dict[str, str] = {}
    pairs = []
    for key, value in request.query_params.multi_items():
        if key not in ("sort", "limit", "after"):
            pairs.append((key, value))
        elif key in own:
            raise InvalidInput(f"{key}: given twice", field=key)
        else:
            own[key] = value
    return own, pairs


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidInput(f"limit: expected a whole number from 1 to {MAX_LIMIT}", field="limit")
    return int(text)
