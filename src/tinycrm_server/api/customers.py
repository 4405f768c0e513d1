"""Reading people: pages, whole files, one person with their history; and deleting one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_core.model import Customer
from tinycrm_core.query import MAX_LIMIT
from tinycrm_core.transfer.export import csv_chunks, jsonl_chunks
from tinycrm_server.auth import Keys
from tinycrm_server.description import described
from tinycrm_server.replies import as_json, customer_json

SORT = "-seen"
VIEW = ("sort", "limit", "after")
LOOK = ("back", "cols")
"""Pairs with which the admin keeps how it looks: they say nothing of who is asked for."""

Pairs = list[tuple[str, str]]


def add_customers(router: APIRouter, keys: Keys) -> None:
    """Add the routes about people."""

    @router.get("/customers", **described("customers"))
    def customers(request: Request) -> Response:
        crm = keys.client(keys.reader(request))
        view, pairs = read_query(request.query_params.multi_items())
        page = crm.customers.find(
            pairs,
            sort=view.get("sort", SORT),
            limit=_limit(view.get("limit", "50")),
            after=view.get("after"),
        )
        found = [customer_json(each) for each in page]
        return as_json({"customers": found, "next": page.next})

    @router.get("/customers.csv", **described("customers_csv"))
    def as_csv(request: Request) -> Response:
        return _file(keys, request, csv_chunks, "csv", "text/csv; charset=utf-8")

    @router.get("/customers.jsonl", **described("customers_jsonl"))
    def as_jsonl(request: Request) -> Response:
        return _file(keys, request, jsonl_chunks, "jsonl", "application/jsonl")

    @router.get("/customers/{id}", **described("customer"))
    def customer(request: Request) -> Response:
        crm = keys.client(keys.reader(request))
        return as_json(customer_json(_person(crm, request.path_params["id"])))

    @router.delete("/customers/{id}", **described("delete_customer"))
    def delete(request: Request) -> Response:
        crm = keys.client(keys.admin(request))
        forget = _flag(request.query_params.multi_items(), "forget")
        crm.customers.delete(_person(crm, request.path_params["id"]).email, forget=forget)
        return Response(status_code=204)

    @router.get("/customers/{id}/history", **described("history"))
    def history(request: Request) -> Response:
        crm = keys.client(keys.reader(request))
        view, pairs = read_query(request.query_params.multi_items())
        asked = dict(pairs)
        for name in [*asked.keys() - {"project"}, *view.keys() - {"limit", "after"}]:
            shown = ascii(name)[1:-1][:60]
            raise InvalidInput(
                f"{shown}: unknown parameter; there are limit, after and project", field=shown
            )
        changes = crm.customers.history(
            _person(crm, request.path_params["id"]).email,
            limit=_limit(view.get("limit", "100")),
            after=view.get("after"),
            project=asked.get("project"),
        )
        return as_json({"history": [each.to_json() for each in changes], "next": changes.next})


def read_query(items: Iterable[tuple[str, str]]) -> tuple[dict[str, str], Pairs]:
    """What orders and pages, and the pairs of the filter; how the admin looks is left out."""
    view: dict[str, str] = {}
    pairs: Pairs = []
    for key, value in items:
        if key in LOOK:
            continue
        if key not in VIEW:
            pairs.append((key, value))
        elif key in view:
            raise InvalidInput(f"{key}: given twice", field=key)
        else:
            view[key] = value
    return view, pairs


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidInput(f"limit: expected a whole number from 1 to {MAX_LIMIT}", field="limit")
    return int(text)


def _flag(items: Iterable[tuple[str, str]], name: str) -> bool:
    given = list(items)
    for key, value in given:
        if key != name:
            shown = ascii(key)[1:-1][:60]
            raise InvalidInput(f"{shown}: unknown parameter; there is {name}", field=shown)
        if value not in ("true", "false") or len(given) > 1:
            raise InvalidInput(f"{name}: expected true or false, once", field=name)
    return given == [(name, "true")]


def _file(
    keys: Keys, request: Request, chunks: Callable[..., Iterator[str]], ending: str, kind: str
) -> Response:
    """Everybody who matches, streamed; a page that is asked for is left aside, as in the admin."""
    crm = keys.client(keys.reader(request))
    view, pairs = read_query(request.query_params.multi_items())
    sort = view.get("sort", SORT)
    # What is wrong with the question has to be known before the first byte goes out.
    crm.customers.find(pairs, sort=sort, limit=1)
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="customers.{ending}"'}
    return StreamingResponse(chunks(crm, pairs, sort=sort), 200, headers, media_type=kind)


def _person(crm: TinyCRM, ident: str) -> Customer:
    try:
        found = crm.customers.get_by_id(UUID(ident))
    except ValueError:
        found = None
    if found is None:
        raise NotFound("there is no such customer", field="id")
    return found
