"""Many processes or threads that start one function at the same moment."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

FULL = "TINYCRM_TEST_FULL" in os.environ
"""Whether to run as often as the figures we publish say, instead of for a few seconds."""

PATIENCE = 1800 if FULL else 110
"""Seconds until a test that should be through is ended."""

# Children come from a process that has imported everything and done nothing.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["tinycrm_core.client", "tinycrm_core.sql", "sqlalchemy.dialects.sqlite", "psycopg"]
)

Meeting = threading.Barrier
"""Where all of them wait for each other; of processes it is one of multiprocessing."""


def in_processes(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """`work(number, meeting, *arguments)` in each of `count` processes; what each returned.

    Raises AssertionError with the traceback of a process in which it failed.
    """
    meeting, answers = CONTEXT.Barrier(count), CONTEXT.SimpleQueue()
    processes = [
        CONTEXT.Process(target=_report, args=(answers, work, number, meeting, *arguments))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    # A queue of ours holds little: it is read before anybody is waited for.
    collected = [answers.get() for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    return _unpacked(collected)


def in_threads(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The same in threads."""
    meeting = threading.Barrier(count)
    collected: list[tuple[int, Any, str | None]] = []

    class Answers:
        put = staticmethod(collected.append)

    threads = [
        threading.Thread(target=_report, args=(Answers, work, number, meeting, *arguments))
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return _unpacked(collected)


def _report(
    answers: Any, work: Callable[..., Any], number: int, meeting: Meeting, *rest: Any
) -> None:
    try:
        answers.put((number, work(number, meeting, *rest), None))
    except BaseException:
        meeting.abort()
        answers.put((number, None, traceback.format_exc()))


def _unpacked(collected: list[tuple[int, Any, str | None]]) -> list[Any]:
    failures = [failure for _, _, failure in collected if failure]
    assert not failures, "\n".join(failures)
    return [answer for _, answer, _ in sorted(collected, key=lambda each: each[0])]
