"""Waiting for what happens beside a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0


def eventually(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `look` answers once it is true; what is queued takes its time."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)  # what is looked at may be a process or a file, which wake nobody
    return found
