"""What a store, a callback or a signal raises where events are delivered, and who hears of it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.core.delivery.test_calls import transport_to
from tinycrm_core import Stats, TinyCRM, TinyCRMError
from tinycrm_core.background import Background
from tinycrm_core.events import Identify, Ping
from tinycrm_core.spool import Spool


class Panic(BaseException):
    """Such as an extension in Rust raises."""


@pytest.mark.parametrize("kind", [Panic, MemoryError, SystemExit, KeyboardInterrupt])
def test_q1_what_a_store_raises_does_not_end_the_delivery(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Not even what would end the process elsewhere: nobody has asked this thread for that."""
    told: list[Any] = []
    with TinyCRM("memory://", project="shop") as crm:
        inner = crm.transport

        class Panicking:
            most_events, most_bytes = 500, 10**6
            close = inner.close
            destination = inner.destination

            def deliver(self, project: str, texts: Any, **options: Any) -> Any:
                if any("bad" in text for text in texts):
                    raise kind
                return inner.deliver(project, texts, **options)

        def tell(error: TinyCRMError, events: list[Any]) -> None:
            told.extend(each["email"] for each in events)
            raise kind

        queue = Background(Panicking(), interval=0.0, on_error=tell)  # type: ignore[arg-type]
        for number in range(40):
            who = "bad" if number % 10 == 3 else "p"
            queue.send("shop", [Identify(f"{who}{number}@example.com")])
        assert queue.flush(20) is False
        assert queue.stats() == Stats(queued=40, delivered=36, refused=4)
        assert sorted(told) == sorted(f"bad{number}@example.com" for number in (3, 13, 23, 33))
        queue.send("shop", [Identify("after@example.com")])
        assert queue.flush(20)
        assert crm.customers.count() == 37
        queue.close()
    warned = [each for each in caplog.records if "could not report" in each.getMessage()]
    assert len(warned) == 1
    assert kind.__name__ in warned[0].getMessage()


@pytest.mark.parametrize("spooled", [False, True])
def test_q1_a_thread_that_is_told_to_stop_is_followed_by_another(
    spooled: bool, tmp_path: Path
) -> None:
    """As gevent kills a greenlet: it gives up what it had in its hands, and with a file nothing."""
    with TinyCRM("memory://", project="shop") as crm:
        inner, left = crm.transport, [2]

        class Killed:
            most_events, most_bytes = 10, 10**6
            close = inner.close
            destination = inner.destination

            def deliver(self, project: str, texts: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] >= 0:
                    raise GeneratorExit
                return inner.deliver(project, texts, **options)

        spool = Spool(tmp_path / "spool.db", lease=0.5) if spooled else None
        queue = Background(Killed(), interval=60.0, spool=spool)  # type: ignore[arg-type]
        for number in range(35):
            queue.send("shop", [Identify(f"p{number}@example.com")])
        assert queue.flush(40) is spooled
        if spooled:
            assert queue.stats() == Stats(queued=35, delivered=35, spooled=35)
        else:
            assert queue.stats() == Stats(queued=35, delivered=15, failed=20)
        assert queue._line().bytes == 0
        assert queue.flush(20)
        queue.close()
        if spool is not None:
            spool.close()


def test_q18_ctrl_c_in_a_thread_that_was_lent_is_its_owners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without threads `flush` works itself, and whoever waits for it may give up."""

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with TinyCRM("memory://", project="shop") as crm:
        inner, pressed = crm.transport, [True]

        class Interrupted:
            most_events, most_bytes = 500, 10**6
            close = inner.close
            destination = inner.destination

            def deliver(self, project: str, texts: Any, **options: Any) -> Any:
                if pressed.pop():
                    raise KeyboardInterrupt
                return inner.deliver(project, texts, **options)

        monkeypatch.setattr(threading.Thread, "start", no_thread)
        queue = Background(Interrupted())  # type: ignore[arg-type]
        queue.send("shop", [Identify("ada@example.com")])
        with pytest.raises(KeyboardInterrupt):
            queue.flush(20)
        assert queue.stats() == Stats(queued=1, failed=1)
        pressed.append(False)
        queue.send("shop", [Identify("bo@example.com")])
        assert queue.flush(20)
        assert queue.stats() == Stats(queued=2, delivered=1, failed=1)
        queue.close()


def test_q1_a_log_handler_that_raises_reaches_no_caller() -> None:
    class Raising(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("the log is full")

    handler = Raising()
    logging.getLogger("tinycrm").addHandler(handler)
    try:
        queue = Background(transport_to(9), max_events=1)
        for _ in range(5):
            assert queue.send("shop", [Ping("ada@example.com")]) == [True]
        assert queue.stats().dropped == 4
        queue.close(0)
    finally:
        logging.getLogger("tinycrm").removeHandler(handler)
