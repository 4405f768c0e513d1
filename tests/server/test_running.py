"""`tinycrm serve` as people run it: several processes, proxies, signals, crashes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.patience import eventually
from tests.server.processes import GONE, Running, key_for, serve
from tinycrm_core.client import TinyCRM

FULL = "TINYCRM_TEST_FULL" in os.environ
SERVERS, WORKERS = (4, 4) if FULL else (2, 2)
CLIENTS, ACKNOWLEDGED = (16, 2000) if FULL else (4, 40)


def test_m1_workers_start_at_once_on_an_empty_database(where: str, tmp_path: Path) -> None:
    """M1: several servers with workers each; one process makes the tables, all of them serve."""
    with contextlib.ExitStack() as ending:
        folders = [tmp_path / str(n) for n in range(SERVERS)]
        started: list[Running] = []
        lock = threading.Lock()

        def start(folder: Path) -> None:
            running = ending.enter_context(serve(where, folder, "--workers", str(WORKERS)))
            with lock:
                started.append(running)

        for folder in folders:
            folder.mkdir()
        threads = [threading.Thread(target=start, args=(folder,)) for folder in folders]
        for each in threads:
            each.start()
        for each in threads:
            each.join(100)
        assert len(started) == SERVERS
        headers = key_for(where)
        for n in range(40):
            running = started[n % SERVERS]
            answer = running.ask("POST", "/v1/identify", {"email": f"p{n}@example.com"}, headers)
            assert answer[0] == 200, answer
        for running in started:
            assert len(running.workers()) == WORKERS
            assert "Traceback" not in running.text
    with TinyCRM(where) as crm:
        assert crm.customers.count() == 40


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_loses_nothing_acknowledged(
    where: str, tmp_path: Path, workers: str
) -> None:
    """C5, C1, R6: whoever got a 200 is in the database; the server ends by itself."""
    headers = key_for(where)
    acknowledged: list[str] = []
    lock = threading.Lock()
    with serve(where, tmp_path, "--workers", workers) as running:

        def load(name: int) -> None:
            for n in range(10_000):
                email = f"p{name}-{n}@example.com"
                try:
                    status, _, _ = running.ask("POST", "/v1/identify", {"email": email}, headers)
                except (OSError, http.client.HTTPException):
                    return
                if status == 200:
                    with lock:
                        acknowledged.append(email)

        threads = [threading.Thread(target=load, args=(name,)) for name in range(CLIENTS)]
        for each in threads:
            each.start()
        eventually(lambda: len(acknowledged) >= ACKNOWLEDGED, 300)
        running.stop()
        for each in threads:
            each.join(60)
        assert "Traceback" not in running.text
    with TinyCRM(where) as crm:
        stored = {each.email for each in crm.customers.stream()}
    assert set(acknowledged) <= stored
    assert len(acknowledged) >= ACKNOWLEDGED


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """R6: the others go on, and what was acknowledged stays."""
    where = f"sqlite:///{tmp_path}/crm.db"
    headers = key_for(where)
    with serve(where, tmp_path, "--workers", "2") as running:
        eventually(lambda: len(running.workers()) == 2)
        before = running.workers()
        assert running.ask("POST", "/v1/identify", {"email": "a@example.com"}, headers)[0] == 200
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: len(set(running.workers()) - set(before)) == 1)
        eventually(
            lambda: running.ask("POST", "/v1/ping", {"email": "a@example.com"}, headers)[0] == 200,
            despite=GONE,
        )
    with TinyCRM(where) as crm:
        assert crm.customers.count() == 1


def test_a4_a_revoked_key_dies_in_every_worker(tmp_path: Path) -> None:
    """A4: within a second, also where another process has just seen it."""
    where = f"sqlite:///{tmp_path}/crm.db"
    headers = key_for(where)
    with serve(where, tmp_path, "--workers", "4") as running:
        eventually(lambda: len(running.workers()) == 4)
        for _ in range(30):
            assert running.ask("POST", "/v1/ping", {"email": "a@example.com"}, headers)[0] == 200
        with TinyCRM(where) as crm:
            crm.keys.revoke(crm.keys.list()[0][0].id)
        time.sleep(1.05)  # the promise is about the clock
        answers = {
            running.ask("POST", "/v1/ping", {"email": "a@example.com"}, headers)[0]
            for _ in range(30)
        }
        assert answers == {401}


def test_logs_hold_neither_people_nor_secrets(tmp_path: Path) -> None:
    """A5, D10: the route is there; the path, the query, addresses, bodies and keys are not."""
    where = f"sqlite:///{tmp_path}/crm.db"
    headers = key_for(where)
    secret = headers["Authorization"].removeprefix("Bearer ")
    with serve(where, tmp_path) as running:
        running.ask("POST", "/v1/identify", {"email": "a@example.com", "name": "Ann"}, headers)
        running.ask("GET", f"/v1/customers?q=ann&token={secret}", None, headers)
        running.ask("GET", "/customers/personal-secret?q=ann")
        running.ask("POST", "/v1/identify", {"email": "not an address"}, headers)
        running.stop()
        lines = [json.loads(line) for line in running.output if line.startswith("{")]
    calls = [each for each in lines if each["event"] == "call"]
    assert {"/v1/identify", "/v1/customers"} <= {each["route"] for each in calls}
    assert {"method", "route", "status", "ms", "request", "timestamp"} <= calls[0].keys()
    text = json.dumps(lines)
    for word in (
        "a@example.com",
        "Ann",
        "ann",
        secret,
        secret[10:],
        "personal",
        "127.0.0.1",
        "not an",
    ):
        assert word not in text, word


def test_behind_a_proxy_under_a_path(tmp_path: Path) -> None:
    """Links carry the path, whether the proxy takes it off or not; its scheme is believed."""
    settings = {"TINYCRM_ROOT_PATH": "/crm/", "TINYCRM_TRUSTED_PROXIES": "127.0.0.1"}
    where = f"sqlite:///{tmp_path}/crm.db"
    keyed = key_for(where)
    with serve(where, tmp_path, **settings) as running:
        assert "/crm/setup" in running.text
        for before in ("", "/crm"):
            sent = {"X-Forwarded-Proto": "https"}
            status, headers, _ = running.ask("GET", f"{before}/", headers=sent)
            assert (status, headers["location"]) == (303, "/crm/setup")
            page = running.ask("GET", f"{before}/setup", headers=sent)[2].decode()
            links = re.findall(r'(?:href|src|action)="([^"#]+)', page)
            assert links
            assert all(each.startswith("/crm/") for each in links)
            for each in links:
                found = running.ask("GET", before + each.removeprefix("/crm"))
                assert found[0] in (200, 303, 405)
            body = {"email": "a@example.com"}
            assert running.ask("POST", f"{before}/v1/identify", body, keyed)[0] == 200
            assert running.ask("GET", f"{before}/healthz")[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TINYCRM_PORT", "many"),
        ("TINYCRM_WORKERS", "0"),
        ("TINYCRM_RATE_PER_KEY", "a lot"),
        ("TINYCRM_RATE_STORAGE", "floppy://a"),
        ("TINYCRM_RATE_STORAGE", "file:///nowhere/at/all"),
        ("TINYCRM_TRUSTED_PROXIES", "everybody"),
        ("TINYCRM_ROOT_PATH", "crm"),
        ("TINYCRM_LOG_FORMAT", "xml"),
        ("TINYCRM_SESSION_HOURS", "-1"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tinycrm_server", "serve"],
        cwd=tmp_path,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"tinycrm: {name}: ")
    assert len(done.stderr.splitlines()) == 1
