"""The guard: what goes wrong in our code stays there, is counted, and is said once (F1)."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from tinycrm_core.errors import InvalidEmail, StoreError
from tinycrm_integrations.guard import Guard

SECRET = "ada@example.com tcrm_proj_secret"


class Panic(BaseException):
    """Such as an extension in Rust raises."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.delenv("TINYCRM_DEBUG", raising=False)
    return Guard(interval=60, clock=clock)


@pytest.mark.parametrize("error", [ValueError, StoreError, MemoryError, RecursionError, Panic])
def test_f1_what_is_raised_inside_stays_inside(guard: Guard, error: type[BaseException]) -> None:
    with guard("login", "event-1"):
        raise error(SECRET)
    assert guard.failures == {"login": 1}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
)
def test_what_ends_a_process_or_a_coroutine_passes(
    guard: Guard, error: type[BaseException]
) -> None:
    with pytest.raises(error), guard("login"):
        raise error
    assert not guard.failures


def test_a_timeout_of_gevent_passes(guard: Guard) -> None:
    timeout = type("Timeout", (BaseException,), {"__module__": "gevent.timeout"})
    own = type("RequestTimeout", (timeout,), {"__module__": "app"})
    with pytest.raises(own), guard("login"):
        raise own


def test_one_line_with_the_hook_and_the_event_and_nothing_personal(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with guard("login", "event-1"):
            raise InvalidEmail(SECRET)
    (line,) = caplog.messages
    assert "login" in line
    assert "event-1" in line
    assert "InvalidEmail (invalid_email, email)" in line
    assert "integrations/test_guard.py:" in line
    assert "ada" not in line
    assert "tcrm" not in line
    (record,) = caplog.records
    assert record.name == "tinycrm"
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert guard.failures == {"login": 3}


def test_each_hook_speaks_once_in_an_interval(
    guard: Guard, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(0, 120, 10):
        clock.now = float(second)
        for hook in ("login", "ping"):
            with guard(hook):
                raise ValueError(SECRET)
    assert len(caplog.messages) == 4
    assert [line for line in caplog.messages if "6 times since the last line" in line] == (
        caplog.messages[2:]
    )


def test_a_log_handler_that_raises_reaches_nobody(guard: Guard) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the handler")

    handler = Broken()
    logger = logging.getLogger("tinycrm")
    logger.addHandler(handler)
    try:
        with guard("login"):
            raise ValueError
    finally:
        logger.removeHandler(handler)
    assert guard.failures == {"login": 1}


def test_a_log_handler_that_comes_back_to_the_guard(guard: Guard) -> None:
    class Again(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with guard("log"):
                raise ValueError

    handler = Again()
    logger = logging.getLogger("tinycrm")
    logger.addHandler(handler)
    try:
        with guard("login"):
            raise ValueError
    finally:
        logger.removeHandler(handler)
    assert guard.failures["login"] == 1


def test_debugging_raises(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYCRM_DEBUG", "1")
    with pytest.raises(ValueError, match="ada"), guard("login"):
        raise ValueError(SECRET)
    assert guard.failures == {"login": 1}


def test_it_decorates(guard: Guard) -> None:
    @guard("login")
    def hook(number: int) -> float:
        return 1 / number

    hook(1)
    hook(0)
    assert hook.__name__ == "hook"
    assert guard.failures == {"login": 1}


def test_counts_are_exact_over_threads(guard: Guard) -> None:
    def work() -> None:
        for _ in range(500):
            with guard("login"):
                raise ValueError

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.failures == {"login": 4000}


@pytest.fixture
def held(guard: Guard) -> Iterator[None]:
    """Another thread holds the guard's lock while the test runs."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with guard._lock:
            taken.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(30)
    yield
    done.set()
    thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_in_the_middle_of_a_failure_blocks_no_child(guard: Guard, held: None) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with guard("login"):
                raise ValueError
            code = 0 if guard.failures == {"login": 1} else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
