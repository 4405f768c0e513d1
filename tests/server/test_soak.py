"""R6: a server that is asked for a long while holds no more at the end than at the beginning.

TINYCRM_TEST_FULL=1 asks for five minutes on each database; otherwise some thousand calls on SQLite.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.server.processes import Running, serve
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place

FULL = "TINYCRM_TEST_FULL" in os.environ
DATABASES = ["sqlite", "postgres"] if FULL else ["sqlite"]
SECONDS = 300 if FULL else 0
CLIENTS, ROUNDS = 4, 12 if FULL else 4
"""How many ask at once, and how often each of them in a window: a round is some twenty calls."""

WINDOWS = 10
"""At least so many; the first half of them fills caches and is not judged."""

LEAK = 500 if FULL else 6000
"""Bytes for each call that are a leak. The short form still sees caches being filled."""

QUIET = {
    "TINYCRM_LOG_LEVEL": "warning",
    "TINYCRM_RATE_PER_KEY": "",
    "TINYCRM_RATE_PER_ADDRESS": "",
    "TINYCRM_RATE_LOGINS": "",
    # Memory grows with what is held, not with which threads held a large piece for a moment.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
}
FORM = "application/x-www-form-urlencoded"
ME = {"email": "me@example.com", "password": "correct horse battery"}


@dataclass
class Held:
    """What a process holds while nobody asks it anything."""

    memory: int
    descriptors: int
    threads: int


@dataclass
class Asking:
    """One client: products that report, an owner who looks, and whatever else reaches a server."""

    port: int
    write: str
    admin: str
    number: int
    turn: itertools.count[int] = field(default_factory=itertools.count)
    calls: int = 0
    cookie: str = ""

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        **headers: str,
    ) -> http.client.HTTPResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        answer.text = answer.read()  # type: ignore[attr-defined]
        self.calls += 1
        assert answer.status < 500, (method, path, answer.status)
        return answer

    def window(self) -> None:
        for _ in range(ROUNDS):
            n = next(self.turn)
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.report(connection, n)
            self.come_and_go(connection, n)
            self.read_people(connection, n)
            self.look(connection, n)
            self.stumble(connection, n)
            connection.close()

    def report(self, connection: http.client.HTTPConnection, n: int) -> None:
        sent = {"Authorization": f"Bearer {self.write}", "Content_Type": "application/json"}
        person = {"email": f"p{n % 60}@example.com", "params": {"n": n % 60 % 7}}
        assert self.ask(connection, "POST", "/v1/identify", _json(person), **sent).status == 200
        ping = {"email": person["email"]}
        assert self.ask(connection, "POST", "/v1/ping", _json(ping), **sent).status == 200
        events = [{"type": "identify", "email": f"q{each}@example.com"} for each in range(5)]
        assert (
            self.ask(connection, "POST", "/v1/events", _json({"events": events}), **sent).status
            == 200
        )

    def come_and_go(self, connection: http.client.HTTPConnection, n: int) -> None:
        """Somebody new, who changes and is erased, so that the database stays as large as it is."""
        sent = {"Authorization": f"Bearer {self.write}", "Content_Type": "application/json"}
        for status in ("free", "paid"):
            body = {"email": f"new{n}-{self.number}@example.com", "status": status}
            told = self.ask(connection, "POST", "/v1/identify", _json(body), **sent)
        person = json.loads(told.text)["customer_id"]  # type: ignore[attr-defined]
        sent = {"Authorization": f"Bearer {self.admin}"}
        gone = self.ask(connection, "DELETE", f"/v1/customers/{person}", **sent)
        assert gone.status == 204

    def read_people(self, connection: http.client.HTTPConnection, n: int) -> None:
        sent = {"Authorization": f"Bearer {self.admin}"}
        query = urlencode({"q": f"p.n:{n % 7}", "sort": "-seen", "limit": 10})
        found = self.ask(connection, "GET", f"/v1/customers?{query}", **sent)
        people = json.loads(found.text)["customers"]  # type: ignore[attr-defined]
        for each in people[:1]:
            self.ask(connection, "GET", f"/v1/customers/{each['id']}/history", **sent)
        self.ask(connection, "GET", f"/v1/customers.csv?q=p.n%3A{n % 7}", **sent)
        self.ask(connection, "GET", f"/v1/customers?q=p.none%3A{n}", **sent)

    def look(self, connection: http.client.HTTPConnection, n: int) -> None:
        form = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Sec_Fetch_Site": "same-origin",
        }
        if not self.cookie:
            entered = self.ask(connection, "POST", "/login", urlencode(ME).encode(), **form)
            assert entered.status == 303
            self.cookie = entered.headers["set-cookie"].partition(";")[0]
        for path in (f"/?q=p.n%3A{n % 7}", "/overlap", "/projects", "/account", "/openapi.json"):
            assert self.ask(connection, "GET", path, Cookie=self.cookie).status == 200
        if n % 3 == 2:
            left = self.ask(connection, "POST", "/logout", b"", Cookie=self.cookie, **form)
            assert left.status == 303
            self.cookie = ""

    def stumble(self, connection: http.client.HTTPConnection, n: int) -> None:
        stranger = {"Authorization": f"Bearer {new_key('proj').secret}"}
        json_ = {"Content_Type": "application/json"}
        assert self.ask(connection, "POST", "/v1/ping", b"{}", **stranger, **json_).status == 401
        own = {"Authorization": f"Bearer {self.write}", **json_}
        assert self.ask(connection, "POST", "/v1/identify", b'{"email', **own).status == 422
        assert self.ask(connection, "GET", f"/v1/nothing/{n}").status == 404
        self.ask(connection, "GET", f"/not/here/{self.number}/{n}")
        head = f"POST /v1/identify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.write}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", self.port)) as gone:
            gone.sendall(head.encode())
        self.calls += 1


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def held(running: Running) -> Held:
    """Once the server has noticed that nobody is there any more."""
    process = Path(f"/proc/{running.process.pid}")
    settled = 0
    least = Held(0, 10**9, 10**9)
    while settled < 5:
        time.sleep(0.1)
        status = (process / "status").read_text()
        numbers = {
            key: int(re.findall(rf"^{key}:\s+(\d+)", status, re.M)[0])
            for key in ("VmRSS", "Threads")
        }
        descriptors = len(os.listdir(process / "fd"))
        settled = settled + 1 if descriptors >= least.descriptors else 0
        least = Held(
            numbers["VmRSS"] * 1024, min(least.descriptors, descriptors), numbers["Threads"]
        )
    return least


@pytest.mark.timeout(SECONDS * 3 + 240)
@pytest.mark.parametrize("database", DATABASES)
def test_r6_nothing_grows_with_the_calls(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """R6: descriptors, threads and memory after each window, without a slope over the calls."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not list what a process holds")
    where = f"sqlite:///{tmp_path}/crm.db"
    if database == "postgres":
        where = request.getfixturevalue("fresh_postgres_url")
    with TinyCRM(where) as crm:
        crm.projects.add("shop")
        write = crm.keys.create("shop").secret
        admin = crm.keys.create(scope="admin").secret
        Owners(Place(crm.store)).add(ME["email"], ME["password"])
    with serve(where, tmp_path, **QUIET) as running:
        port = int(re.findall(r"on http://127\.0\.0\.1:(\d+)", running.text)[0])
        clients = [Asking(port, write, admin, number) for number in range(CLIENTS)]
        seen: list[tuple[int, Held]] = []
        ends = time.monotonic() + SECONDS
        while len(seen) < WINDOWS or time.monotonic() < ends:
            with ThreadPoolExecutor(CLIENTS) as together:
                for each in [together.submit(client.window) for client in clients]:
                    each.result()
            seen.append((sum(each.calls for each in clients), held(running)))
        judge(seen[len(seen) // 2 :])


def judge(seen: list[tuple[int, Held]]) -> None:
    first, last = seen[0][1], seen[-1][1]
    assert last.descriptors <= first.descriptors + 8, seen
    assert last.threads <= first.threads + 8, seen
    slope, _ = statistics.linear_regression(
        [calls for calls, _ in seen], [each.memory for _, each in seen]
    )
    assert slope < LEAK, (round(slope), seen)
