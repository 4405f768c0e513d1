"""Keeps a fault of ours out of the host: swallowed, counted, and said once in a while."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec

from tinycrm_core.errors import TinyCRMError
from tinycrm_core.faults import is_fault

P = ParamSpec("P")

INTERVAL = 60.0
"""Seconds between two log lines about the same hook."""

_log = logging.getLogger("tinycrm")


class Guard:
    """Wraps our own code in a host, never the host's: `with guard("login", event.id): …`.

    Nothing raised inside comes out, except what asks the process, the coroutine or the greenlet
    to stop. The first fault of a hook is logged on the logger `tinycrm` and then at most one each
    `interval` seconds: hook, event id, kind of error and the place in the code. Messages of
    errors may quote people's data or a key and are left out. With the environment variable
    TINYCRM_DEBUG=1 faults are raised after all.
    """

    def __init__(
        self, *, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._said: dict[str, tuple[float, int]] = {}
        # Reentrant, as a signal handler or a finaliser of the host may fail in here again.
        self._lock = threading.RLock()
        self._process = os.getpid()

    def __call__(self, hook: str, event_id: str | None = None) -> Guarded:
        """A context manager; it can also be used to decorate a function that returns nothing."""
        return Guarded(self, hook, event_id)

    @property
    def failures(self) -> dict[str, int]:
        """How often each hook has failed since the process started."""
        return dict(self._counts)

    def failed(self, hook: str, error: BaseException, event_id: str | None = None) -> bool:
        """Count and log a fault; False if it has to be raised all the same."""
        if not is_fault(error):
            return False
        if self._process != os.getpid():  # a thread that is not here may hold the lock
            self._lock, self._process = threading.RLock(), os.getpid()
        with self._lock:
            count = self._counts[hook] = self._counts.get(hook, 0) + 1
            now = self._clock()
            said = self._said.get(hook)
            is_due = said is None or now - said[0] >= self._interval
            if is_due:
                self._said[hook] = now, count
        if is_due:
            _say(hook, error, event_id, count - (said[1] if said else 0))
        return os.environ.get("TINYCRM_DEBUG") != "1"


class Guarded:
    """One guarded stretch of code."""

    __slots__ = ("_event_id", "_guard", "_hook")

    def __init__(self, guard: Guard, hook: str, event_id: str | None) -> None:
        self._guard = guard
        self._hook = hook
        self._event_id = event_id

    def __call__(self, function: Callable[P, object]) -> Callable[P, None]:
        """Decorate a function; what it returns is dropped, as there may be nothing to return."""

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            with self:
                function(*args, **kwargs)

        return guarded

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return error is not None and self._guard.failed(self._hook, error, self._event_id)


def _say(hook: str, error: BaseException, event_id: str | None, count: int) -> None:
    # A log handler of the host that raises must not break the host through us.
    with contextlib.suppress(Exception):
        _log.error(
            "TinyCRM: %s failed%s: %s%s%s; the application goes on without it "
            "(TINYCRM_DEBUG=1 raises the error)",
            hook,
            f" for event {event_id}" if event_id else "",
            _kind(error),
            _place(error.__traceback__),
            f", {count} times since the last line" if count > 1 else "",
        )


def _kind(error: BaseException) -> str:
    """The kind of error, without its message."""
    name = type(error).__qualname__
    if isinstance(error, TinyCRMError):
        return f"{name} ({error.code}{f', {error.field}' if error.field else ''})"
    return name


def _place(trace: TracebackType | None) -> str:
    """The file and line at which it was raised."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    file = trace.tb_frame.f_code.co_filename.replace(os.sep, "/")
    return f" at {'/'.join(file.split('/')[-2:])}:{trace.tb_lineno}"
