"""Serves the product: `python -m tests.integrations.django.shop.serve wsgi|asgi PORTFILE`."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
from pathlib import Path
from typing import Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tinycrm_core.background import Background
from tinycrm_core.sql import SQLStore
from tinycrm_integrations import reporting


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve_wsgi(announce: Path) -> None:
    from django.core.wsgi import get_wsgi_application

    with Server(("127.0.0.1", 0), Handler) as server:
        server.set_app(get_wsgi_application())
        tell(announce, server.server_port)
        server.serve_forever()


def serve_asgi(announce: Path) -> None:
    import socket

    import uvicorn
    from django.core.asgi import get_asgi_application

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(get_asgi_application(), log_level="critical", lifespan="off")
    tell(announce, listening.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listening])


def tell(announce: Path, port: int) -> None:
    announce.with_suffix(".new").write_text(str(port))
    announce.with_suffix(".new").replace(announce)


class Panic(BaseException):
    """Such as an extension in Rust raises."""


def breaking(*args: Any, **kwargs: Any) -> NoReturn:
    raise Panic("ada@example.com tcrm_proj_secret")


def break_down(what: str) -> None:
    """Have everything of one kind fail from now on."""
    if what == "store":
        SQLStore.begin = breaking  # type: ignore[method-assign]
    elif what == "queue":
        Background.send = Background.put = breaking  # type: ignore[method-assign]


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integrations.django.shop.settings")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what waits is sent
    kind, path = sys.argv[1:]
    # How long the same thing told again is one event; tests cannot wait that long.
    reporting.WINDOW = json.loads(os.environ["SHOP"]).get("window", reporting.WINDOW)
    break_down(json.loads(os.environ["SHOP"]).get("broken", ""))
    {"wsgi": serve_wsgi, "asgi": serve_asgi}[kind](Path(path))
