"""Several processes that are one server to whoever asks: limits and metrics."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from tests.patience import eventually
from tests.server.processes import GONE, Running, key_for, serve
from tinycrm_core.client import TinyCRM
from tinycrm_server import counts
from tinycrm_server.bodies import Refused
from tinycrm_server.counts import ROWS, FileStorage
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place
from tinycrm_server.rates import Rates

ALICE = {"email": "alice@example.com"}


def at_once(calls: int, call: Callable[[], int]) -> Counter[int]:
    """The statuses of calls that several clients make, so that every worker has some of them."""
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(call() for _ in range(calls // 4)))
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(100)
    assert len(found) == calls
    return Counter(found)


def test_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    """Whoever answers the scrape, and also what a worker counted that has died since."""
    where = f"sqlite:///{tmp_path}/crm.db"
    headers = key_for(where)
    token = {"Authorization": "Bearer scraper"}

    def counted(running: Running) -> float:
        status, _, body = running.ask("GET", "/metrics", headers=token)
        assert status == 200
        line = r'_count\{method="POST",route="/v1/ping",status="200"\} (\S+)'
        return sum(map(float, re.findall(line, body.decode())))

    with serve(where, tmp_path, "--workers", "2", TINYCRM_METRICS_TOKEN="scraper") as running:
        eventually(lambda: len(running.workers()) == 2)
        assert at_once(40, lambda: running.ask("POST", "/v1/ping", ALICE, headers)[0]) == {200: 40}
        eventually(lambda: counted(running) == 40, despite=GONE)
        assert {counted(running) for _ in range(12)} == {40}
        before = running.workers()
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: len(set(running.workers()) - set(before)) == 1)
        eventually(lambda: counted(running) == 40, despite=GONE)
        assert {counted(running) for _ in range(12)} == {40}


def test_r4_a_limit_is_one_for_all_workers(tmp_path: Path) -> None:
    """R4: neither a key nor an address gets more by reaching several processes, or by a header."""
    where = f"sqlite:///{tmp_path}/crm.db"
    headers = key_for(where)
    settings = {"TINYCRM_RATE_PER_KEY": "30/day", "TINYCRM_RATE_PER_ADDRESS": "50/day"}
    with serve(where, tmp_path, "--workers", "3", **settings) as running:
        eventually(lambda: len(running.workers()) == 3)
        found = at_once(60, lambda: running.ask("POST", "/v1/ping", ALICE, headers)[0])
        assert found[200] in (30, 31), found  # a day may end meanwhile, and lets one more in
        assert found[200] + found[429] == 60
        spoofed = (f"203.0.113.{n}" for n in range(100))

        def elsewhere() -> int:
            return running.ask("GET", "/v1/nothing", None, {"X-Forwarded-For": next(spoofed)})[0]

        assert at_once(20, elsewhere) == {429: 20}


def test_d7_guesses_are_counted_by_all_workers_and_at_once(tmp_path: Path) -> None:
    """D7: many attempts in the same moment are no way around the limit."""
    where = f"sqlite:///{tmp_path}/crm.db"
    with TinyCRM(where) as crm:
        Owners(Place(crm.store)).add("me@example.com", "correct horse battery")
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    form = urlencode({"email": "me@example.com", "password": "something else"})
    with serve(where, tmp_path, "--workers", "2", TINYCRM_RATE_LOGINS="5/day") as running:
        eventually(lambda: len(running.workers()) == 2)
        found = at_once(24, lambda: running.ask("POST", "/login", form.encode(), sent)[0])
        assert found[401] in (5, 6), found
        assert found[401] + found[429] == 24


def test_a_file_of_counts_is_bounded_and_forgets(tmp_path: Path) -> None:
    """R5: one size for any number of names; a window ends; the fullest bucket keeps the latest."""
    path = tmp_path / "rates"
    storage = FileStorage(f"file://{path}")
    size = path.stat().st_size
    for n in range(20_000):
        assert storage.acquire_sliding_window_entry(f"name {n}", 1, 3600)
    assert path.stat().st_size == size
    seen = [storage.get_sliding_window(f"name {n}", 3600) for n in range(20_000)]
    assert sum(before + current for before, _, current, _ in seen) > 19_000
    for n in range(50 * ROWS):
        storage.incr(f"brief {n}", 0)
    assert sum(storage.get(f"brief {n}") for n in range(50 * ROWS)) == 0
    assert storage.incr("one", 60) == 1
    assert FileStorage(f"file://{path}").incr("one", 60, 4) == 5
    storage.clear("another")
    assert storage.get("one") == 5
    storage.clear("one")
    assert storage.get("one") == 0


HITS = """
import sys
from tinycrm_server.counts import FileStorage
storage = FileStorage(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
hits = [storage.acquire_sliding_window_entry("a", 10_000, 10**9) for _ in range(5_000)]
print(hits.count(True))
"""


def test_r4_no_process_counts_past_another_one(tmp_path: Path) -> None:
    """R4: of 20,000 hits of four processes in the same moment exactly 10,000 are let through."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HITS, f"file://{tmp_path}/rates"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for each in started:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    assert sum(int(each.communicate(timeout=100)[0]) for each in started) == 10_000


def test_r4_the_window_before_counts_by_what_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4: there is no moment at which twice as much gets through."""
    moment = 6000.0
    monkeypatch.setattr(counts, "time", SimpleNamespace(time=lambda: moment))
    storage = FileStorage(f"file://{tmp_path}/rates")

    def taken() -> int:
        return [storage.acquire_sliding_window_entry("a", 10, 60) for _ in range(20)].count(True)

    assert taken() == 10
    moment += 59
    assert taken() == 0
    moment += 31
    assert taken() == 5
    moment += 150
    assert taken() == 10


def test_a_storage_that_fails_stops_neither_calls_nor_counting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each process counts for itself until it can be reached again, and says so once."""
    rates = Rates({"key": "3/day"}, f"file://{tmp_path}/rates")
    rates.take("key", "a")
    os.close(rates._limiter.storage._file)  # type: ignore[attr-defined]
    for _ in range(3):
        rates.take("key", "a")
    with pytest.raises(Refused):
        rates.take("key", "a")
    assert [each.levelname for each in caplog.records] == ["WARNING"]
