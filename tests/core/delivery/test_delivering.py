"""The other side of the queue: what is tried again, what is taken apart, and what is told.

TINYCRM_TEST_FULL=1 has more clients, events and time.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import statistics
import threading
import time
import weakref
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.core.delivery.test_calls import transport_to
from tests.delivery.faults import accepted, refused, refusing, scripted
from tests.patience import eventually
from tinycrm_core import Identify, Stats, TinyCRM, TinyCRMError
from tinycrm_core import delivery as module
from tinycrm_core.background import RETRIES, Background
from tinycrm_core.delivery import LONGEST_PAUSE, pause
from tinycrm_core.errors import Undelivered
from tinycrm_core.events import Ping
from tinycrm_core.http import retry_after
from tinycrm_core.snapshot import event_text, stamped

FULL = "TINYCRM_TEST_FULL" in os.environ
CLIENTS, OUTAGE = (50, 20.0) if FULL else (10, 0.5)
EACH = 1000 if FULL else 300


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.01)


def test_q9_pauses_are_random_grow_and_are_bounded() -> None:
    for attempt in range(40):
        drawn = [pause(attempt, None) for _ in range(300)]
        bound = min(LONGEST_PAUSE, 0.5 * 2**attempt)
        assert 0 <= min(drawn) <= max(drawn) <= bound
        assert min(drawn) < bound / 4
        assert max(drawn) > 3 * bound / 4
        assert len({round(each, 6) for each in drawn}) > 200
    # A host that seeded the common sequence draws from it what it would draw without us.
    before = random.getstate()
    pause(3, None)
    assert random.getstate() == before
    # The hundred clients of a server that comes back are spread over the whole pause.
    assert statistics.stdev(pause(10, None) for _ in range(500)) > LONGEST_PAUSE / 5


def test_an_event_with_an_id_is_sent_with_one() -> None:
    """Two members of one name would be refused by the server, and with it the event."""
    text = stamped(event_text(Identify("ada@example.com", id="mine")), 0, "ours")
    assert text.count('"id"') == 1
    assert json.loads(text)["id"] == "ours"


def test_q9_retry_after_is_kept_to_but_not_for_ever() -> None:
    assert (
        retry_after(None) is retry_after("abc") is retry_after("-1") is retry_after("1.5") is None
    )
    assert retry_after(" 7 ") == 7
    assert retry_after("9" * 400) is not None
    assert retry_after("٣") is None
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < (retry_after(soon) or 0) <= 20
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert retry_after("Fri, 99 Foo 9999 99:99:99 GMT") is None
    for asked in ("999999999", "9" * 400, format_datetime(datetime(9999, 1, 1, tzinfo=UTC))):
        assert pause(0, retry_after(asked)) <= LONGEST_PAUSE * 1.25
    assert 5 <= pause(0, 5.0) <= 5 + 0.5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_q9_what_may_pass_is_tried_again_so_many_times(status: int) -> None:
    told: list[Any] = []
    with scripted(lambda _: refused(status, Retry_After="0")) as server:
        queue = Background(
            transport_to(server.port),
            interval=0.0,
            retries=4,
            on_error=lambda error, events: told.append((error, events)),
        )
        queue.send("shop", [Identify("ada@example.com")])
        assert queue.flush(20) is False
        assert len(server.seen) == 5
        assert queue.stats() == Stats(queued=1, failed=1, retries=4)
        queue.close()
    ((error, events),) = told
    assert isinstance(error, Undelivered)
    assert (error.status, error.later, events[0]["email"]) == (status, True, "ada@example.com")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403, 404, 405, 409, 415])
def test_q9_what_cannot_pass_is_not_tried_again(status: int) -> None:
    with scripted(lambda _: refused(status, Location="http://127.0.0.1:9/")) as server:
        queue = Background(transport_to(server.port), interval=0.0)
        for number in range(20):
            queue.send("shop", [Ping(f"p{number}@example.com")])
        assert queue.flush(20) is False
        assert sorted(server.emails) == sorted(f"p{n}@example.com" for n in range(20))
        assert queue.stats() == Stats(queued=20, refused=20)
        queue.close()


def test_q9_an_outage_costs_a_client_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much happens meanwhile, a client asks once for each pause, and once a batch."""
    pauses: list[float] = []
    monkeypatch.setattr(module, "pause", lambda *_: pauses.append(0.05) or 0.05)
    with scripted(lambda _: refused(503)) as server:
        queues = [Background(transport_to(server.port), interval=0.0) for _ in range(CLIENTS)]
        end = time.monotonic() + OUTAGE
        while time.monotonic() < end:
            for queue in queues:
                queue.send("shop", [Ping("ada@example.com")])
            time.sleep(0.001)  # or the callers keep the interpreter from the threads under test
        for queue in queues:
            queue.close(0)
        batches = len(pauses) // RETRIES + 2 * len(queues)
        assert len(server.seen) <= len(pauses) + batches


