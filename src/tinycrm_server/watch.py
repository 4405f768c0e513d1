"""What surrounds every request: its id, its limits, its line in the log, its headers."""

from __future__ import annotations

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinycrm_integrations.web.render import HEADERS
from tinycrm_server.bodies import Refused
from tinycrm_server.health import Metrics
from tinycrm_server.rates import Rates, address
from tinycrm_server.replies import path_below, refusal

log = logging.getLogger("tinycrm.server.access")

_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""What log and metrics name; anybody can make up others, as many as they like."""

UNLIMITED = {"/healthz", "/readyz", "/metrics"}


class Rooted:
    """Lives under a path, whether the proxy in front takes it off or leaves it on."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app, self._root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through with the path where the framework expects it."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path != self._root and not path.startswith(f"{self._root}/"):
                path = self._root + path
            scope = {**scope, "root_path": self._root, "path": path}
        await self.app(scope, receive, send)


class Watch:
    """Limits calls by address, gives every answer its protective headers, and notes it down.

    The log holds the route and never the path, the query, the address or a body: those are about
    people.
    """

    def __init__(self, app: ASGIApp, rates: Rates, metrics: Metrics | None = None) -> None:
        self.app, self._rates, self._metrics = app, rates, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        ident = Headers(scope=scope).get("x-request-id", "")
        ident = ident if _ID.fullmatch(ident) else uuid4().hex

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = ident
            await send(message)

        try:
            if path_below(scope) not in UNLIMITED:
                self._rates.take("address", address(HTTPConnection(scope)))
        except Refused as error:
            refused = await refusal(error)
            await refused(scope, receive, sending)
        else:
            await self.app(scope, receive, sending)
        finally:
            self._note(scope, ident, status, time.perf_counter() - started)

    def _note(self, scope: Scope, ident: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "")
        method = scope["method"] if scope["method"] in METHODS else "?"
        if self._metrics is not None:
            self._metrics.observe(method, route, status, seconds)
        milliseconds = round(seconds * 1000, 1)
        facts = {"method": method, "route": route, "status": status, "ms": milliseconds}
        log.info("call", extra={**facts, "request": ident})
