"""Numbers beside a page, which must not keep it waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tinycrm_core.errors import TookTooLong

T = TypeVar("T")


class TimeLimit:
    """Asks one question after the other until `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer, or None: the time was over before, or the database gave up counting."""
        if time.monotonic() >= self._until:
            return None
        try:
            return question()
        except TookTooLong:
            return None
