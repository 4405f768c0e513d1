"""Running one product on a port of this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORTS = {"newsletter": 8001, "shop": 8002, "links": 8003, "admin": 8004}


def main(
    name: str, create: Callable[[Path], Any], serve: Callable[[Any, socket.socket], None]
) -> None:
    """`python -m examples.NAME [FOLDER] [--port N]`; prints the address once it listens."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.{name}")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where its data is")
    parser.add_argument("--port", type=int, default=PORTS[name], help="0 takes a free one")
    asked = parser.parse_args()
    end_on_signals()
    app = create(asked.folder)
    listening = socket.create_server(("127.0.0.1", asked.port))
    print(f"{name:<10} http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    # What is queued is sent while Python ends.
    with contextlib.suppress(KeyboardInterrupt):
        serve(app, listening)


def end_on_signals() -> None:
    """A KeyboardInterrupt for Ctrl-C and for SIGTERM, also in a shell's background job.

    Shells make their background jobs ignore Ctrl-C, and Python then leaves it at that.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)


def serve_wsgi(app: Any, listening: socket.socket) -> None:
    """As `flask run` does; not for production."""
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = listening.getsockname()[1]
    make_server("127.0.0.1", port, app, threaded=True, fd=listening.fileno()).serve_forever()


def serve_asgi(app: Any, listening: socket.socket) -> None:
    """As `fastapi run` does."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def customers_url(folder: Path) -> str:
    """The database that the products share."""
    return f"sqlite:///{(folder / 'customers.db').absolute()}"
