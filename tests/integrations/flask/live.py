"""A WSGI application on a real port, and a browser's worth of client for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

import httpx2
from flask import Flask
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)


@contextlib.contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve until the block ends; the base URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@contextlib.contextmanager
def browsing(app: Flask) -> Iterator[httpx2.Client]:
    """A client with cookies of its own, talking to the application over HTTP."""
    with serving(app) as url, visitor(url) as client:
        yield client


def visitor(url: str) -> httpx2.Client:
    """One more browser."""
    return httpx2.Client(base_url=url, timeout=20, trust_env=False)
