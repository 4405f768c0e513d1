"""The shapes of bodies and answers, as JSON Schema for `/openapi.json`."""

from __future__ import annotations

from typing import Any

from tinycrm_core.events import MAX_NAME, STATUSES
from tinycrm_core.model import HUES
from tinycrm_core.previews import MOST_ABSORBED

MAX_BATCH = 500
"""Events of one batch."""

Schema = dict[str, Any]


def shape(properties: Schema, *required: str) -> Schema:
    """An object with these members and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def whole(properties: Schema) -> Schema:
    """The same with every member present."""
    return shape(properties, *properties)


def listed(items: Schema, **rules: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": items, **rules}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
EMAIL: Schema = {"type": "string", "maxLength": 254, "examples": ["alice@example.com"]}
TIME: Schema = {"type": "string", "format": "date-time"}
ID: Schema = {"type": "string", "format": "uuid"}
FLAG: Schema = {"type": "boolean"}
PARAMS: Schema = {"type": "object", "additionalProperties": True}
STATUS: Schema = {"type": "string", "enum": list(STATUSES)}
SLUG: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 100}
HUE: Schema = {"type": "string", "enum": list(HUES)}
SCOPE: Schema = {"type": "string", "enum": ["read", "admin"]}

PING: Schema = {"email": EMAIL, "at": TIME, "id": {"type": "string", "maxLength": 128}}
IDENTIFY: Schema = {
    **PING,
    "name": {"type": "string", "maxLength": MAX_NAME},
    "status": {"type": "string", "enum": [*STATUSES, "trialing"]},
    "params": PARAMS,
    "set_once": PARAMS,
    "unset": listed(TEXT),
    "active": {**FLAG, "default": True},
    "joined": TIME,
    "seen": TIME,
}
SENT: Schema = {"sent_at": TIME, "project": SLUG}
"""What a body says of itself rather than of an event."""

CHANGE_EMAIL: Schema = {**PING, "new": EMAIL, "merge": FLAG}
TYPED = [
    shape({"type": {"const": "identify"}, **IDENTIFY}, "type", "email"),
    shape({"type": {"const": "ping"}, **PING}, "type", "email"),
    shape({"type": {"const": "change_email"}, **CHANGE_EMAIL}, "type", "email", "new"),
]
BATCH = shape({"events": listed({"oneOf": TYPED}, maxItems=MAX_BATCH), **SENT}, "events")

PROBLEM: Schema = {
    "code": TEXT,
    "message": TEXT,
    "field": nullable(TEXT),
    "position": nullable({"type": "integer"}),
    "choices": listed(TEXT),
}
ERROR = whole({"error": shape(PROBLEM, "code", "message", "field")})

IDENTIFIED = whole(
    {
        "type": {"const": "identify"},
        "action": {"type": "string", "enum": ["created", "updated", "unchanged"]},
        "customer_id": ID,
        "joined": FLAG,
        "changed": listed(TEXT),
    }
)
PINGED = whole({"type": {"const": "ping"}, "known": FLAG})
RENAMED = whole({"type": {"const": "change_email"}, "known": FLAG})
RESULTS = whole({"results": listed({"anyOf": [IDENTIFIED, PINGED, RENAMED, ERROR]})})

MEMBERSHIP = whole(
    {
        "project": SLUG,
        "status": STATUS,
        "params": PARAMS,
        "joined_at": TIME,
        "last_active_at": nullable(TIME),
    }
)
CUSTOMER = whole(
    {
        "id": ID,
        "email": EMAIL,
        "name": nullable(TEXT),
        "created_at": TIME,
        "last_seen_at": nullable(TIME),
        "aliases": listed(EMAIL),
        "memberships": listed(MEMBERSHIP),
    }
)
CUSTOMERS = whole({"customers": listed(CUSTOMER), "next": nullable(TEXT)})

CHANGE = whole(
    {
        "at": TIME,
        "event_at": TIME,
        "kind": TEXT,
        "via": TEXT,
        "project": nullable(SLUG),
        "email": EMAIL,
        "changes": {"type": "object", "additionalProperties": shape({"old": {}, "new": {}})},
        "late": PARAMS,
        "batch": nullable(ID),
    }
)
HISTORY = whole({"history": listed(CHANGE), "next": nullable(TEXT)})

SIDE: Schema = {**TEXT, "description": "The id or an email of a customer."}
CHOICE = whole({"project": nullable(SLUG), "field": TEXT, "of": SIDE})
MERGE = shape(
    {
        "keep": SIDE,
        "absorb": {"anyOf": [SIDE, listed(SIDE, minItems=1, maxItems=MOST_ABSORBED)]},
        "choices": listed(
            CHOICE,
            description="Fields of conflicts in which the value of somebody else stays.",
        ),
    },
    "keep",
    "absorb",
)
MERGED = whole({"id": ID, "customer_id": nullable(ID)})
CONFLICT = shape(
    {
        "project": nullable(SLUG),
        "field": TEXT,
        "values": listed(whole({"of": EMAIL, "value": {}})),
        "result": {},
    },
    "project",
    "field",
    "values",
)
PREVIEW = whole(
    {
        "keep": CUSTOMER,
        "absorbed": listed(CUSTOMER),
        "result": CUSTOMER,
        "moves": listed(SLUG),
        "conflicts": listed(CONFLICT),
    }
)

PROJECT = whole({"slug": SLUG, "name": TEXT, "hue": HUE, "created_at": TIME})
PROJECTS = whole({"projects": listed(PROJECT)})
_LOOK: dict[str, Schema] = {"slug": SLUG, "name": NAME, "hue": HUE}
NEW_PROJECT = shape(_LOOK, "slug")
PROJECT_CHANGE = shape(
    _LOOK
    | {
        "place": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**31 - 1,
            "description": "How many products come before it.",
        }
    }
)

_KEY: Schema = {
    "id": ID,
    "hint": TEXT,
    "label": TEXT,
    "scope": {"type": "string", "enum": ["write", "read", "admin"]},
    "project": nullable(SLUG),
    "created_at": TIME,
    "last_used_at": nullable(TIME),
    "revoked_at": nullable(TIME),
}
KEYS = whole({"keys": listed(whole(_KEY))})
MADE_KEY = whole({"key": TEXT, **_KEY})
LABEL: Schema = {"type": "string", "maxLength": 100}
NEW_KEY = {
    "oneOf": [
        shape({"project": SLUG, "label": LABEL}, "project"),
        shape({"scope": SCOPE, "label": LABEL}, "scope"),
    ]
}
