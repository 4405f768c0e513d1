"""Events that wait their turn: the caller goes on at once, a thread delivers in batches.

Nothing here may ever block, break or slow down the program that calls it. The caller's side is a
check, a copy and an append under a lock that is held for less than a microsecond.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import queue
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinycrm_core import times
from tinycrm_core.apply import Answer
from tinycrm_core.delivery import Courier, Line, OnError, Stats, Waiting
from tinycrm_core.events import Event, Identify
from tinycrm_core.model import Result
from tinycrm_core.snapshot import event_text, stamped

if TYPE_CHECKING:
    from tinycrm_core.spool import Spool
    from tinycrm_core.transport import Transport

MOST_WAITING = 10_000
MOST_BYTES = 16 * 1024 * 1024
INTERVAL = 0.2
IDLE = 5.0
RETRIES = 10
EXIT_SECONDS = 2.0
"""How long the end of a process waits, for all clients together."""

OVERHEAD = 256
"""Bytes that an event takes in memory besides its text, about."""

QUEUED = Result("queued", None)


class Background:
    """Queues the events of one client for a transport and delivers them from a thread.

    At most `max_events` events of `max_bytes` bytes wait, those on their way included; what does
    not fit is dropped and counted. `interval` is how long the first event waits for company.
    What the other side cannot take at the moment is tried `retries` times more, with growing
    random pauses. `on_error(error, events)` is told, in the thread, what could not be delivered.
    The thread starts with the first event and ends after a while without any.

    With a `spool` an event is in the file before the call returns, and stays there until it is
    delivered or refused, by this process or a later one, however often that has to be tried.
    Events that the file cannot take wait in memory.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        via: str = "call",
        max_events: int = MOST_WAITING,
        max_bytes: int = MOST_BYTES,
        interval: float = INTERVAL,
        retries: int = RETRIES,
        on_error: OnError | None = None,
        spool: Spool | None = None,
    ) -> None:
        self.transport = transport
        self.spool = spool
        self._via = via
        self._max_events, self._max_bytes = max_events, max_bytes
        self._interval, self._idle = interval, IDLE
        self._retries, self._on_error = retries, on_error
        self._most = transport.most_events
        self._destinations = sorted({transport.destination(""), transport.destination("any")})
        # By process: a child finds nothing under its own id and begins anew, even after a fork
        # that told Python nothing.
        self._lines: dict[int, Line] = {}
        _alive.add(self)

    def __repr__(self) -> str:
        return f"<Background {self.transport!r}>"

    # The caller's side -------------------------------------------------------------------------
    def send(self, project: str, events: Sequence[Event], *, via: str = "call") -> list[Answer]:
        """Queue events that exist already; an id they have is not kept."""
        for event in events:
            self.put(project, event_text(event), now=event.at is None)
        return [QUEUED if isinstance(event, Identify) else True for event in events]

    def put(self, project: str, text: str, *, now: bool) -> None:
        """Queue the JSON object of an event, with the time of this call if `now`."""
        if self.spool is not None and self._file(self.spool, project, text, now):
            return
        size = len(text) + OVERHEAD
        event = (project, text, time.monotonic_ns() if now else None, size)
        line = self._lines.get(os.getpid()) or self._line()
        start = wake = False
        with line.lock:
            fits = (
                line.waiting < self._max_events
                and line.bytes + size <= self._max_bytes
                and not line.closed
            )
            if fits:
                line.waiting += 1
                line.bytes += size
                line.events.append(event)
                if not line.running:
                    line.running = start = True
                elif line.asleep and (len(line.events) == 1 or len(line.events) >= self._most):
                    line.asleep = False
                    wake = True
            else:
                line.dropped += 1
        if start:
            self._start(line)
        elif wake:
            line.wake.put(None)
        elif not fits:
            line.warn()

    def _file(self, spool: Spool, project: str, text: str, now: bool) -> bool:
        line = self._lines.get(os.getpid()) or self._line()
        body = stamped(text, times.now() if now else None, secrets.token_hex(12))
        number = 0 if line.closed else spool.put(self.transport.destination(project), project, body)
        start = wake = False
        with line.lock:
            if not number:
                line.unspooled += not line.closed
                line.last_error = spool.error
            else:
                line.spooled += 1
                line.filed += 1
                line.last_filed = max(line.last_filed, number)
                if not line.running:
                    line.running = start = True
                elif line.asleep and (line.filed == 1 or line.filed >= self._most):
                    line.asleep = False
                    wake = True
        if start:
            self._start(line)
        elif wake:
            line.wake.put(None)
        return bool(number)

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Send what waits now. True once the other side has accepted all of it.

        False if some of it was refused or given up, or is not through after `timeout` seconds.
        Called from `on_error`, it cannot wait for itself and tells whether nothing waits.
        """
        line = self._line()
        end = None if timeout is None else time.monotonic() + timeout
        if line.thread is threading.current_thread():
            return line.waiting == 0
        with line.lock:
            last = line.last_filed
            goal, lost = line.taken, line.refused + line.failed
            if line.waiting == line.telling == 0 and not last:
                return True
            line.hurry += 1
            line.filed += self.spool is not None
            start, line.running = not line.running, True
        try:
            if start:
                self._start(line, end)
            line.wake.put(None)
            while not self._settled(line, goal, last):
                if not line.running or (end is not None and time.monotonic() >= end):
                    return False
                # Looked at again and again: a lock to wait on could be held by another thread at
                # the moment of a fork, and in the child nobody would ever release it.
                time.sleep(0.005)
            return line.refused + line.failed == lost
        finally:
            with line.lock:
                line.hurry -= 1

    def _settled(self, line: Line, goal: int, last: int) -> bool:
        """Whether so many events of memory, and the file up to this number, are done and told."""
        if line.taken - line.waiting < goal or line.telling:
            return False
        return not last or self.spool is None or self.spool.waiting(self._destinations, last) == 0

    def stats(self) -> Stats:
        """Exact counts of this process."""
        return self._line().stats()

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send what waits, for at most `timeout` seconds; later events are dropped and counted."""
        line = self._line()
        line.closed = True
        end = time.monotonic() + timeout
        self._leave(line, end)
        self._wait(line, end)
        self.transport.close()

    # The thread --------------------------------------------------------------------------------
    def _line(self) -> Line:
        """The line of this process."""
        pid = os.getpid()
        line = self._lines.get(pid)
        if line is None:
            for inherited in [each for each in list(self._lines) if each != pid]:
                self._lines.pop(inherited, None)
            line = self._lines.setdefault(pid, Line())
        return line

    def _start(self, line: Line, end: float | None = None) -> None:
        """Start the thread; where there can be none, `end` tells that the caller may work."""
        _at_end_of_process()
        thread = threading.Thread(target=self._run, args=(line,), name="tinycrm", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            # No more threads, or the interpreter is ending; the next event tries again.
            line.last_error = "no thread could be started"
            if end is not None:
                line.leave_by = end
                try:
                    self._run(line, lent=True)
                finally:
                    line.leave_by = None
            with line.lock:
                line.running = False

    def _run(self, line: Line, lent: bool = False) -> None:
        line.thread = threading.current_thread()
        courier = Courier(
            line,
            self.transport,
            via=self._via,
            retries=self._retries,
            on_error=self._on_error,
            lent=lent,
        )
        with line.lock:
            line.filed += self.spool is not None  # what an earlier process left
        try:
            while self._step(line, courier):
                pass
        except BaseException as error:
            # It asked this thread to stop, which it does; what waits behind it gets another one.
            with line.lock:
                goes_on = bool(line.events or self.spool) and not lent
                line.last_error = f"delivering was ended by {type(error).__name__}"
                line.running, line.thread, line.telling = goes_on, None, 0
            if lent:
                raise
            line.warn()
            if goes_on:
                self._start(line)

    def _step(self, line: Line, courier: Courier) -> bool:
        """Deliver one batch of memory or of the file; False once the thread may end."""
        batch = self._take(line)
        if batch is None:
            return False
        if batch:
            courier.deliver(batch)
        elif self.spool is not None:
            with line.lock:
                line.filed = 0
            if courier.drain(self.spool):
                with line.lock:
                    line.filed += 1
            elif self.spool.waiting(self._destinations) > 0:
                # Others have them, or they are held back.
                line.look_at = time.monotonic() + (0.05 if line.hurry else IDLE)
        line.warn()
        return True

    def _take(self, line: Line) -> list[Waiting] | None:
        """The next batch of memory, [] to look at the file, or None when the thread may end."""
        first: float | None = None
        idle_until = time.monotonic() + self._idle
        while True:
            moment = time.monotonic()
            with line.lock:
                leaving = line.closing or line.leave_by is not None
                count = len(line.events) + line.filed
                if count and first is None:
                    first = moment
                due = first is not None and moment >= first + self._interval
                if count and (due or line.hurry or leaving or count >= self._most):
                    return self._pop(line)
                if moment >= line.look_at and not leaving:
                    line.look_at = math.inf
                    return []
                idle = moment >= idle_until and line.look_at == math.inf
                if not count and (leaving or idle):
                    # Under the lock, so that the next event starts another thread.
                    line.running, line.thread = False, None
                    return None
                line.asleep = True
                until = idle_until if first is None else first + self._interval
                if line.look_at < math.inf:
                    until = line.look_at if first is None else min(until, line.look_at)
            with contextlib.suppress(queue.Empty):
                line.wake.get(timeout=max(0.0, until - moment))
            line.asleep = False

    def _pop(self, line: Line) -> list[Waiting]:
        batch: list[Waiting] = []
        room = self.transport.most_bytes
        while line.events and len(batch) < self._most:
            room -= line.events[0][3]
            if room < 0 and batch:
                break
            batch.append(line.events.popleft())
        return batch

    # The end -----------------------------------------------------------------------------------
    def _leave(self, line: Line, end: float) -> None:
        with line.lock:
            line.closing, line.leave_by = True, end
            start = bool(line.events or line.filed) and not line.running
            line.running = line.running or start
        if start:
            self._start(line, end)
        line.wake.put(None)

    def _wait(self, line: Line, end: float) -> None:
        if line.thread is not threading.current_thread():
            while line.running and time.monotonic() < end:
                time.sleep(0.005)  # for the reason that flush has: a fork may leave a lock held
        with line.lock:
            if not line.closed:  # what comes after the end of a process may still be sent
                line.closing, line.leave_by = False, None
        line.warn()


_alive: weakref.WeakSet[Background] = weakref.WeakSet()
_ends: dict[int, float] = {}
_registered: set[tuple[int, str]] = set()


def _at_end_of_process() -> None:
    """Have what waits sent when the process ends, also where `atexit` does not run."""
    pid = os.getpid()
    if (0, "atexit") not in _registered:  # a child inherits it
        _registered.add((0, "atexit"))
        atexit.register(_finish)
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None and (pid, name) not in _registered:
            _registered.add((pid, name))
            with contextlib.suppress(Exception):
                module.Finalize(None, _finish, exitpriority=100)
    celery = sys.modules.get("celery.signals")  # whose children skip even that
    if celery is not None and (pid, "celery") not in _registered:
        _registered.add((pid, "celery"))
        with contextlib.suppress(Exception):
            celery.worker_process_shutdown.connect(_finish, weak=False, dispatch_uid="tinycrm")


def _finish(*_: object, **__: object) -> None:
    """Send what waits in all clients, within EXIT_SECONDS altogether."""
    pid = os.getpid()
    end = _ends.setdefault(pid, time.monotonic() + EXIT_SECONDS)
    lines = [(each, line) for each in list(_alive) if (line := each._lines.get(pid))]
    for background, line in lines:
        background._leave(line, end)
    for background, line in lines:
        background._wait(line, end)


def _in_child() -> None:
    """A child starts empty: what waits is the parent's, and so are its thread and connections."""
    for background in list(_alive):
        background._lines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
