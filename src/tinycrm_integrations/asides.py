"""Threads for what is done beside the host, which are waited for when the process ends."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable

EXIT_SECONDS = 2.0
"""What the end of the process waits for all of them together."""

_running: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_registered: list[bool] = []


def start(work: Callable[[], None]) -> None:
    """Do something in a thread of its own. Raises RuntimeError where there can be none."""
    thread = threading.Thread(target=work, name="tinycrm aside", daemon=True)
    thread.start()
    _running.add(thread)
    if not _registered:  # a child inherits it
        _registered.append(True)
        atexit.register(_finish)


def _finish() -> None:
    end = time.monotonic() + EXIT_SECONDS
    for thread in list(_running):
        if thread.is_alive():
            thread.join(max(0.0, end - time.monotonic()))
