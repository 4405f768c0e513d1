"""Counts for rate limits in a file, where the processes of one machine share them."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import floor
from urllib.parse import unquote, urlparse

from limits.storage.base import SlidingWindowCounterSupport, Storage

BUCKETS, ROWS = 8192, 8
"""A name has its bucket; where all rows of it are in use, the one that ends first makes room."""

_ROW = struct.Struct("=16sqd")  # digest of the name, count, when it ends
_BUCKET = _ROW.size * ROWS
_SIZE = _BUCKET * BUCKETS


class FileStorage(SlidingWindowCounterSupport, Storage):
    """A storage of `limits` for `file:///path`, which is made if it is not there.

    The file has one size, 2 MiB, however many names are counted. A hit holds its lock, so that no
    process counts past another one, and one that is killed releases it.
    """

    STORAGE_SCHEME = ["file"]  # noqa: RUF012 - as the base class has it

    def __init__(self, uri: str, wrap_exceptions: bool = False) -> None:
        super().__init__(uri, wrap_exceptions)
        self._lock = threading.Lock()
        self._file = os.open(unquote(urlparse(uri).path), os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, _SIZE)
        self._rows = mmap.mmap(self._file, _SIZE)

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises when the file cannot be used."""
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count, which ends after `expiry` seconds if it begins here."""
        now = time.time()
        with self._alone():
            return self._add(key, amount, now, now + expiry)

    def get(self, key: str) -> int:
        """A count; 0 if there is none."""
        with self._alone():
            return self._find(key, time.time())[1]

    def get_expiry(self, key: str) -> float:
        """When a count ends, as a timestamp; now if there is none."""
        now = time.time()
        with self._alone():
            return max(now, self._find(key, now)[2])

    def check(self) -> bool:
        """Whether the file can be used."""
        with self._alone():
            return len(self._rows) == _SIZE

    def reset(self) -> int | None:
        """Forget every count."""
        with self._alone():
            self._rows[:] = bytes(_SIZE)
        return None

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._alone():
            place, count, _ = self._find(key, time.time())
            if count:
                self._rows[place : place + _ROW.size] = bytes(_ROW.size)

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count `amount` unless that makes more than `limit` in the last `expiry` seconds."""
        now = time.time()
        with self._alone():
            before, left, current, _ = self._windows(key, expiry, now)
            if floor(before * left / expiry + current) + amount > limit:
                return False
            # This window is looked at until the next one ends.
            self._add(_window(key, expiry, now), amount, now, now + 2 * expiry)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and seconds left of the window before, then of the current one."""
        with self._alone():
            return self._windows(key, expiry, time.time())

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the counts of both windows."""
        now = time.time()
        for at in (now, now - expiry):
            self.clear(_window(key, expiry, at))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:  # as the lock of the file is one for all threads of a process
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _windows(self, key: str, expiry: int, now: float) -> tuple[int, float, int, float]:
        left = expiry - now % expiry
        before = self._find(_window(key, expiry, now - expiry), now)[1]
        current = self._find(_window(key, expiry, now), now)[1]
        return before, left, current, left + expiry

    def _find(self, name: str, now: float) -> tuple[int, int, float]:
        """Where a name is counted or would be, its count, and when that ends."""
        digest = _digest(name)
        start = int.from_bytes(digest[:4], "little") % BUCKETS * _BUCKET
        first, first_ends = start, float("inf")
        for place in range(start, start + _BUCKET, _ROW.size):
            found, count, ends = _ROW.unpack_from(self._rows, place)
            if found == digest:
                return (place, count, ends) if ends > now else (place, 0, 0.0)
            if ends < first_ends:
                first, first_ends = place, ends
        return first, 0, 0.0

    def _add(self, name: str, amount: int, now: float, ends: float) -> int:
        place, count, known = self._find(name, now)
        _ROW.pack_into(self._rows, place, _digest(name), count + amount, known or ends)
        return count + amount


def _window(key: str, expiry: int, at: float) -> str:
    return f"{key}/{int(at // expiry)}"


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
