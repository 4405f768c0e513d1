"""What a request costs more for being looked at, when no ping is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flask

from benchmarks.timing import interleaved, micros, table
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.flask import TinyCRM as FlaskTinyCRM
from tinycrm_integrations.starlette import Reporter, TinyCRMMiddleware

BAR = "≤ 5 µs"
CALLS = 20_000


class Person:
    is_authenticated = True
    email = "ada@example.com"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    pass


def _finished(coroutine: Any) -> None:
    """Run a coroutine that never waits, without a loop around it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


def _request(app: Any, user: Any) -> Callable[[], None]:
    """One request through an ASGI application that never waits, without a loop around it."""

    def ask() -> None:
        scope: dict[str, Any] = {"type": "http", "state": {"user": user} if user else {}}
        _finished(app(scope, None, None))

    return ask


def _in_django() -> Iterator[tuple[str, float]]:
    """What the middleware adds to a view of a Django project, by WSGI and by ASGI."""
    import django
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "tinycrm_integrations.django",
        ],
        TINYCRM={"PROJECT": "notes", "DATABASE": "memory://"},
    )
    django.setup()
    from django.contrib.auth.models import AnonymousUser, User
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import SimpleLazyObject

    from tinycrm_integrations.django.middleware import PingMiddleware

    response = HttpResponse()

    def view(request: HttpRequest) -> HttpResponse:
        return response

    async def aview(request: HttpRequest) -> HttpResponse:
        return response

    sync, asynchronous = PingMiddleware(view), PingMiddleware(aview)

    def with_user(user: Any) -> HttpRequest:
        request = HttpRequest()
        request.user = SimpleLazyObject(lambda: user)
        return request

    for who, user in (
        ("nobody asked for", None),
        ("anonymous", AnonymousUser()),
        ("somebody", User(pk=1, email="ada@example.com")),
    ):
        request = with_user(user)
        if user is not None:
            str(request.user)  # as a view does that looks at it
        found = interleaved(
            {
                "WSGI": partial(view, request),
                "WSGI with": partial(sync, request),
                "ASGI": lambda request=request: _finished(aview(request)),
                "ASGI with": lambda request=request: _finished(asynchronous(request)),
            },
            calls=CALLS,
        )
        for kind in ("WSGI", "ASGI"):
            yield f"Django, {kind}: {who}", found[f"{kind} with"] - found[kind]


def main() -> None:
    """Print the differences."""
    crm = TinyCRM("memory://", project="notes", background=True)
    wrapped = TinyCRMMiddleware(_app, Reporter(crm))
    rows = []
    for who, user in (("anonymous", None), ("somebody", Person())):
        found = interleaved(
            {"without": _request(_app, user), "with": _request(wrapped, user)}, calls=CALLS
        )
        rows.append((f"Starlette, FastAPI: {who}", found["with"] - found["without"]))

    app = flask.Flask("benchmark")
    FlaskTinyCRM(app, crm=crm)
    (after,) = app.after_request_funcs[None]
    response = flask.Response("x")
    for who, user in (("anonymous", None), ("somebody", Person())):
        with app.app_context():
            if user:
                flask.g._login_user = user
            found = interleaved({"after": lambda: after(response)}, calls=CALLS)
            rows.append((f"Flask: {who}", found["after"]))
    crm.close()
    rows += _in_django()
    shown = [(name, micros(seconds), BAR) for name, seconds in rows]
    table("A request that is looked at", ("", "more", "bar"), shown)
