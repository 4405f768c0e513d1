"""An intake for the libraries of Segment: their calls and shapes, our events.

`identify` becomes an identify, everything else a ping. `alias` merges nobody: a key that writes to
one product must not join the people of all.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tinycrm_core.client import TinyCRM
from tinycrm_core.email import canonical
from tinycrm_core.errors import InvalidEmail, InvalidInput, InvalidStatus, TinyCRMError
from tinycrm_core.events import Event, clean_status
from tinycrm_core.filters import Condition, On, Param
from tinycrm_core.times import now
from tinycrm_server.api.events import apply, read_event, read_sent
from tinycrm_server.auth import Caller, Keys
from tinycrm_server.bodies import read_json
from tinycrm_server.intake import Intake
from tinycrm_server.replies import as_json, path_below, problem_of
from tinycrm_server.schemas import MAX_BATCH

PREFIX = "/segment"
"""Where the routes live; calls with a write key are led here from the paths of Segment."""

USER_ID = "user_id"
"""The param that keeps an id of the product, so that later calls with it find the person."""

CALLS = ("identify", "track", "page", "screen", "alias", "group")
PATHS = {f"/v1/{each}" for each in (*CALLS, "batch", "import")}
NOT_PARAMS = ("email", "name", "firstName", "lastName", "status")


class SegmentCalls:
    """Leads calls that carry a write key, as Segment's libraries send it, to the routes below.

    The write key is a project key: the user name of basic authentication, without a password.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through, or to the intake."""
        below = path_below(scope) if scope["type"] == "http" else ""
        if below in PATHS and (key := _write_key(scope)):
            headers = [each for each in scope["headers"] if each[0] != b"authorization"]
            headers.append((b"authorization", b"Bearer " + key))
            path = scope["path"].removesuffix(below) + PREFIX + below
            scope = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        await self.app(scope, receive, send)


def _write_key(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        kind, _, text = value.partition(b" ")
        if name == b"authorization" and kind.lower() == b"basic":
            try:
                return base64.b64decode(text, validate=True).partition(b":")[0] or None
            except binascii.Error:
                return None
    return None


def segment_router(keys: Keys, intake: Intake) -> APIRouter:
    """The routes that Segment's libraries call."""
    router = APIRouter(prefix=f"{PREFIX}/v1", include_in_schema=False)

    async def take(
        writer: Caller, calls: list[Any], body: Mapping[str, Any]
    ) -> dict[int, TinyCRMError]:
        """Apply calls; the errors of those that were refused, by their place."""
        crm = keys.client(writer)
        read = await run_in_threadpool(_read, crm, writer.project, calls, body)
        told = [(place, each) for place, each in enumerate(read) if each is not None]
        answers = await apply(intake, writer, [each for _, each in told])
        errors = zip(told, answers, strict=True)
        return {place: each for (place, _), each in errors if isinstance(each, TinyCRMError)}

    def add(kind: str) -> None:
        async def call(request: Request) -> Response:
            writer = await keys.writer(request)
            body = await read_json(request)
            if not isinstance(body, dict):
                raise InvalidInput("body: expected a JSON object", field=None)
            answer = await take(writer, [{**body, "type": kind}], body)
            if answer:
                raise answer[0]
            return as_json({"success": True})

        router.add_api_route(f"/{kind}", call, methods=["POST"])

    async def batch(request: Request) -> Response:
        writer = await keys.writer(request)
        body = await read_json(request)
        listed = body.get("batch") if isinstance(body, dict) else None
        if not isinstance(listed, list) or len(listed) > MAX_BATCH:
            raise InvalidInput(f"batch: expected a list of at most {MAX_BATCH}", field="batch")
        keys.charge(writer, len(listed) - 1)
        refused = await take(writer, listed, body)
        told = [{"index": index, **problem_of(error)} for index, error in refused.items()]
        return as_json({"success": True, "rejected": told})

    for kind in CALLS:
        add(kind)
    for name in ("/batch", "/import"):
        router.add_api_route(name, batch, methods=["POST"])
    return router


def _read(
    crm: TinyCRM, project: str, calls: list[Any], body: Mapping[str, Any]
) -> list[Event | TinyCRMError | None]:
    """The event of each call, what is wrong with it, or None if it has nothing to tell."""
    received = now()
    sent = read_sent(body.get("sentAt"), "sentAt")
    email_of = _emails(crm, project)
    read: list[Event | TinyCRMError | None] = []
    for call in calls:
        try:
            event = _event(call, email_of)
        except TinyCRMError as error:
            read.append(error)
        else:
            read.append(None if event is None else read_event(event, None, sent, received))
    return read


def _event(call: object, email_of: Callable[[str], str | None]) -> dict[str, Any] | None:
    """A call in our words; None for one that has nothing to tell. Raises InvalidInput."""
    if not isinstance(call, dict) or call.get("type") not in CALLS:
        raise InvalidInput(f"type: expected one of {', '.join(CALLS)}", field="type")
    context = _object(call, "context")
    traits = {**_object(context, "traits"), **_object(call, "traits")}
    event = {"at": call.get("timestamp"), "id": call.get("messageId")}
    user = call.get("userId")
    email = traits.get("email") or _address(user)
    if call["type"] != "identify":
        email = email or (email_of(user) if isinstance(user, str) and user else None)
        return {**event, "type": "ping", "email": email} if email else None
    if not email:
        raise InvalidEmail("email: neither among the traits nor as userId")
    known, params = _told(traits)
    if isinstance(user, str | int) and user and user != email:
        params.setdefault(USER_ID, str(user))
    active = context.get("active") is not False
    return {
        **event,
        **known,
        "type": "identify",
        "email": email,
        "params": params,
        "active": active,
    }


def _told(traits: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is about the person as such, and everything else."""
    parts = [traits.get("firstName"), traits.get("lastName")]
    name = traits.get("name") or " ".join(each for each in parts if isinstance(each, str))
    params = {key: value for key, value in traits.items() if key not in NOT_PARAMS}
    status = traits.get("status")
    try:
        status = None if status is None else clean_status(status)
    except InvalidStatus:
        params["status"], status = status, None
    return {"name": name or None, "status": status}, params


def _object(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    if isinstance(found, dict | None):
        return found or {}
    raise InvalidInput(f"{name}: expected an object", field=name)


def _address(user: object) -> str | None:
    try:
        return canonical(user)
    except InvalidEmail:
        return None


def _emails(crm: TinyCRM, slug: str) -> Callable[[str], str | None]:
    """Finds the address of whoever was identified with an id of this product."""
    found: dict[str, str | None] = {}

    def email_of(user: str) -> str | None:
        if user not in found:
            wanted = On(slug, (Condition(Param((USER_ID,)), "eq", user),))
            known = any(each.slug == slug for each in crm.projects.list())
            people = list(crm.customers.find(wanted, limit=1)) if known else []
            found[user] = people[0].email if people else None
        return found[user]

    return email_of
