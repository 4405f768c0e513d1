"""What a request costs more for being looked at, when no ping is due."""

from __future__ import annotations

from collections.abc import Callable
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


def _request(app: Any, user: Any) -> Callable[[], None]:
    """One request through an ASGI application that never waits, without a loop around it."""

    def ask() -> None:
        scope: dict[str, Any] = {"type": "http", "state": {"user": user} if user else {}}
        try:
            app(scope, None, None).send(None)
        except StopIteration:
            return
        raise AssertionError("it waits for something")

    return ask


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
    shown = [(name, micros(seconds), BAR) for name, seconds in rows]
    table("A request that is looked at", ("", "more", "bar"), shown)
