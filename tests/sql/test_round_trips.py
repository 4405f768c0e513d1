"""How often PostgreSQL has to answer before a call is done: what a network makes slow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tinycrm_core import TinyCRM
from tinycrm_core.events import Identify


class Proxy:
    """Stands before a server and counts the messages after which a client waits for an answer."""

    def __init__(self, url: str) -> None:
        self.waits = 0
        parts = urlsplit(url)
        query = {name: each[0] for name, each in parse_qs(parts.query).items()}
        self._folder = query.pop("host", None)
        self._address = (parts.hostname or "localhost", parts.port or 5432)
        self._server = socket.create_server(("127.0.0.1", 0))
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        place = f"{user}127.0.0.1:{self._server.getsockname()[1]}"
        query |= {"sslmode": "disable", "gssencmode": "disable"}
        self.url = parts._replace(netloc=place, query=urlencode(query)).geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            if self._folder:
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(f"{self._folder}/.s.PGSQL.{self._address[1]}")
            else:
                behind = socket.create_connection(self._address)
            threading.Thread(target=self._answers, args=(behind, client), daemon=True).start()
            threading.Thread(target=self._requests, args=(client, behind), daemon=True).start()

    def _answers(self, behind: socket.socket, client: socket.socket) -> None:
        with behind, client:
            try:
                while data := behind.recv(65536):
                    client.sendall(data)
            except OSError:  # the other side has gone
                return

    def _requests(self, client: socket.socket, behind: socket.socket) -> None:
        buffer, started, kind = b"", False, b""
        try:
            while data := client.recv(65536):
                buffer += data
                while len(buffer) >= 5:
                    # The first message has no type, only a length.
                    size = int.from_bytes(buffer[1:5], "big") + 1 if started else 0
                    size = size or int.from_bytes(buffer[:4], "big")
                    if len(buffer) < size:
                        break
                    # A Flush behind a Sync waits for the same answer.
                    kind, last = buffer[:1], kind
                    self.waits += started and (kind in b"QS" or (kind == b"H" and last != b"S"))
                    buffer, started = buffer[size:], True
                behind.sendall(data)
            behind.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def proxy(fresh_postgres_url: str) -> Iterator[Proxy]:
    proxy = Proxy(fresh_postgres_url)
    yield proxy
    proxy.close()


@pytest.fixture
def crm(proxy: Proxy) -> Iterator[TinyCRM]:
    with TinyCRM(proxy.url, project="shop") as crm:
        # By then every statement is prepared, which costs no round trip in a pipeline anyway.
        for number in range(12):
            crm.identify("ann@example.com", name="Ann", status="paid", params={"n": number})
            crm.identify(f"new{number}@example.com", params={"n": number})
        yield crm


CALLS: dict[str, tuple[int, Callable[[TinyCRM], object]]] = {
    "a param changed": (3, lambda crm: crm.identify("ann@example.com", params={"n": 99})),
    "nothing new": (3, lambda crm: crm.identify("ann@example.com", status="paid", active=False)),
    "ping": (3, lambda crm: crm.ping("ann@example.com")),
    "somebody new": (6, lambda crm: crm.identify("zoe@example.com", params={"n": 1})),
    "one person": (3, lambda crm: crm.customers.get("ann@example.com")),
    "a batch": (
        6,
        lambda crm: crm.bound.send(
            [Identify(f"many{number}@example.com", params={"n": number}) for number in range(200)]
        ),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_needs_few_round_trips(crm: TinyCRM, proxy: Proxy, name: str) -> None:
    """Begin and account; locks and people; all writes and the commit. New ones claim addresses."""
    most, call = CALLS[name]
    before = proxy.waits
    call(crm)
    assert proxy.waits - before <= most, name


def test_the_count_grows_with_each_statement_that_waits(crm: TinyCRM, proxy: Proxy) -> None:
    before = proxy.waits
    crm.identify("ann@example.com", params={"n": 100})
    one = proxy.waits - before
    crm.identify("ann@example.com", params={"n": 101})
    assert proxy.waits - before == 2 * one > 1