@pytest.mark.usefixtures("quick")
def test_q9_the_other_side_comes_back_and_everything_arrives() -> None:
    down = iter([True] * 6)
    with scripted(lambda e: refused(503) if next(down, False) else accepted(e)) as server:
        queue = Background(transport_to(server.port))
        for number in range(1200):
            queue.send("shop", [Ping(f"p{number}@example.com")])
        assert queue.flush(30)
        assert queue.stats().delivered == 1200
        ids = [event["id"] for each in server.seen for event in each.body["events"]]
        assert max(Counter(ids).values()) == 7
        assert len(set(ids)) == 1200
        queue.close()


def test_q10_one_bad_event_does_not_hold_up_the_others() -> None:
    def taking(events: list[Any]) -> Any:
        bad = [each for each in events if each["email"] == "bad@example.com"]
        return refused(422) if bad else accepted(events)

    told: list[Any] = []
    with scripted(taking) as server:
        queue = Background(
            transport_to(server.port), on_error=lambda error, events: told.append(events)
        )
        for number in range(100):
            who = "bad" if number == 41 else f"p{number}"
            queue.send("shop", [Identify(f"{who}@example.com")])
        assert queue.flush(20) is False
        assert queue.stats() == Stats(queued=100, delivered=99, refused=1)
        assert [each["email"] for (each,) in told] == ["bad@example.com"]
        stored = [
            each
            for one in server.seen
            for each in one.emails
            if "bad@example.com" not in one.emails
        ]
        assert sorted(stored) == sorted(f"p{n}@example.com" for n in range(100) if n != 41)
        assert len(server.seen) <= 2 * 7 + 1  # halves, not one by one
        queue.close()


def test_q10_an_event_refused_on_its_own_is_told_and_the_others_are_stored() -> None:
    told: list[Any] = []
    with TinyCRM(
        "memory://", project="shop", background=True, on_error=lambda *a: told.append(a)
    ) as crm:
        crm.customers.delete("gone@example.com", forget=True)
        for who in ("ada", "gone", "bo"):
            crm.identify(f"{who}@example.com")
        assert crm.flush() is False
        assert {each.email for each in crm.customers.find()} == {
            "ada@example.com",
            "bo@example.com",
        }
        ((error, (event,)),) = told
        assert (error.code, event["email"], event["type"]) == (
            "forgotten",
            "gone@example.com",
            "identify",
        )
        assert crm.stats() == Stats(queued=3, delivered=2, refused=1)


def test_q11_an_event_is_the_same_event_when_it_is_sent_again() -> None:
    """The answer is lost; then the same bytes arrive again, and a newer event is not undone."""
    with TinyCRM("memory://", project="shop") as crm:
        shop = crm.transport
        lost: list[Any] = []

        class Losing:
            most_events, most_bytes = 500, 10**6
            close = shop.close
            destination = shop.destination

            def deliver(self, project: str, texts: Any, **options: Any) -> Any:
                answers = shop.deliver(project, texts, **options)
                if not lost:
                    lost.extend(texts)
                    raise Undelivered("the answer was lost", later=True)
                return answers

        queue = Background(Losing(), interval=0.0)  # type: ignore[arg-type]
        queue.send("shop", [Identify("ada@example.com", status="trial")])
        assert queue.flush(20)
        queue.send("shop", [Identify("ada@example.com", status="paid")])
        assert queue.flush(20)
        before = crm.customers.get("ada@example.com"), crm.customers.history("ada@example.com")
        shop.deliver("shop", lost)
        assert (
            crm.customers.get("ada@example.com"),
            crm.customers.history("ada@example.com"),
        ) == before
        assert before[0] is not None
        assert before[0].memberships[0].status == "paid"
        assert len(before[1]) == 2
        queue.close()


def test_q14_on_error_may_raise_flush_and_close(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Any] = []

    def failing(error: TinyCRMError, events: list[Any]) -> None:
        done.append((queue.flush(60), events[0]["email"]))
        queue.stats()
        if len(done) == 2:
            queue.close(60)
        raise RuntimeError("on_error is broken")

    with scripted(lambda _: refused(401)) as server:
        queue = Background(transport_to(server.port), interval=0.0, on_error=failing)
        queue.send("shop", [Ping("ada@example.com")])
        queue.flush(20)
        queue.send("shop", [Ping("bo@example.com")])
        queue.flush(20)
        queue.close(20)
    assert done == [(True, "ada@example.com"), (True, "bo@example.com")]
    assert "on_error of TinyCRM failed" in caplog.text


