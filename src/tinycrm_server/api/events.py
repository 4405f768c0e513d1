"""What products report: each kind of event by itself, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core import events
from tinycrm_core.apply import Answer
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import TYPES, ChangeEmail, Event
from tinycrm_core.times import from_micros, now, to_micros
from tinycrm_server.auth import Caller, Keys
from tinycrm_server.bodies import Refused, check_members, read_json
from tinycrm_server.description import described
from tinycrm_server.intake import Intake
from tinycrm_server.replies import as_json, note_rejected, outcome_json
from tinycrm_server.schemas import MAX_BATCH

CLOCKS_AGREE = 2_000_000
"""Microseconds between sending and arrival that are no reason to correct a sender's clock."""


def add_events(router: APIRouter, keys: Keys, intake: Intake) -> None:
    """Add the routes that write."""

    @router.post("/identify", **described("identify"))
    async def identify(request: Request) -> Response:
        return await _one(keys, intake, request, "identify")

    @router.post("/ping", **described("ping"))
    async def ping(request: Request) -> Response:
        return await _one(keys, intake, request, "ping")

    @router.post("/change_email", **described("change_email"))
    async def change_email(request: Request) -> Response:
        return await _one(keys, intake, request, "change_email")

    @router.post("/events", **described("events"))
    async def batch(request: Request) -> Response:
        writer = await keys.writer(request)
        body = await read_json(request)
        received = now()
        listed = _batch(body, writer)
        keys.charge(writer, len(listed) - 1)
        read = [read_event(each, None, sent, received) for sent, each in listed]
        outcomes = await apply(intake, writer, read)
        for each in outcomes:
            if isinstance(each, TinyCRMError):
                await note_rejected(request, 200, each.code, each.message)
                break
        return as_json({"results": list(map(outcome_json, read, outcomes))})


async def _one(keys: Keys, intake: Intake, request: Request, kind: str) -> Response:
    writer = await keys.writer(request)
    body = await read_json(request)
    sent_at = None
    if isinstance(body, dict):
        sent_at = body.pop("sent_at", None)
        _check_project(body, writer)
        if body.get("type", kind) != kind:
            raise InvalidInput(f"type: expected {kind} here", field="type")
    event = read_event(body, kind, read_sent(sent_at), now())
    if isinstance(event, TinyCRMError):
        raise event
    [outcome] = await intake.apply(writer, [event])
    if isinstance(outcome, TinyCRMError):
        raise outcome
    return as_json(outcome_json(event, outcome))


def _check_project(body: dict[str, object], writer: Caller) -> None:
    """Take the product out of a body that names it; Refused 403 if the key is another one's."""
    if "project" not in body:
        return
    named = body.pop("project")
    if not isinstance(named, str):
        raise InvalidInput("project: expected the slug of the key's product", field="project")
    if named != writer.project:
        message = f"project: this key belongs to {writer.project}, not to the product named here"
        raise Refused(403, "wrong_project", message, "project")


def _batch(body: object, writer: Caller) -> list[tuple[int | None, object]]:
    """The send time and the body of each event of a batch."""
    if not isinstance(body, dict):
        raise InvalidInput("body: expected a JSON object with a list called events", field=None)
    _check_project(body, writer)
    check_members(body, ("events", "sent_at"), "a batch")
    listed = body.get("events")
    if not isinstance(listed, list) or len(listed) > MAX_BATCH:
        raise InvalidInput(f"events: expected a list of at most {MAX_BATCH}", field="events")
    sent = read_sent(body.get("sent_at"))
    return [(sent, each) for each in listed]


def read_sent(sent_at: object, field: str = "sent_at") -> int | None:
    """When the sender's clock says that a body was sent, in microseconds. Raises InvalidInput."""
    if sent_at is None:
        return None
    if not isinstance(sent_at, str):
        raise InvalidInput(f"{field}: expected ISO 8601 text", field=field)
    return to_micros(sent_at, field=field)


def read_event(
    body: object, kind: str | None, sent: int | None, received: int
) -> Event | TinyCRMError:
    """The event of a body, with the sender's clock corrected, or what is wrong with it.

    A key of one product renames people and merges none: the other one may be everybody else's.
    """
    try:
        if isinstance(body, Mapping) and not isinstance(body.get("type", kind or ""), str):
            raise InvalidInput(f"type: expected {', '.join(TYPES)}", field="type")
        if isinstance(body, Mapping):
            body = {**body, **_settled(body, sent, received)}
        event = events.from_json(body, type=kind)
        return replace(event, merge=False) if isinstance(event, ChangeEmail) else event
    except TinyCRMError as error:
        return error


def _settled(body: Mapping[str, object], sent: int | None, received: int) -> dict[str, str]:
    """The times of a body: `at` corrected by the sender's clock, none later than the arrival.

    Clocks that agree are left alone: what lies between sending and arrival is mostly the way, which
    is another one each time, and an event that is sent again must be the same event.
    """
    late = 0 if sent is None else received - sent
    if abs(late) <= CLOCKS_AGREE:
        latest, late = max(received, sent or 0), 0
    else:
        latest = received
    times = {}
    for name in ("at", "joined", "seen"):
        text = body.get(name)
        if isinstance(text, str):
            at = to_micros(text, field=name)
            if name == "at":
                at += late
            times[name] = from_micros(max(0, min(at, latest))).isoformat()
    return times


async def apply(
    intake: Intake, writer: Caller, read: Sequence[Event | TinyCRMError]
) -> list[Answer]:
    """Apply what could be read; answers and errors stay in order."""
    good = [each for each in read if not isinstance(each, TinyCRMError)]
    done = iter(await intake.apply(writer, good))
    return [each if isinstance(each, TinyCRMError) else next(done) for each in read]
