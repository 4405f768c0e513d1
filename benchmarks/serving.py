"""What an event costs the server over HTTP, beside the same server answering a short JSON."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from benchmarks.timing import CLOCK, interleaved, table
from tests.server.processes import Running, key_for, serve

BAR = "≥ 0.5×"
CONNECTIONS = 8
CALLS = 60
UNLIMITED = {"TINYCRM_RATE_PER_KEY": "", "TINYCRM_RATE_PER_ADDRESS": ""}


def post(path: str, key: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()


def person(email: str, mrr: int) -> str:
    return f'{{"email":"{email}","status":"paid","params":{{"plan":"pro","mrr":{mrr}}}}}'


class Clients:
    """Connections that are kept open and have one request each on the way."""

    def __init__(self, port: int, ending: ExitStack) -> None:
        self._open = [
            ending.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(CONNECTIONS)
        ]

    def send(self, requests: Iterator[bytes]) -> None:
        """One request on each connection, and their answers."""
        for each in self._open:
            each.sendall(next(requests))
        for each in self._open:
            answer = b""
            while not answer.endswith(b"}"):
                answer += each.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 "), answer


def on(where: str) -> Iterator[tuple[str, float]]:
    """Requests a second of each kind."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        key = key_for(where)["Authorization"]
        running: Running = ending.enter_context(serve(where, Path(folder), **UNLIMITED))
        found = re.search(r"on http://127\.0\.0\.1:(\d+)", running.text)
        assert found
        clients, numbers = Clients(int(found[1]), ending), count()

        def asking(request: Callable[[int], bytes]) -> Callable[[], None]:
            return lambda: clients.send(request(next(numbers)) for _ in range(CONNECTIONS))

        contenders = {
            "a short JSON": asking(lambda _: b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
            "ping": asking(lambda _: post("/v1/ping", key, '{"email":"ada@example.com"}')),
            "identify, nothing new": asking(
                lambda _: post("/v1/identify", key, person("ada@example.com", 29))
            ),
            "identify, one param changed": asking(
                lambda n: post("/v1/identify", key, person(f"p{n % 1000}@example.com", n))
            ),
        }
        times = interleaved(contenders, calls=CALLS, clock=CLOCK)
        yield from ((name, CONNECTIONS / each) for name, each in times.items())


def show(title: str, where: str) -> None:
    """Print one table."""
    found = dict(on(where))
    base = found["a short JSON"]
    rows = [
        (name, f"{each:,.0f}/s", f"{each / base:.2f}×", BAR if "identify" in name else "")
        for name, each in found.items()
    ]
    table(title, ("", "requests", "of a short JSON", "bar"), rows)


def main(postgres_url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        show("One server process, SQLite file", f"sqlite:///{folder}/crm.db")
    show("One server process, PostgreSQL", postgres_url)
