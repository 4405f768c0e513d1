"""An application with the admin for `benchmarks.admin`: `python -m benchmarks.hosts KIND URL`.

Prints the port and ends with its input.
"""

from __future__ import annotations

import socket
import sys
import threading

from tests.hosts.applications import ASGI, WSGI, serve_asgi, serve_wsgi
from tinycrm_core.client import TinyCRM


def main(kind: str, url: str) -> None:
    """Serve until the input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    with TinyCRM(url) as crm:
        app = (WSGI | ASGI)[kind](crm)
        serve = serve_wsgi if kind in WSGI else serve_asgi
        threading.Thread(target=serve, args=(app, listening), daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
