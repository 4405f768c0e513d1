"""What the server answers with: JSON shapes of people, results and errors."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from tinycrm_core import errors
from tinycrm_core.apply import Answer
from tinycrm_core.events import Event
from tinycrm_core.keys import redact
from tinycrm_core.model import Customer, Json, Project, Result
from tinycrm_core.state import KeyState
from tinycrm_core.times import from_micros
from tinycrm_server.bodies import Refused

log = logging.getLogger("tinycrm.server")

TOO_MANY_SECONDS = 0.05
"""So that whoever tries again and again takes nothing from the others."""

STATUSES: tuple[tuple[type[errors.TinyCRMError], int], ...] = (
    (errors.InvalidKey, 401),
    (errors.InvalidInput, 422),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Forgotten, 422),
    (errors.NotSupported, 422),
    (errors.StoreError, 503),
)


def path_below(scope: Scope) -> str:
    """The path without the one that the server lives under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def as_json(value: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer, in ASCII, so that any text that came in can go out."""
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, headers, media_type="application/json")


def problem(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    """The one shape of every error."""
    return {"error": {"code": code, "message": redact(message), "field": field}}


def problem_of(error: errors.TinyCRMError) -> dict[str, Any]:
    """An error of the core in that shape; filters also tell where, and what there is."""
    shape = problem(error.code, error.message, error.field)
    if isinstance(error, errors.InvalidFilter):
        shape["error"] |= {"position": error.position, "choices": list(error.choices)}
    return shape


async def on_refused(request: Request, error: Refused) -> Response:
    """Answer for Refused."""
    await note_rejected(request, error.status, error.code, error.message)
    return await refusal(error)


async def refusal(error: Refused) -> Response:
    """What Refused says to whoever asked; who asks too much waits a moment for it."""
    if error.status == 429:
        await asyncio.sleep(TOO_MANY_SECONDS)
    headers = {"WWW-Authenticate": 'Bearer realm="TinyCRM"'} if error.status == 401 else {}
    if error.wait is not None:
        headers["Retry-After"] = str(error.wait)
    if error.status in (408, 413):
        headers["Connection"] = "close"
    return as_json(problem(error.code, error.message, error.field), error.status, headers)


async def on_error(request: Request, error: errors.TinyCRMError) -> Response:
    """Answer for a TinyCRMError."""
    status = next((code for kind, code in STATUSES if isinstance(error, kind)), 500)
    headers = {}
    shape = problem_of(error)
    if status >= 500:
        # The reason belongs to the owner of the database, not to whoever asked.
        log.error("%s %s: %s", request.method, request.url.path, redact(str(error)))
        shape = problem(error.code, "the database cannot be used at the moment")
        headers["Retry-After"] = "1"
    else:
        await note_rejected(request, status, error.code, error.message)
    return as_json(shape, status, headers)


async def on_gone(request: Request, error: Exception) -> Response:
    """Answer for a client that went away while it was sending: nobody will read it."""
    return Response(status_code=400)


async def note_rejected(request: Request, status: int, code: str, message: str) -> None:
    """Let the page that waits for a first call show why one was turned away.

    The owner is told more of a wrong key than whoever sent it.
    """
    keep = getattr(request.app.state, "keep_rejected", None)
    path = path_below(request.scope)
    if keep is None or request.method != "POST" or not path.startswith("/v1/"):
        return
    call = f"{request.method} {path}"
    why = getattr(request.state, "reason", message)
    account = getattr(request.state, "account", None)
    try:
        await run_in_threadpool(keep, account, call, status, code, why)
    except errors.TinyCRMError as error:
        log.warning("a rejected call was not kept: %s", redact(str(error)))


async def on_crash(request: Request, error: Exception) -> Response:
    """Answer for a mistake of ours, which is logged and not shown."""
    return as_json(problem("internal", "something went wrong here; it was logged"), 500)


async def on_http(request: Request, error: Exception) -> Response:
    """Answer for what the framework turns away: unknown paths and methods."""
    status = getattr(error, "status_code", 500)
    code = {404: "not_found", 405: "method"}.get(status, "http")
    headers = getattr(error, "headers", None)
    return as_json(problem(code, f"{request.method} is not possible here"), status, headers)


def customer_json(customer: Customer) -> dict[str, Any]:
    """A person as JSON; times are ISO 8601 in UTC."""
    return {
        "id": str(customer.id),
        "email": customer.email,
        "name": customer.name,
        "created_at": customer.created_at.isoformat(),
        "last_seen_at": customer.last_seen_at and customer.last_seen_at.isoformat(),
        "aliases": list(customer.aliases),
        "memberships": [
            {
                "project": each.project,
                "status": str(each.status),
                "params": each.params,
                "joined_at": each.joined_at.isoformat(),
                "last_active_at": each.last_active_at and each.last_active_at.isoformat(),
            }
            for each in customer.memberships
        ],
    }


def project_json(project: Project) -> dict[str, Any]:
    """A product as JSON."""
    return {
        "slug": project.slug,
        "name": project.name,
        "hue": project.hue,
        "created_at": project.created_at.isoformat(),
    }


def key_json(key: KeyState, project: str | None) -> dict[str, Any]:
    """An API key as JSON, without its secret."""
    times = {
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
    return {
        "id": str(key.id),
        "hint": key.hint,
        "label": key.label,
        "scope": key.scope,
        "project": project,
        **{name: at and from_micros(at).isoformat() for name, at in times.items()},
    }


def outcome_json(event: Event | errors.TinyCRMError, outcome: Answer) -> dict[str, Any]:
    """What one event did, or the error of that event alone."""
    if isinstance(event, errors.TinyCRMError):
        return problem_of(event)
    match outcome:
        case bool():
            return {"type": event.type, "known": outcome}
        case Result():
            return {
                "type": "identify",
                "action": outcome.action,
                "customer_id": str(outcome.customer_id),
                "joined": outcome.joined,
                "changed": list(outcome.changed),
            }
    return problem_of(outcome)
