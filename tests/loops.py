"""Running coroutines where a loop may be running already: the browser tests leave one behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def aside(call: Callable[..., T], *arguments: Any) -> T:
    """Call something in a thread that has no event loop, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call, *arguments).result()


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""
    return aside(asyncio.run, coroutine)
