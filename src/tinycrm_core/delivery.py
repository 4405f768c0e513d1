"""Delivering what waits: batches, what is tried again and when, and exact counts of it all."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import queue
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tinycrm_core import times
from tinycrm_core.apply import Answer
from tinycrm_core.errors import StoreError, TinyCRMError, Undelivered
from tinycrm_core.faults import is_fault
from tinycrm_core.keys import redact
from tinycrm_core.snapshot import stamped

if TYPE_CHECKING:
    from tinycrm_core.spool import Row, Spool
    from tinycrm_core.transport import Transport

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds. A pause is random between nothing and twice the last bound, up to this one."""

HELD = 60.0
"""Seconds for which events stay in the file after the other side turned their sender away."""

WARN_EVERY = 60.0
"""Seconds between two warnings of one client."""

OnError: TypeAlias = Callable[[TinyCRMError, list[dict[str, Any]]], object]
"""Told why events were not stored, and what they were, as JSON objects."""

_log = logging.getLogger("tinycrm")

# Neither the sequence a host has seeded for itself, nor one that forked workers would share.
_chance = random.SystemRandom()
_monotonic = time.monotonic


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the events of one client in this process.

    `queued` were taken from calls: of these `delivered` are stored, `refused` one by one by the
    other side, `failed` given up, and `waiting` still here or on their way. `dropped` were not
    taken, for want of room. `retries` counts requests, not events.

    With a spool, `spooled` counts those that went into the file, where any process may deliver
    them; `delivered` and `refused` count what this one did. `unspooled` had to wait in memory
    instead, because the file could not take them.
    """

    queued: int = 0
    delivered: int = 0
    refused: int = 0
    failed: int = 0
    waiting: int = 0
    dropped: int = 0
    retries: int = 0
    spooled: int = 0
    unspooled: int = 0


Waiting: TypeAlias = tuple[str, str, int | None, int]
"""Product, JSON text, monotonic nanoseconds of the call unless the text has a time, and bytes."""


class Line:
    """What waits in one process, and what became of the rest; a child begins with its own."""

    def __init__(self) -> None:
        # Reentrant: a finaliser may report an event in the middle of reporting one.
        self.lock = threading.RLock()
        self.events: deque[Waiting] = deque()
        # Looked up now, so that lock, queue and thread all come from gevent if it has patched.
        self.wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.running = self.asleep = self.closing = self.closed = False
        self.hurry = self.telling = 0
        self.leave_by: float | None = None
        self.bytes = self.waiting = 0
        self.left = self.delivered = self.refused = self.failed = 0
        self.dropped = self.retries = self.spooled = self.unspooled = 0
        self.filed = self.last_filed = 0
        self.look_at = math.inf
        self.last_error = ""
        self.next_warning = 0.0

    @property
    def taken(self) -> int:
        """Events that memory took; those that `left` it are delivered, refused or given up."""
        return self.waiting + self.left

    def stats(self) -> Stats:
        """All counts of one moment."""
        with self.lock:
            return Stats(
                self.taken + self.spooled,
                self.delivered,
                self.refused,
                self.failed,
                self.waiting,
                self.dropped,
                self.retries,
                self.spooled,
                self.unspooled,
            )

    def warn(self) -> None:
        """Say what was lost so far, at most once in a while."""
        moment = _monotonic()
        with self.lock:
            lost = self.dropped + self.refused + self.failed + self.unspooled
            if not lost or moment < self.next_warning:
                return
            self.next_warning = moment + WARN_EVERY
        # A log handler of the host that raises must not break the call that comes by here.
        with contextlib.suppress(Exception):
            _log.warning(
                "TinyCRM could not report all events so far: %d dropped, %d refused, %d given up, "
                "%d not spooled. Last reason: %s",
                self.dropped,
                self.refused,
                self.failed,
                self.unspooled,
                self.last_error or "the queue is full",
            )


class Courier:
    """Delivers batches of one line, in the one thread that runs it.

    That thread is the queue's own, or lent by a caller who waits for it. Whatever a transport or
    `on_error` raises is a fault of theirs, except what asks a lent thread, or a greenlet, to stop.
    """

    def __init__(
        self,
        line: Line,
        transport: Transport,
        *,
        via: str,
        retries: int,
        on_error: OnError | None,
        lent: bool = False,
    ) -> None:
        self._line, self._transport, self._lent = line, transport, lent
        self._via, self._retries, self._on_error = via, retries, on_error
        self._prefix, self._number = secrets.token_hex(8), 0
        self._latest = self._failures = 0
        self._destinations = sorted({transport.destination(""), transport.destination("any")})

    def deliver(self, batch: Sequence[Waiting]) -> None:
        """Deliver events or give them up; each has been counted once, however this ends."""
        line, before = self._line, self._line.left
        try:
            for project, texts in self._stamped(batch).items():
                self._deliver(project, texts)
                line.warn()
        finally:
            with line.lock:
                line.bytes -= sum(size for *_, size in batch)
                interrupted = before + len(batch) - line.left
                line.failed += interrupted
                line.waiting -= interrupted
                line.left += interrupted

    def _deliver(self, project: str, texts: Sequence[str]) -> None:
        for attempt in range(self._retries + 1):
            answers = self.attempt(project, texts)
            places, why = self.settle(texts, answers)
            if why is None:
                return
            left = [texts[place] for place in places]
            if attempt == self._retries or self._leaving():
                with self._line.lock:
                    self._line.telling += 1
                    self._line.failed += len(left)
                    self._line.waiting -= len(left)
                    self._line.left += len(left)
                self._tell(why, left)
                return
            with self._line.lock:
                self._line.retries += 1
            self.pause(pause(attempt, why.after))
            texts = left

    def drain(self, spool: Spool) -> bool:
        """Deliver one batch of the file; False if there was none to take, or none was taken."""
        most, room = self._transport.most_events, self._transport.most_bytes
        rows = spool.claim(self._destinations, most, room)
        if not rows:
            return False
        by_project: dict[str, list[Row]] = {}
        for row in rows:
            by_project.setdefault(row.project, []).append(row)
        for project, theirs in by_project.items():
            texts = [row.text for row in theirs]
            places, why = self.settle(texts, self.attempt(project, texts), filed=True)
            left = {theirs[place] for place in places}
            spool.done([row for row in theirs if row not in left])
            if why is None:
                self._failures = 0
                continue
            self._line.last_error = redact(str(why))
            with self._line.lock:
                self._line.retries += 1
            # A request that fails on its own must not hold up the others for ever.
            aside = not why.later or (why.status == 500 and self._failures >= self._retries)
            spool.release(list(left), HELD if aside else 0.0)
            if not aside:
                self._failures += 1
                self.pause(pause(self._failures - 1, why.after))
                return not self._leaving()
            self._failures = 0
        return True

    def attempt(self, project: str, texts: Sequence[str]) -> list[Answer]:
        """The answer to each text; Undelivered with `later` for those to be tried again.

        A batch that is refused as a whole is taken apart, so that what is wrong with one event
        does not hold up the others.
        """
        try:
            timeout = self._line.leave_by and max(0.0, self._line.leave_by - _monotonic())
            return self._transport.deliver(project, texts, via=self._via, timeout=timeout)
        except Undelivered as error:
            failure: TinyCRMError = error
        except StoreError as error:
            failure = Undelivered(error.message, later=True)
        except BaseException as error:
            if self._stops(error):
                raise
            _log.debug("delivering failed", exc_info=True)
            failure = Undelivered(f"delivering failed with {type(error).__name__}", split=True)
        if not (isinstance(failure, Undelivered) and failure.split) or len(texts) == 1:
            return [failure] * len(texts)
        middle = len(texts) // 2
        first = self.attempt(project, texts[:middle])
        if _later(first[-1]):
            return first + [first[-1]] * (len(texts) - middle)
        return first + self.attempt(project, texts[middle:])

    def settle(
        self, texts: Sequence[str], answers: Sequence[Answer], *, filed: bool = False
    ) -> tuple[list[int], Undelivered | None]:
        """Count what has its answer; returns the places of what is left, and why.

        What lies in a file is left there also when the other side turns the sender away, as it
        does with a wrong key, for somebody may put that right.
        """
        left: list[int] = []
        why: Undelivered | None = None
        refused: list[tuple[TinyCRMError, str]] = []
        delivered = 0
        for place, (text, answer) in enumerate(zip(texts, answers, strict=True)):
            if isinstance(answer, Undelivered) and (answer.later or (filed and not answer.split)):
                left.append(place)
                why = answer
            elif isinstance(answer, TinyCRMError):
                refused.append((answer, text))
            else:
                delivered += 1
        with self._line.lock:
            self._line.telling += len(refused)
            self._line.delivered += delivered
            self._line.refused += len(refused)
            if not filed:
                self._line.waiting -= delivered + len(refused)
                self._line.left += delivered + len(refused)
        for error, text in refused:
            self._tell(error, [text])
        return left, why

    def pause(self, seconds: float) -> None:
        """Wait, unless the process is about to end."""
        end = _monotonic() + seconds
        while not self._leaving() and (left := end - _monotonic()) > 0:
            try:
                self._line.wake.get(timeout=left)
            except queue.Empty:
                return

    def _leaving(self) -> bool:
        return self._line.closing or self._line.leave_by is not None

    def _stamped(self, batch: Sequence[Waiting]) -> dict[str, list[str]]:
        """The texts of each product, with the time of their call and an id that stays theirs."""
        wall, monotonic = times.now(), time.monotonic_ns()
        found: dict[str, list[str]] = {}
        for project, text, made, _ in batch:
            at = None
            if made is not None:
                # Aged by a clock that nobody sets; two calls of one moment keep their order.
                at = wall - (monotonic - made) // 1000
                if 0 <= self._latest - at < 1_000_000:
                    at = self._latest + 1
                self._latest = at
            self._number += 1
            ident = f"{self._prefix}-{self._number}"
            found.setdefault(project, []).append(stamped(text, at, ident))
        return found

    def _tell(self, error: TinyCRMError, texts: Sequence[str]) -> None:
        self._line.last_error = redact(str(error))
        try:
            if self._on_error is not None:
                self._on_error(error, [json.loads(text) for text in texts])
        except BaseException as failure:
            if self._stops(failure):
                raise
            _log.exception("on_error of TinyCRM failed")
        finally:
            with self._line.lock:
                self._line.telling -= 1

    def _stops(self, error: BaseException) -> bool:
        """Whether somebody wants the thread back; nobody interrupts or exits the queue's own."""
        if not self._lent and isinstance(error, KeyboardInterrupt | SystemExit):
            return False
        return not is_fault(error)


def _later(answer: Answer) -> bool:
    return isinstance(answer, Undelivered) and answer.later


def pause(attempt: int, after: float | None) -> float:
    """Seconds until the next attempt: random, growing, and what the other side asked for."""
    bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 16))
    jitter = _chance.uniform(0, bound)
    if after is None:
        return jitter
    return min(LONGEST_PAUSE, max(0.0, after)) + jitter / 4
