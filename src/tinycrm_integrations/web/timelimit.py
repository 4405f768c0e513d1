"""Numbers beside a page, which must not keep it waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tinycrm_core.errors import TookTooLong
from tinycrm_core.patience import within

T = TypeVar("T")


class TimeLimit:
    """Asks one question after the other until `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer, or None: the time was over before it, or while the database looked."""
        left = self._until - time.monotonic()
        if left <= 0:
            return None
        try:
            with within(left):
                return question()
        except TookTooLong:
            return None
