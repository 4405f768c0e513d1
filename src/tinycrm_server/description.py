"""What `/openapi.json` says about bodies, parameters and answers."""

from __future__ import annotations

from typing import Any

from tinycrm_core.events import STATUSES
from tinycrm_core.query import MAX_LIMIT

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_PARAMS = {"type": "object", "additionalProperties": True}
_PING: dict[str, Any] = {"email": _TEXT, "at": _TIME, "id": {**_TEXT, "maxLength": 128}}
_IDENTIFY: dict[str, Any] = {
    **_PING,
    "name": _TEXT,
    "status": {"type": "string", "enum": [*STATUSES, "trialing"]},
    "params": _PARAMS,
    "set_once": _PARAMS,
    "unset": {"type": "array", "items": _TEXT},
    "active": {"type": "boolean", "default": True},
    "joined": _TIME,
    "seen": _TIME,
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field"],
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "field": {"type": ["string", "null"]},
            },
        }
    },
}
SECURITY = {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}
"""For `components.securitySchemes`."""


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _route(description: str, **parts: Any) -> dict[str, Any]:
    answers = {
        "200": {"description": description, "content": _json({"type": "object"})},
        "default": {"description": "What is wrong", "content": _json(_ERROR)},
    }
    return {"security": [{"key": []}], "responses": answers, **parts}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": _json(schema)}


_SENT = {"sent_at": _TIME}
_TYPED = [
    _object({"type": {"const": kind}, **fields}, "type", "email")
    for kind, fields in (("identify", _IDENTIFY), ("ping", _PING))
]


def operations(max_batch: int) -> dict[str, dict[str, Any]]:
    """For each route, what is added to its operation; a batch holds at most `max_batch` events."""
    events = {"type": "array", "maxItems": max_batch, "items": {"oneOf": _TYPED}}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
    named = {"q": _TEXT, "sort": _TEXT, "limit": limit, "after": _TEXT}
    return {
        "identify": _route(
            "What it did",
            requestBody=_body(
                _object({**_IDENTIFY, **_SENT, "type": {"const": "identify"}}, "email")
            ),
        ),
        "ping": _route(
            "Whether the person is known here",
            requestBody=_body(_object({**_PING, **_SENT, "type": {"const": "ping"}}, "email")),
        ),
        "events": _route(
            "A result for each event, in order",
            requestBody=_body(_object({"events": events, **_SENT}, "events")),
        ),
        "customers": _route(
            "One page; the conditions of a filter are further parameters",
            parameters=[
                {"name": name, "in": "query", "schema": schema} for name, schema in named.items()
            ],
        ),
    }