def test_q16_waiting_times_are_measured_by_a_clock_that_nobody_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wall clock jumps by a day while events wait: they keep their order and their age."""
    wall = itertools.chain([0], itertools.repeat(-86_400_000_000))
    real = time.time_ns
    monkeypatch.setattr(module.times, "now", lambda: real() // 1000 + next(wall))
    with scripted() as server:
        queue = Background(transport_to(server.port), interval=60.0)
        for _ in range(2):
            for number in range(50):
                queue.send("shop", [Ping(f"p{number}@example.com")])
            assert queue.flush(20)
        queue.close()
    for each in server.seen:
        sent = datetime.fromisoformat(each.body["sent_at"])
        times = [datetime.fromisoformat(event["at"]) for event in each.body["events"]]
        assert times == sorted(set(times))
        ages = [abs((sent - at).total_seconds()) for at in times]
        # Only the batch in whose making the clock was set may be off, by as much as it was set.
        assert all(age < 20 or 86_000 < age < 86_800 for age in ages)


def test_q20_clients_do_not_mix_and_do_not_stay() -> None:
    """Three clients, three threads each: every event at its own server, and no thread is left."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        servers = [stack.enter_context(scripted()) for _ in range(3)]
        queues = [Background(transport_to(each.port), max_events=4000) for each in servers]

        def report(number: int, queue: Background) -> None:
            for count in range(EACH):
                queue.send(f"product{number}", [Ping(f"p{count}.{number}@example.com")])

        threads = [
            threading.Thread(target=report, args=(number, queue))
            for number, queue in enumerate(queues)
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(queue.flush(30) for queue in queues)
        for number, server in enumerate(servers):
            assert Counter(server.emails) == {f"p{c}.{number}@example.com": 3 for c in range(EACH)}
            assert {each.body["project"] for each in server.seen} == {f"product{number}"}
        dead = [weakref.ref(queue) for queue in queues]
        for queue in queues:
            queue.close()
        lines = [queue._line() for queue in queues]
        assert not any(line.running for line in lines)
        del queues, queue, threads, thread
        eventually(lambda: [each() for each in dead] == [None] * 3, 20)


def test_several_products_in_one_queue_reach_their_own() -> None:
    with TinyCRM("memory://") as crm:
        queued = crm.in_background()
        for number in range(60):
            queued.project(f"p{number % 3}").identify(f"p{number}@example.com")
        assert queued.flush()
        assert sorted(crm.customers.tally(by="project")) == [("p0", 20), ("p1", 20), ("p2", 20)]


def test_batches_are_bounded_by_events_and_bytes() -> None:
    with scripted() as server:
        queue = Background(transport_to(server.port), interval=1.0, max_bytes=64 * 2**20)
        for number in range(1300):
            queue.send("shop", [Ping(f"p{number}@example.com")])
        assert queue.flush(30)
        assert max(len(each.emails) for each in server.seen) == 500
        server.seen.clear()
        for number in range(100):
            queue.send("shop", [Identify(f"p{number}@example.com", params={"x": "y" * 60_000})])
        assert queue.flush(30)
        lengths = [int(each.headers["content-length"]) for each in server.seen]
        assert max(lengths) <= 2**19
        assert len(lengths) < 20
        queue.close()


def test_events_wait_for_company_but_not_for_long() -> None:
    with scripted() as server:
        queue = Background(transport_to(server.port), interval=0.3)
        for number in range(40):
            queue.send("shop", [Ping(f"p{number}@example.com")])
        eventually(lambda: not queue.stats().waiting, 20)
        assert queue.stats().delivered == 40
        assert len(server.seen) == 1
        queue.close()


def test_a_fault_of_a_transport_is_isolated_like_a_bad_event() -> None:
    with TinyCRM("memory://", project="shop") as crm:
        inner = crm.transport

        class Faulty:
            most_events, most_bytes = 500, 10**6
            close = inner.close
            destination = inner.destination

            def deliver(self, project: str, texts: Any, **options: Any) -> Any:
                if any("bad@" in text for text in texts):
                    raise ZeroDivisionError
                return inner.deliver(project, texts, **options)

        queue = Background(Faulty())  # type: ignore[arg-type]
        for who in ("a", "b", "bad", "c", "d"):
            queue.send("shop", [Identify(f"{who}@example.com")])
        assert queue.flush(20) is False
        assert queue.stats() == Stats(queued=5, delivered=4, refused=1)
        assert crm.customers.count() == 4
        queue.close()


def test_a_queue_takes_events_that_exist_already() -> None:
    with scripted() as server:
        queue = Background(transport_to(server.port))
        answers = queue.send("shop", [Identify("ada@example.com", at="2026-01-02", name="Ada")])
        assert [getattr(each, "action", None) for each in answers] == ["queued"]
        assert queue.flush(20)
        (event,) = server.seen[0].body["events"]
        assert event.pop("id")
        assert event == {
            "type": "identify",
            "email": "ada@example.com",
            "name": "Ada",
            "at": "2026-01-02T00:00:00+00:00",
        }
        queue.close()


def test_q3_an_outage_is_said_once_and_without_addresses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with refusing() as port:
        queue = Background(transport_to(port), interval=0.0, retries=0)
        for number in range(30):
            queue.send("shop", [Ping(f"secret{number}@example.com")])
            queue.flush(20)
        queue.close()
    said = [each.getMessage() for each in caplog.records if each.name == "tinycrm"]
    assert 1 <= len(said) <= 2
    assert "did not answer: connection refused" in said[0]
    assert not any("secret" in each for each in said)
    assert json.dumps(said)
