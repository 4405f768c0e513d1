"""Waiting for what happens beside a test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0


def eventually(
    look: Callable[[], T],
    seconds: float = PATIENCE,
    despite: type[Exception] | tuple[type[Exception], ...] = (),
) -> T:
    """What `look` answers once it is true, `despite` errors until then."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(despite):
            if found := look():
                return found
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)  # what is looked at may be a process or a file, which wake nobody
