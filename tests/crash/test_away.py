"""C4: PostgreSQL goes and comes back, or is silent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.patience import eventually
from tests.postgres import Server
from tests.programs import free_port
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import StoreError

pytestmark = pytest.mark.postgres
WRITERS = 4


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL of the test's own, reached by TCP."""
    with TemporaryDirectory(prefix="tinycrm-") as folder:  # short, as paths of sockets have to be
        server = Server(Path(folder) / "postgres", free_port())
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(Exception):
                server.stop()


class Writer(threading.Thread):
    """Reports one person after the other; keeps what was stored and what failed."""

    def __init__(self, crm: TinyCRM, name: str, ending: threading.Event) -> None:
        super().__init__()
        self.crm, self.who, self.ending = crm, name, ending
        self.stored: list[str] = []
        self.failed: list[Exception] = []

    def run(self) -> None:
        while not self.ending.is_set():
            email = f"{self.who}.{len(self.stored)}@example.com"
            try:
                self.crm.identify(email)
            except Exception as error:
                self.failed.append(error)
                time.sleep(0.01)  # the machine is needed for the database to come back
            else:
                self.stored.append(email)


def get_further(writers: list[Writer], calls: int) -> None:
    """Wait until each of them has stored so many more."""
    goals = [len(each.stored) + calls for each in writers]
    eventually(lambda: all(len(w.stored) >= n for w, n in zip(writers, goals, strict=True)))


def test_c4_calls_go_on_when_the_database_is_back(server: Server) -> None:
    """What was acknowledged is there; no broken connection is left that a later call could meet."""
    ending = threading.Event()
    with TinyCRM(server.url, project="shop") as crm:
        crm.projects.add("shop")
        writers = [Writer(crm, f"w{number}", ending) for number in range(WRITERS)]
        for each in writers:
            each.start()
        try:
            for _ in range(2):
                get_further(writers, 1)
                server.stop()
                eventually(lambda: all(each.failed for each in writers))
                server.resume()
                failed = sum(len(each.failed) for each in writers)
                get_further(writers, 20)
                # A call that had begun before may still tell of the end.
                assert sum(len(each.failed) for each in writers) - failed <= WRITERS
        finally:
            ending.set()
            for each in writers:
                each.join()
        assert {type(error) for each in writers for error in each.failed} == {StoreError}
        known = {person.email for person in crm.customers.stream()}
        assert {email for each in writers for email in each.stored} <= known


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this option")
def test_c4_a_silent_database_is_not_waited_for_for_ever(server: Server) -> None:
    """The system gives a connection up whose other end acknowledges nothing."""
    with TinyCRM(server.url, project="shop") as crm:
        crm.projects.add("shop")
        with crm.store.connection() as connection:
            driver = connection.connection.driver_connection
            with socket.socket(fileno=socket.dup(driver.fileno())) as at:
                tcp = socket.IPPROTO_TCP
                assert at.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert at.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 15_000
                assert at.getsockopt(tcp, socket.TCP_KEEPIDLE) == 60
    with TinyCRM(f"{server.url}?tcp_user_timeout=5000", project="shop") as crm:
        crm.projects.list()
        with crm.store.connection() as connection:
            driver = connection.connection.driver_connection
            assert driver.info.get_parameters()["tcp_user_timeout"] == "5000"
