"""The caller's side of the queue: it never blocks, never breaks, and keeps what was said."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.faults import KEY, accepted, refused, refusing, scripted, silent, swallowing
from tests.loops import finish
from tests.patience import eventually
from tinycrm_core import InvalidInput, InvalidParams, Stats, TinyCRM, TinyCRMError
from tinycrm_core import background as module
from tinycrm_core.background import Background
from tinycrm_core.delivery import Stats as SameStats
from tinycrm_core.events import Identify, Ping, from_json
from tinycrm_core.http import HTTPTransport
from tinycrm_core.limits import LIMITS, Limits
from tinycrm_core.remote import find_server
from tinycrm_core.snapshot import event_text, identify_text, ping_text

FULL = "TINYCRM_TEST_FULL" in os.environ

_watched: set[int] = set()
_touched: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if threading.get_ident() in _watched and event.startswith(("socket.", "open", "sqlite3.")):
        _touched.append(event)


sys.addaudithook(_watch)


def transport_to(port: int) -> HTTPTransport:
    server = find_server(f"http://{KEY}@127.0.0.1:{port}", None, None, allow_http=False)
    assert server is not None
    return HTTPTransport(server)


@contextlib.contextmanager
def broken(kind: str) -> Iterator[int]:
    if kind == "failing":
        with scripted(lambda _: refused(500)) as server:
            yield server.port
    else:
        chosen = {"refusing": refusing, "swallowing": swallowing, "silent": silent}[kind]
        with chosen() as port:
            yield port


@pytest.mark.parametrize("kind", ["refusing", "swallowing", "silent", "failing"])
def test_q1_a_broken_server_is_not_noticed_by_the_caller(kind: str) -> None:
    with broken(kind) as port:
        crm = TinyCRM(f"http://{KEY}@127.0.0.1:{port}")
        crm.ping("warm@example.com")
        _touched.clear()
        _watched.add(threading.get_ident())
        times = []
        try:
            for number in range(10_000):
                start = time.perf_counter()
                crm.identify(f"p{number}@example.com", name="Ada", params={"n": number})
                times.append(time.perf_counter() - start)
        finally:
            _watched.clear()
        assert _touched == []  # no file, no socket
        times.sort()
        assert times[9_900] < (0.001 if FULL else 0.02)
        assert times[-1] < 0.02 or not FULL
        assert crm.stats().queued + crm.stats().dropped == 10_001
        crm.close()


def growth() -> int:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc to see memory")
def test_q2_memory_is_bounded_by_items_and_bytes() -> None:
    calls = 1_000_000 if FULL else 30_000
    with silent() as port:
        crm = TinyCRM(f"http://{KEY}@127.0.0.1:{port}")
        before = growth()
        for number in range(calls):
            crm.identify(f"p{number}@example.com", params={"text": "x" * 4000, "n": number})
        stats = crm.stats()
        assert growth() - before <= 64 * 2**20
        assert stats.dropped == calls - stats.queued
        assert stats.queued * 4200 <= module.MOST_BYTES < (stats.queued + 2) * 4600
        crm.close()
    queue = Background(transport_to(port), max_events=100)
    for _ in range(250):
        queue.send("shop", [Ping("ada@example.com")])
    assert (queue.stats().queued, queue.stats().dropped) == (100, 150)
    queue.close(0)


def test_q3_drops_are_counted_exactly_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with silent() as port:
        queue = Background(transport_to(port), max_events=1000)
        threads = [
            threading.Thread(target=queue.send, args=("shop", [Ping("ada@example.com")] * 25_000))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert queue.stats() == Stats(queued=1000, waiting=1000, dropped=99_000)
        queue.close(0)
    said = [each for each in caplog.records if each.name == "tinycrm"]
    assert 1 <= len(said) <= 2
    assert "dropped" in said[0].message


@pytest.mark.timeout(60)
def test_q8_finalisers_and_log_handlers_may_report_too() -> None:
    with TinyCRM("memory://", project="shop") as crm:
        queued = crm.in_background()
        queue = queued.queue
        assert queue is not None

        class Fading:
            def __del__(self) -> None:
                queued.ping("ada@example.com")

        class Reporting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                queued.ping("ada@example.com")

        handler = Reporting()
        logging.getLogger().addHandler(handler)

        def work() -> None:
            for number in range(300):
                one = Fading()
                one.itself = one  # type: ignore[attr-defined]
                del one
                if number % 20 == 0:
                    gc.collect()
                logging.getLogger("host").error("something")
                queued.identify("ada@example.com", params={"n": number})

        try:
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            gc.collect()
            with queue._line().lock:
                # Held by this thread, as when a finaliser runs in the middle of a call.
                queued.ping("ada@example.com")
        finally:
            logging.getLogger().removeHandler(handler)
        assert queued.flush(30)
        assert queued.stats().queued == queued.stats().delivered == 3 * 4 * 300 + 1


class Lazy:
    def __str__(self) -> str:
        raise RuntimeError("not now")

    __repr__ = __str__


def test_q12_what_cannot_be_sent_is_refused_at_the_call_and_flush_returns() -> None:
    cycle: dict[str, Any] = {}
    cycle["itself"] = cycle
    with TinyCRM("memory://", project="shop") as crm:
        queued = crm.in_background()
        for wrong in (
            {"big": "x" * 10_000_000},
            cycle,
            {"set": {1}},
            {"lazy": Lazy()},
            {"nan": float("nan")},
            {"deep": [[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]},
            {"long": 2**63},
            {1: "number"},
            {"half": "\ud800"},
            {"nul": "\x00"},
            {"k" * 129: 1},
            {f"k{n}": 1 for n in range(257)},
        ):
            with pytest.raises(InvalidParams):
                queued.identify("ada@example.com", params=wrong)  # type: ignore[arg-type]
        for wrong_call in ({"name": 1}, {"status": "Paid"}, {"status": []}, {"at": "no"}):
            with pytest.raises(InvalidInput):
                queued.identify("ada@example.com", **wrong_call)  # type: ignore[arg-type]
        for address in ("", "no", None, "a@b", 3):
            with pytest.raises(InvalidInput):
                queued.identify(address)  # type: ignore[arg-type]
            with pytest.raises(InvalidInput):
                queued.ping(address)  # type: ignore[arg-type]
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        queued.identify("ada@example.com", params={"d": Decimal("1.5"), "t": moment, "é": "ключ"})
        assert queued.flush(5)
        found = crm.customers.get("ada@example.com")
        assert found is not None
        params = found.memberships[0].params
        assert params == {"d": 1.5, "t": moment.isoformat(), "é": "ключ"}
        assert queued.stats() == SameStats(queued=1, delivered=1)


class Failing(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("read elsewhere")


def test_q12_values_that_fail_while_they_are_read_are_a_refusal() -> None:
    with TinyCRM("memory://", project="shop", background=True) as crm:
        with pytest.raises(InvalidInput, match="RuntimeError"):
            crm.identify("ada@example.com", params=Failing(a=1))
        assert crm.flush(1)


def test_q15_what_changes_after_the_call_changes_nothing() -> None:
    with TinyCRM("memory://", project="shop") as crm:
        queued = crm.in_background()
        flat: dict[str, Any] = {"plan": "pro"}
        deep: dict[str, Any] = {"list": [1, {"a": 1}], "plan": "pro"}
        queued.identify("flat@example.com", params=flat)
        queued.identify("deep@example.com", params=deep, unset=(gone := ["gone"]))
        flat["plan"] = deep["plan"] = "changed"
        deep["list"][1]["a"] = 2
        gone.append("plan")
        assert queued.flush()
        params = {each.email: each.memberships[0].params for each in crm.customers.find()}
        assert params == {
            "flat@example.com": {"plan": "pro"},
            "deep@example.com": {"list": [1, {"a": 1}], "plan": "pro"},
        }


def test_q19_an_event_loop_goes_on_while_the_server_stalls() -> None:
    async def main() -> tuple[int, float]:
        beats, longest, last = 0, 0.0, time.monotonic()
        stop = False

        async def beat() -> None:
            nonlocal beats, longest, last
            while not stop:
                await asyncio.sleep(0.01)
                beats += 1
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        heart = asyncio.create_task(beat())
        for number in range(1000):
            await crm.aidentify(f"p{number}@example.com")
            await crm.aping(f"p{number}@example.com")
            if number % 10 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        stop = True
        await heart
        return beats, longest

    with silent() as port:
        crm = TinyCRM(f"http://{KEY}@127.0.0.1:{port}")
        beats, longest = finish(main())
        crm.close()
    assert beats > 2
    # A request to that server would hold it for ten seconds.
    assert longest < (0.05 if FULL else 1.0)


plain = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64), st.floats(), plain, st.text(max_size=5)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3)
)


def outcome(call: Callable[[], str]) -> Any:
    try:
        return call()
    except TinyCRMError as error:
        return type(error), str(error), error.field


@given(
    email=st.sampled_from(
        ["Ada@Example.com", " a@b.de ", "é@b.de", "x", "a@münchen.de", "a'+@b.c"]
    ),
    name=st.none() | plain | st.sampled_from([" Ada ", "", "A\nB", 'Q"\\', "x" * 501]),
    status=st.sampled_from([None, "paid", "trialing", "Paid", "free"]),
    params=st.none() | st.dictionaries(plain, values, max_size=5),
    active=st.sampled_from([True, True, False, 1]),
)
def test_the_short_way_and_the_long_way_agree(
    email: str, name: Any, status: Any, params: Any, active: Any
) -> None:
    fields = {"name": name, "status": status, "params": params, "active": active}

    def short() -> str:
        return identify_text(email, name, status, params, None, None, None, active, LIMITS)

    def long() -> str:
        return event_text(Identify(email, **fields))

    text = outcome(long)
    assert outcome(short) == text
    if isinstance(text, str):
        assert event_text(from_json(json.loads(text))) == text


def test_the_short_way_keeps_the_limits_of_the_client() -> None:
    small = Limits(keys=2, key=3, size=20)
    for wrong in ({"a": 1, "b": 1, "c": 1}, {"abcd": 1}, {"a": "x" * 20}):
        with pytest.raises(InvalidParams):
            identify_text("a@b.de", None, None, wrong, None, None, None, True, small)
    assert ping_text("A@b.de", None) == event_text(Ping("a@b.de"))


def test_q13_flush_sends_what_is_there() -> None:
    with scripted() as server:
        queue = Background(transport_to(server.port), interval=60.0)
        queue.send("shop", [Ping("ada@example.com")])
        assert queue.flush(20)
        assert server.emails == ["ada@example.com"]
        assert queue.flush(0)
        queue.close()
    with silent() as port:
        queue = Background(transport_to(port))
        queue.send("shop", [Ping("ada@example.com")])
        assert queue.flush(0.3) is False
        queue.close(0)


def test_flush_is_false_when_something_was_refused() -> None:
    def pick(events: list[Any]) -> Any:
        return refused(422) if events[0]["email"] == "bad@example.com" else accepted(events)

    with scripted(pick) as server:
        queue = Background(transport_to(server.port), interval=0.0)
        queue.send("shop", [Ping("good@example.com")])
        assert queue.flush()
        queue.send("shop", [Ping("bad@example.com")])
        assert queue.flush() is False
        assert queue.flush()
        queue.close()


def test_after_close_events_are_dropped_and_counted() -> None:
    with TinyCRM("memory://", project="shop", background=True) as crm:
        crm.identify("ada@example.com")
    crm.identify("bo@example.com")
    assert crm.stats() == Stats(queued=1, delivered=1, dropped=1)


def test_one_queue_however_it_is_asked_for() -> None:
    with TinyCRM("memory://", project="shop") as crm:
        assert crm.queue is None
        assert crm.flush()
        assert crm.stats() == Stats()
        queued = crm.in_background()
        assert queued is crm.in_background() is queued.in_background()
        found = {id(each) for each in (queued.queue, crm.in_background().queue)}
        assert len(found) == 1
        assert (crm.queue, queued.bound.slug) == (None, "shop")
        assert queued.project("news").identify("ada@example.com").action == "queued"
        assert queued.ping("nobody@example.com") is True
        assert crm.flush()
        assert crm.stats() == queued.stats() == Stats(queued=2, delivered=2)
        assert crm.identify("ada@example.com").action == "updated"


def test_the_thread_starts_late_and_ends_when_there_is_nothing_to_do() -> None:
    crm = TinyCRM("memory://", project="shop", background=True)
    queue = crm.queue
    assert queue is not None
    queue._idle = 0.05
    line = queue._line()
    assert line.thread is None
    for _ in range(3):
        crm.identify(f"p{random.random()}@example.com")
        assert crm.flush()
        eventually(lambda: not line.running, 20)
        assert line.thread is None
    assert crm.stats().delivered == 3
    crm.close()
