"""Serving with uvicorn: one process or several, and an end that loses nothing."""

from __future__ import annotations

import inspect
import os
import socket
import tempfile
from contextlib import ExitStack, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from tinycrm_core.client import TinyCRM
from tinycrm_server.app import create_app
from tinycrm_server.logs import set_up_logs
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.sessions import Sessions
from tinycrm_server.owners.setup import Setup
from tinycrm_server.owners.tables import Place
from tinycrm_server.pages.setup import SetupDoor
from tinycrm_server.protocol import TimelyProtocol
from tinycrm_server.rates import Rates
from tinycrm_server.settings import PREFIX, Settings, read_settings


def application(crm: TinyCRM, settings: Settings) -> ASGIApp:
    """The server with owners who log in."""
    place = Place(crm.store)
    sessions = Sessions(place, settings.session_idle_hours, settings.session_hours)
    rates = Rates({"login": settings.rate_logins}, settings.rate_storage)
    door = SetupDoor(crm, Setup(place), Owners(place), sessions, rates)
    return create_app(crm, door=door, settings=settings)


def from_environment() -> ASGIApp:
    """The same from TINYCRM_*, for `uvicorn --factory tinycrm_server.running:from_environment`."""
    settings = read_settings()
    set_up_logs(settings)
    return application(TinyCRM(settings.database), settings)


def run(app: ASGIApp | None, listening: socket.socket, settings: Settings) -> None:
    """Answer on a socket until SIGTERM or Ctrl-C; then finish what has begun.

    With several workers, or without `app`, each process makes its own from the environment, which
    is set here to these settings; one that dies is replaced. Several count calls together, for
    their limits and their metrics.
    """
    with ExitStack() as ending:
        if app is None:
            if settings.workers > 1:
                settings = _shared(settings, ending)
            os.environ.update(_environment(settings))
        _serve(app, listening, settings)


def _shared(settings: Settings, ending: ExitStack) -> Settings:
    """Settings with a place for what the workers count, which goes with the server."""
    folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="tinycrm-"))
    if settings.metrics_token is not None:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
    if settings.rate_storage or os.name != "posix":
        return settings
    return settings.model_copy(update={"rate_storage": f"file://{folder}/rates"})


def _serve(app: ASGIApp | None, listening: socket.socket, settings: Settings) -> None:
    config = uvicorn.Config(
        app or "tinycrm_server.running:from_environment",
        factory=app is None,
        workers=settings.workers,
        **_options(settings),
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # which uvicorn passes on once it has ended
        _run(config, server, listening, alone=app is not None or settings.workers == 1)


def _run(
    config: uvicorn.Config, server: uvicorn.Server, listening: socket.socket, *, alone: bool
) -> None:
    if alone:
        server.run(sockets=[listening])
        return
    listening.set_inheritable(True)
    # Older versions of uvicorn want to be told what a process runs.
    wanted = "target" in inspect.signature(Multiprocess).parameters
    target: dict[str, Any] = {"target": server.run} if wanted else {}
    Multiprocess(config, sockets=[listening], **target).run()


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "http": TimelyProtocol,
        "ws": "none",
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        "timeout_graceful_shutdown": settings.stop_seconds,
        "timeout_keep_alive": 5,
    }


def _environment(settings: Settings) -> dict[str, str]:
    found = {}
    for name, value in settings:
        if value is not None:
            secret = getattr(value, "get_secret_value", None)
            found[PREFIX + name.upper()] = str(secret() if secret else value)
    return found
