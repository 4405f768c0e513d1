"""The admin as routes of a Starlette application."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette import requests, responses
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import UploadFile
from starlette.routing import Route

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.gate import actor_name, checked
from tinycrm_integrations.web.http import Request, Response, Upload

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class _Below(Convertor[str]):
    """Nothing, or a slash and whatever follows: the bare mount is ours too."""

    regex = "(?:/.*)?"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tinycrm_below", _Below())
BELOW = "{below:tinycrm_below}"
"""The part of a path that belongs to the admin, as a parameter of the one catch-all route."""


def admin_routes(
    crm: TinyCRM, *, authorize: Callable[[requests.Request], Any], **options: Any
) -> list[Route]:
    """Routes for `Mount("/crm", routes=admin_routes(crm, authorize=…))`.

    `authorize` takes the request and tells who it is: a name or a user object lets them in, False
    or None answers 403, a response of Starlette is sent instead, and HTTPException may be raised.
    It may be a coroutine function. `options` are those of `Admin`. Raises InvalidInput without it.
    """
    admin, allow = Admin(crm, **options), checked(authorize)

    async def endpoint(request: requests.Request) -> responses.Response:
        found = (
            await allow(request)
            if inspect.iscoroutinefunction(allow)
            else await run_in_threadpool(allow, request)
        )
        if isinstance(found, responses.Response):
            return found
        actor = actor_name(found)
        if actor is None:
            return responses.PlainTextResponse("This page is not for you.", 403)
        return await answer(admin, request, actor)

    return [Route("/{below:path}", endpoint, methods=METHODS, include_in_schema=False)]


async def answer(admin: Admin, request: requests.Request, actor: str) -> responses.Response:
    """Have the admin answer a request of somebody who is let in; `below` is a path parameter."""
    if request.method != "POST":
        return native(await run_in_threadpool(admin.handle, _translated(request, [], actor)))
    async with request.form() as form:
        asked = _translated(request, form.multi_items(), actor)
        return native(await run_in_threadpool(admin.handle, asked))


def _translated(
    request: requests.Request, fields: list[tuple[str, UploadFile | str]], actor: str
) -> Request:
    below = request.path_params["below"]
    below = below if below.startswith("/") or _is_bare(request) else f"/{below}"
    root, path = request.scope.get("root_path", ""), request.scope["path"]
    # Servers differ in whether the path still holds the root path in front.
    whole = path if path.startswith(root) else root + path
    return Request(
        method=request.method,
        path=below,
        prefix=whole.removesuffix(below),
        origin=f"{request.url.scheme}://{request.url.netloc}",
        query=tuple(parse_qsl(request.url.query, keep_blank_values=True)),
        form=tuple((name, value) for name, value in fields if isinstance(value, str)),
        uploads={
            name: Upload(value.filename or "", value.file)
            for name, value in fields
            if isinstance(value, UploadFile)
        },
        headers=dict(request.headers),
        actor=actor,
    )


def _is_bare(request: requests.Request) -> bool:
    return request.path_params["below"] == "" and not request.scope["path"].endswith("/")


def native(answer: Response) -> responses.Response:
    """An answer of the admin as Starlette sends it."""
    native = (
        responses.Response(answer.body, answer.status)
        if isinstance(answer.body, bytes)
        else responses.StreamingResponse(answer.body, answer.status)
    )
    for name, value in answer.headers:
        native.headers.append(name, value)
    return native
