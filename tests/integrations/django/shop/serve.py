"""Serves the product: `python -m tests.integrations.django.shop.serve wsgi|asgi PORTFILE`."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

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


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integrations.django.shop.settings")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what waits is sent
    kind, path = sys.argv[1:]
    # How long the same thing told again is one event; tests cannot wait that long.
    reporting.WINDOW = json.loads(os.environ["SHOP"]).get("window", reporting.WINDOW)
    {"wsgi": serve_wsgi, "asgi": serve_asgi}[kind](Path(path))
