"""A local SQLite file that keeps events until they are delivered.

What `put` has written survives the death of the process, a deploy, and an outage of the server.
Processes may share a file: each takes rows on a lease, so two of them rarely send the same event,
and if they do it changes nothing. A file that cannot be used is reported to the caller as False;
nothing here raises.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

MOST_BYTES = 256 * 1024 * 1024
LEASE = 30.0
"""Seconds for which a process has taken rows; those of one that died are free again after it."""

BUSY = 0.25
"""Seconds that a call may wait for the file, before the event goes to memory instead."""

_LOOK_EVERY = 16
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    project TEXT NOT NULL,
    body TEXT NOT NULL,
    due REAL NOT NULL,
    owner INTEGER NOT NULL
)
"""


class Row(NamedTuple):
    """An event of the file: its number, product and JSON text."""

    seq: int
    project: str
    text: str


class _Open:
    """The file as one process has it open."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.user: int | None = None
        self.connection: sqlite3.Connection | None = None
        self.owner = secrets.randbits(62)
        self.puts = 0
        self.full = False


class Spool:
    """Events in the file `path`, at most about `max_bytes` of them.

    `path` is created with access for its owner alone: it holds addresses of people, and no key.
    `error` says why the file could not be used the last time; it is empty when it can.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MOST_BYTES,
        lease: float = LEASE,
    ) -> None:
        self.path = Path(path).absolute()
        self.max_bytes, self.lease = max_bytes, lease
        self.error = ""
        self._processes: dict[int, _Open] = {}
        _alive.add(self)

    def __repr__(self) -> str:
        return f"<Spool {self.path.name}>"

    def put(self, destination: str, project: str, text: str) -> int:
        """Write an event; its number, or 0 if the file cannot take it.

        An event with a number survives the process. It may be lost if the machine loses power in
        the next moments (`synchronous=NORMAL`).
        """

        def write(db: sqlite3.Connection, state: _Open) -> int:
            if state.full or state.puts % _LOOK_EVERY == 0:
                state.full = self._used(db) >= self.max_bytes
                if state.full:
                    self.error = "the file has reached its size"
                    return 0
            state.puts += 1
            values = (destination, project, text, state.owner)
            done = db.execute(
                "INSERT INTO events (destination, project, body, due, owner) VALUES (?,?,?,0.5,?)",
                values,
            )
            return done.lastrowid or 0

        return self._use(write, 0)

    def claim(self, destinations: Sequence[str], events: int, size: int) -> list[Row]:
        """Take the oldest events that nobody has, up to so many and so many bytes."""
        marks = ",".join("?" * len(destinations))

        def take(db: sqlite3.Connection, state: _Open) -> list[Row]:
            moment = time.time()
            with _transaction(db):
                # A lease from far ahead was given before somebody set the clock back.
                found = db.execute(
                    f"SELECT seq, project, body FROM events WHERE destination IN ({marks}) "  # noqa: S608
                    "AND (due < ? OR due > ?) ORDER BY seq LIMIT ?",
                    (*destinations, moment, moment + 10 * max(self.lease, 60.0), events),
                )
                rows: list[Row] = []
                room = size
                for row in map(Row._make, found):
                    room -= len(row.text) + 2
                    if room < 0 and rows:
                        break
                    rows.append(row)
                db.executemany(
                    "UPDATE events SET due = ?, owner = ? WHERE seq = ?",
                    [(moment + self.lease, state.owner, row.seq) for row in rows],
                )
            return rows

        return self._use(take, [])

    def done(self, rows: Sequence[Row]) -> bool:
        """Forget events that were delivered or refused."""

        def delete(db: sqlite3.Connection, state: _Open) -> bool:
            with _transaction(db):
                db.executemany("DELETE FROM events WHERE seq = ?", [(row.seq,) for row in rows])
            return True

        return self._use(delete, False)

    def release(self, rows: Sequence[Row], after: float = 0.0) -> bool:
        """Give events back, to be taken no earlier than `after` seconds from now."""

        def free(db: sqlite3.Connection, state: _Open) -> bool:
            due = time.time() + after if after else 0.5
            with _transaction(db):
                db.executemany(
                    "UPDATE events SET due = ? WHERE seq = ? AND owner = ?",
                    [(due, row.seq, state.owner) for row in rows],
                )
            return True

        return self._use(free, False)

    def waiting(self, destinations: Sequence[str], last: int | None = None) -> int:
        """How many events the file holds for these, up to number `last`; -1 if that is unknown."""
        marks = ",".join("?" * len(destinations))

        def count(db: sqlite3.Connection, state: _Open) -> int:
            (found,) = db.execute(
                f"SELECT count(*) FROM events WHERE destination IN ({marks}) AND seq <= ?",  # noqa: S608
                (*destinations, 2**62 if last is None else last),
            ).fetchone()
            return int(found)

        return self._use(count, -1)

    def close(self) -> None:
        """Close the file in this process; what it holds stays."""
        state = self._processes.pop(os.getpid(), None)
        if state is not None:
            with state.lock:
                self._forget(state)

    def _use(self, work: Callable[[sqlite3.Connection, _Open], T], otherwise: T) -> T:
        pid = os.getpid()
        state = self._processes.get(pid) or self._processes.setdefault(pid, _Open())
        me = threading.get_ident()
        # A finaliser may report an event while this thread is writing one.
        if state.user == me or not state.lock.acquire(timeout=BUSY):
            self.error = self.error or "the file is busy"
            return otherwise
        state.user = me
        try:
            if state.connection is None:
                state.connection = self._connect()
            result = work(state.connection, state)
        except (sqlite3.Error, OSError) as error:
            self.error = str(error) or type(error).__name__
            if not isinstance(error, sqlite3.OperationalError) or "locked" not in self.error:
                self._forget(state)
            return otherwise
        else:
            if result or not state.full:
                self.error = ""
            return result
        finally:
            state.user = None
            state.lock.release()

    def _connect(self) -> sqlite3.Connection:
        # SQLite gives its files beside this one the same mode.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _forget(self, state: _Open) -> None:
        if state.connection is not None:
            with contextlib.suppress(sqlite3.Error):
                state.connection.close()
            state.connection = None

    def _used(self, db: sqlite3.Connection) -> int:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        (page,) = db.execute("PRAGMA page_size").fetchone()
        return int(pages - free) * int(page)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


# No fork in the middle of a transaction: SQLite in the child would take it for its own.
_alive: weakref.WeakSet[Spool] = weakref.WeakSet()
_held: list[_Open] = []


def _before_fork() -> None:
    for spool in list(_alive):
        state = spool._processes.get(os.getpid())
        if state and state.user != threading.get_ident() and state.lock.acquire(timeout=1.0):
            _held.append(state)


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
