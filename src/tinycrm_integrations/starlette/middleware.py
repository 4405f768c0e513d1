"""The middleware: knows the reporter, and notices who was there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import NotSupported
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.startup import look_aside, refuse

KEY = "tinycrm"
"""Where a request's scope keeps the reporter."""

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class TinyCRMMiddleware:
    """`app.add_middleware(TinyCRMMiddleware, reporter=reporter)`.

    After a request or a websocket it pings the user that the application has put into the scope
    by then: `request.user` of Starlette's AuthenticationMiddleware, or `request.state.user`. What
    the application receives and sends goes past it untouched.
    """

    def __init__(self, app: ASGIApp, reporter: Reporter) -> None:
        self.app = app
        self.reporter = reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at the scope afterwards."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope[KEY] = self.reporter
        try:
            await self.app(scope, receive, send)
        finally:
            user = scope.get("user")
            if user is None and "state" in scope:
                user = scope["state"].get("user")
            if user is not None:
                self.reporter.visited(user)


def get_reporter(connection: HTTPConnection) -> Reporter:
    """The reporter of the application that answers. Raises NotSupported without one."""
    reporter = connection.scope.get(KEY)
    if isinstance(reporter, Reporter):
        return reporter
    raise NotSupported(
        "this application has no TinyCRM: app.add_middleware(TinyCRMMiddleware, reporter=…)"
    )


def get_crm(connection: HTTPConnection) -> TinyCRM:
    """The client of the application that answers. Raises NotSupported without one."""
    return get_reporter(connection).crm


def lifespan(reporter: Reporter, inner: Lifespan | None = None) -> Lifespan:
    """A lifespan that looks where people go, and sends what is queued before the application stops.

    What is wrong with the server or the database is logged beside the start; with a `strict`
    reporter it is raised, as Misconfigured, and the application does not start. `inner` is the
    lifespan the application has already. Sending begins by itself, so that an application without
    it, or one mounted in another, loses nothing but this look and this wait.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[Any]:
        if reporter.strict:
            await run_in_threadpool(refuse, reporter.crm)
        else:
            look_aside(reporter.crm, reporter.guard)
        try:
            async with inner(app) if inner else nullcontext() as state:
                yield state
        finally:
            with reporter.guard("lifespan"):
                await run_in_threadpool(reporter.crm.flush, 2.0)

    return run
