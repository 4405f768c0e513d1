"""A file for what waits: nothing is lost, nothing is applied twice, a broken one harms nobody."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.core.delivery.test_calls import transport_to
from tests.delivery.faults import accepted, refused, scripted
from tests.patience import eventually
from tinycrm_core import Stats, TinyCRM
from tinycrm_core import delivery as module
from tinycrm_core.background import Background
from tinycrm_core.events import Identify, Ping
from tinycrm_core.spool import Spool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.02)


def rows(path: Path) -> list[Any]:
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT project, body FROM events ORDER BY seq").fetchall()
    finally:
        db.close()


def test_an_event_is_in_the_file_before_the_call_returns(path: Path) -> None:
    with scripted(lambda _: refused(503)) as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        crm.identify("ada@example.com", params={"n": 1})
        crm.ping("ada@example.com")
        assert [each[0] for each in rows(path)] == ["shop", "shop"]
        assert '"email":"ada@example.com","params":{"n":1},"at":"' in rows(path)[0][1]
        assert crm.flush(0.2) is False
        crm.close()
        assert len(rows(path)) == 2
        server.answer = accepted
        again = TinyCRM(server.url, project="shop", spool=path)
        assert crm.stats().delivered == 0
        again.ping("bo@example.com")
        assert again.flush(20)
        assert again.stats() == Stats(queued=1, delivered=3, spooled=1)
        again.close()
        assert rows(path) == []
        ids = Counter(each["id"] for one in server.seen for each in one.body["events"])
        assert len(ids) == 3


def test_the_file_is_for_its_owner_and_holds_no_key(path: Path) -> None:
    with scripted(lambda _: refused(503)) as server:
        crm = TinyCRM(server.url, spool=path)
        crm.ping("ada@example.com")
        for each in path.parent.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
            assert server.url[20:40].encode() not in each.read_bytes()
        crm.flush(0.1)
        crm.close()


def test_an_outage_longer_than_all_retries_loses_nothing(path: Path) -> None:
    down = True
    with scripted(lambda e: refused(503) if down else accepted(e)) as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        for number in range(1200):
            crm.ping(f"p{number}@example.com")
        eventually(lambda: len(server.seen) >= 30, 30)
        assert crm.stats().delivered == crm.stats().failed == 0
        down = False
        assert crm.flush(30)
        stored = [e for one in server.seen[-3:] for e in one.emails]
        assert sorted(stored) == sorted(f"p{n}@example.com" for n in range(1200))
        crm.close()


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_key_keeps_the_events_until_somebody_puts_it_right(
    path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD", 0.3)
    with scripted(lambda _: refused(status)) as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        crm.ping("ada@example.com")
        assert crm.flush(0.2) is False
        assert len(rows(path)) == 1
        server.answer = accepted
        assert crm.flush(20)
        crm.close()


def test_q10_an_event_that_is_refused_leaves_the_file(path: Path) -> None:
    def taking(events: list[Any]) -> Any:
        bad = any(each["email"] == "bad@example.com" for each in events)
        return refused(422) if bad else accepted(events)

    with scripted(taking) as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        for who in ("ada", "bad", "bo"):
            crm.ping(f"{who}@example.com")
        assert crm.flush(20) is False
        assert rows(path) == []
        assert crm.stats() == Stats(queued=3, delivered=2, refused=1, spooled=3)
        crm.close()


def test_a_batch_that_always_fails_lets_others_pass(path: Path) -> None:
    def taking(events: list[Any]) -> Any:
        bad = any(each["email"] == "bad@example.com" for each in events)
        return refused(500) if bad else accepted(events)

    with scripted(taking) as server:
        spool = Spool(path)
        queue = Background(transport_to(server.port), spool=spool, interval=0.0, retries=2)
        queue.send("shop", [Ping("bad@example.com")])
        eventually(lambda: queue.send("shop", [Ping("bo@example.com")]) and queue.stats().delivered)
        assert any("bad@example.com" in body for _, body in rows(path))
        queue.close(0)
        spool.close()


def test_two_processes_in_one_do_not_take_the_same_rows(path: Path) -> None:
    """Two spools over one file, as two processes have them, each with its own lease."""
    one, other = Spool(path), Spool(path)
    for number in range(100):
        assert one.put("there", "shop", f'{{"n":{number}}}')
    first = one.claim(["there"], 60, 10**6)
    second = other.claim(["there"], 60, 10**6)
    assert (len(first), len(second)) == (60, 40)
    assert not {row.seq for row in first} & {row.seq for row in second}
    assert one.claim(["there"], 60, 10**6) == other.claim(["elsewhere"], 60, 10**6) == []
    other.release(first)  # not its own
    assert other.claim(["there"], 60, 10**6) == []
    one.release(first[10:])
    assert [row.seq for row in other.claim(["there"], 3, 10**6)] == [11, 12, 13]
    one.done(first[:10])
    assert one.waiting(["there"]) == 90
    assert one.waiting(["there"], last=12) == 2
    one.close()
    other.close()


def test_the_rows_of_one_that_died_are_free_after_its_lease(path: Path) -> None:
    dead, alive = Spool(path, lease=0.3), Spool(path)
    dead.put("there", "shop", "{}")
    assert dead.claim(["there"], 1, 100)
    dead.close()
    assert alive.claim(["there"], 1, 100) == []
    time.sleep(0.4)  # the promise is about the clock
    assert len(alive.claim(["there"], 1, 100)) == 1
    alive.close()


def test_a_claim_is_bounded_by_bytes_but_takes_at_least_one(path: Path) -> None:
    spool = Spool(path)
    for _ in range(5):
        spool.put("there", "shop", "x" * 1000)
    assert len(spool.claim(["there"], 10, 2500)) == 2
    assert len(spool.claim(["there"], 10, 10)) == 1
    spool.close()


def test_a_file_of_its_full_size_takes_no_more_and_memory_does(path: Path) -> None:
    with scripted(lambda _: refused(503)) as server:
        spool = Spool(path, max_bytes=200_000)
        queue = Background(transport_to(server.port), spool=spool)
        for number in range(600):
            queue.send("shop", [Identify(f"p{number}@example.com", params={"x": "y" * 1000})])
        stats = queue.stats()
        assert 100 < stats.spooled < 220
        assert stats.queued == 600
        assert stats.unspooled == stats.waiting == 600 - stats.spooled
        assert path.stat().st_size < 260_000
        server.answer = accepted
        assert queue.flush(30)
        assert len(set(server.emails)) == 600
        assert spool.put("there", "shop", "{}")
        queue.close()
        spool.close()


def corrupt(path: Path) -> None:
    path.write_bytes(b"this is no database, and it never was one" * 200)


def is_folder(path: Path) -> None:
    path.mkdir()


def foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE events (something INTEGER)")
    db.commit()
    db.close()


def locked(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    _open.append(db)


_open: list[sqlite3.Connection] = []


@pytest.mark.parametrize("harm", [corrupt, is_folder, foreign, locked])
def test_a_file_that_cannot_be_used_leaves_a_queue_in_memory(
    path: Path, harm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    harm(path)
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        for number in range(3):
            crm.identify(f"p{number}@example.com")
        assert crm.flush(20)
        assert crm.stats() == Stats(queued=3, delivered=3, unspooled=3)
        assert len(server.emails) == 3
        crm.close()
    while _open:
        _open.pop().close()
    said = [each.getMessage() for each in caplog.records if each.name == "tinycrm"]
    assert len(said) == 1
    assert "3 not spooled" in said[0] or "1 not spooled" in said[0] or "2 not spooled" in said[0]


def test_a_file_that_breaks_while_it_is_used_harms_nobody(path: Path) -> None:
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        crm.identify("ada@example.com")
        assert crm.flush(20)
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            if name.exists():
                name.write_bytes(os.urandom(8192))
        for number in range(50):
            crm.identify(f"p{number}@example.com")
        crm.flush(5)
        stats = crm.stats()
        assert stats.queued == 51
        assert stats.spooled + stats.unspooled == 51
        crm.close()


def test_q8_a_finaliser_in_the_middle_of_writing_goes_to_memory(path: Path) -> None:
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop", spool=path)
        crm.ping("ada@example.com")
        assert crm._spool is not None
        state = crm._spool._processes[os.getpid()]
        with state.lock:
            state.user = threading.get_ident()
            crm.ping("bo@example.com")
            state.user = None
        assert crm.flush(20)
        assert crm.stats() == Stats(queued=2, delivered=2, spooled=1, unspooled=1)
        crm.close()


def test_threads_write_one_file(path: Path) -> None:
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop", spool=path)

        def work(number: int) -> None:
            for count in range(100):
                crm.ping(f"p{count}.{number}@example.com")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert crm.flush(30)
        assert len(set(server.emails)) == 600
        assert crm.stats().queued == crm.stats().delivered == 600
        crm.close()


def test_rows_that_another_process_has_hold_nobody_up(path: Path) -> None:
    """Their lease is waited for in the background, while new events go at once."""
    with scripted() as server:
        other = Spool(path, lease=60)
        queue = Background(transport_to(server.port), spool=Spool(path))
        assert other.put(queue.transport.destination("shop"), "shop", '{"email":"a@b.de"}')
        assert other.claim(queue._destinations, 1, 1000)
        for number in range(4):
            queue.send("shop", [Ping(f"p{number}@example.com")])
            # Less than the pause between two looks at the file.
            eventually(lambda: len(server.emails) == number + 1, 4)  # noqa: B023 - called at once
        assert queue.flush(0.3) is False
        assert queue._line().running
        queue.close(0)
        other.close()


def test_keys_of_two_products_may_share_a_file(path: Path) -> None:
    """Without a name only the key tells the product, so each takes its own rows."""
    with scripted(lambda _: refused(503)) as down:
        from tinycrm_core.keys import new_key

        keys = [new_key("proj").secret for _ in range(2)]
        clients = [
            TinyCRM(f"http://{key}@127.0.0.1:{down.port}", spool=path, background=True)
            for key in keys
        ]
        for number, crm in enumerate(clients):
            crm.ping(f"p{number}@example.com")
        down.answer = accepted
        for crm in clients:
            assert crm.flush(20)
            crm.close()
        taken = {
            (each.headers["authorization"].removeprefix("Bearer "), email)
            for each in down.seen
            for email in each.emails
        }
        assert taken == {(key, f"p{number}@example.com") for number, key in enumerate(keys)}
