"""What `/openapi.json` says of each route."""

from __future__ import annotations

from typing import Any

from tinycrm_core.query import MAX_LIMIT
from tinycrm_server import schemas
from tinycrm_server.schemas import MAX_BATCH, Schema

SECURITY = {
    "project_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of one product, `tcrm_proj_…`, which writes.",
    },
    "account_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the account, `tcrm_acct_…`, with the scope read or admin.",
    },
}
"""For `components.securitySchemes`."""

_FILTER = "The conditions of a filter are further parameters, or text in `q`."


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _route(
    name: str,
    summary: str,
    content: dict[str, Any] | None,
    status: int = 200,
    *,
    body: Schema | None = None,
    key: str = "account_key",
    said: str = "",
    **parts: Any,
) -> dict[str, Any]:
    """Arguments for the decorator of a route; FastAPI itself knows nothing of our bodies."""
    answer: dict[str, Any] = {"description": summary}
    if content:
        answer["content"] = content
    extra: dict[str, Any] = {
        "security": [{key: []}],
        "responses": {
            str(status): answer,
            "default": {"description": "What is wrong", "content": _json(schemas.ERROR)},
        },
        **parts,
    }
    if body is not None:
        extra["requestBody"] = {"required": True, "content": _json(body)}
    return {
        "operation_id": name,
        "summary": summary,
        "description": said or None,
        "status_code": status,
        "openapi_extra": extra,
    }


def _query(**named: Schema) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in named.items()]


def _path(name: str, schema: Schema) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": schema}]


_ASKED: dict[str, Schema] = {"q": schemas.TEXT, "sort": {**schemas.TEXT, "default": "-seen"}}
_PAGED: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50},
    "after": {**schemas.TEXT, "description": "`next` of the page before."},
}
_RECORDED: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100},
    "after": {**schemas.TEXT, "description": "`next` of the page before."},
    "project": {**schemas.SLUG, "description": "Only what changed on this product."},
}
_ID = _path("id", schemas.ID)
_PROJECT = _path("slug", schemas.TEXT)
_WRITE = "project_key"


def _events() -> list[dict[str, Any]]:
    one: dict[str, Any] = {**schemas.IDENTIFY, **schemas.SENT, "type": {"const": "identify"}}
    ping: dict[str, Any] = {**schemas.PING, **schemas.SENT, "type": {"const": "ping"}}
    change: dict[str, Any] = {**schemas.CHANGE_EMAIL, **schemas.SENT}
    change["type"] = {"const": "change_email"}
    return [
        _route(
            "identify",
            "Report what a product knows about a person",
            _json(schemas.IDENTIFIED),
            body=schemas.shape(one, "email"),
            key=_WRITE,
        ),
        _route(
            "ping",
            "Report that somebody was there",
            _json(schemas.PINGED),
            body=schemas.shape(ping, "email"),
            key=_WRITE,
        ),
        _route(
            "change_email",
            "Report that somebody has another address",
            _json(schemas.RENAMED),
            body=schemas.shape(change, "email", "new"),
            key=_WRITE,
        ),
        _route(
            "events",
            "Report a list of events, with a result for each, in order",
            _json(schemas.RESULTS),
            body=schemas.BATCH,
            key=_WRITE,
            said=f"At most {MAX_BATCH} events; each stands for itself.",
        ),
    ]


def _customers() -> list[dict[str, Any]]:
    text = {"schema": schemas.TEXT}
    asked = _query(**_ASKED)
    forget = _query(forget={**schemas.FLAG, "default": False})
    return [
        _route(
            "customers",
            "One page of the people who match a filter",
            _json(schemas.CUSTOMERS),
            said=_FILTER,
            parameters=_query(**_ASKED, **_PAGED),
        ),
        _route(
            "customers_csv",
            "Everybody who matches a filter, as CSV",
            {"text/csv": text},
            said=_FILTER,
            parameters=asked,
        ),
        _route(
            "customers_jsonl",
            "Everybody who matches a filter, as JSON lines",
            {"application/jsonl": text},
            said=_FILTER,
            parameters=asked,
        ),
        _route("customer", "One person", _json(schemas.CUSTOMER), parameters=_ID),
        _route(
            "delete_customer",
            "Erase a person",
            None,
            204,
            said="With `forget`, the addresses are refused from then on.",
            parameters=[*_ID, *forget],
        ),
        _route(
            "history",
            "What changed about a person, newest first",
            _json(schemas.HISTORY),
            parameters=[*_ID, *_query(**_RECORDED)],
        ),
    ]


def _merges() -> list[dict[str, Any]]:
    merge = schemas.MERGE
    return [
        _route("merge", "Make one person of two or more", _json(schemas.MERGED), 201, body=merge),
        _route(
            "preview", "What a merge would do", _json(schemas.PREVIEW), body=merge,
            said="Nothing is written.",
        ),
        _route("undo_merge", "Part merged people again", None, 204, parameters=_ID),
    ]  # fmt: skip


def _projects() -> list[dict[str, Any]]:
    one, change = _json(schemas.PROJECT), schemas.PROJECT_CHANGE
    return [
        _route("projects", "The products in their order", _json(schemas.PROJECTS)),
        _route("add_project", "Add a product", one, 201, body=schemas.NEW_PROJECT),
        _route("project", "One product", one, parameters=_PROJECT),
        _route(
            "change_project", "Give a product another slug, name, colour or place", one,
            body=change, parameters=_PROJECT,
        ),
        _route(
            "delete_project", "Remove a product, its memberships and keys; people stay", None, 204,
            parameters=_PROJECT,
        ),
        _route("keys", "The API keys, without their secrets", _json(schemas.KEYS)),
        _route(
            "add_key", "Make an API key, shown here and never again", _json(schemas.MADE_KEY), 201,
            body=schemas.NEW_KEY, said="A product has at most two live keys, to replace one.",
        ),
        _route("revoke_key", "End an API key", None, 204, parameters=_ID),
    ]  # fmt: skip


_ROUTES = {
    each["operation_id"]: each
    for part in (_events, _customers, _merges, _projects)
    for each in part()
}


def described(name: str) -> dict[str, Any]:
    """What the decorator of a route takes besides its path."""
    return _ROUTES[name]
