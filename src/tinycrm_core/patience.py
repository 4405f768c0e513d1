"""How long whoever asks is ready to wait for an answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_patience: ContextVar[float] = ContextVar("tinycrm_patience", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Each question asked inside the block ends after this many seconds, with a StoreError.

    It only ever shortens the time that a database gives a question. In memory, and on a SQLite
    engine of the host, nothing can be ended, so there a question takes its time.
    """
    token = _patience.set(min(seconds, _patience.get()))
    try:
        yield
    finally:
        _patience.reset(token)


def at_most(seconds: float) -> float:
    """The seconds that a question may take, where nobody may take more than `seconds`."""
    return min(seconds, _patience.get())
