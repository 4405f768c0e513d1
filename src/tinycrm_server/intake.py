"""Where the events of all calls meet: those that arrive while others are written go together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from tinycrm_core.apply import Answer
from tinycrm_core.errors import StoreError
from tinycrm_core.events import Event
from tinycrm_server.auth import Caller, Keys
from tinycrm_server.schemas import MAX_BATCH


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    writer: Caller
    events: Sequence[Event]
    answers: asyncio.Future[list[Answer]]


class Intake:
    """Applies the events of calls; an answer is given once what it tells is committed.

    One transaction for each call would cost a turn of the database and two changes of thread.
    Instead the calls with one key that wait for their turn share it, up to MAX_BATCH events.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._lines: dict[UUID, deque[_Call]] = {}
        self._workers: set[asyncio.Task[None]] = set()  # which the loop itself would not keep

    async def apply(self, writer: Caller, events: Sequence[Event]) -> list[Answer]:
        """The answers to events, in order. Raises StoreError."""
        if not events:
            return []
        call = _Call(writer, events, asyncio.get_running_loop().create_future())
        line = self._lines.get(writer.key.id)
        if line is not None:
            line.append(call)
        else:
            line = self._lines[writer.key.id] = deque([call])
            worker = asyncio.create_task(self._work(line, writer.key.id))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await call.answers

    async def _work(self, line: deque[_Call], key_id: UUID) -> None:
        calls: list[_Call] = []
        try:
            while line:
                calls = _next(line)
                try:
                    _tell(calls, await run_in_threadpool(self._write, calls))
                except Exception as error:  # there is no thread to be had
                    _tell(calls, [error] * len(calls))
        finally:
            del self._lines[key_id]
            for call in (*calls, *line):  # the server is told to end at once
                call.answers.cancel()

    def _write(self, calls: Sequence[_Call]) -> list[list[Answer] | Exception]:
        """The answers of each call, or why it has none."""
        writer = calls[-1].writer  # who was looked up last knows what the product is called now
        project = self._keys.client(writer).project(writer.project)
        try:
            answers = iter(project.send([event for call in calls for event in call.events]))
        except Exception as error:
            if len(calls) == 1 or isinstance(error, StoreError):
                return [error] * len(calls)
            # Whatever it was, it is the fault of one of them.
            return [told for call in calls for told in self._write([call])]
        return [[next(answers) for _ in call.events] for call in calls]


def _tell(calls: Sequence[_Call], told: Sequence[list[Answer] | Exception]) -> None:
    for call, answers in zip(calls, told, strict=True):
        if call.answers.done():  # whoever asked has gone
            continue
        if isinstance(answers, Exception):
            call.answers.set_exception(answers)
        else:
            call.answers.set_result(answers)


def _next(line: deque[_Call]) -> list[_Call]:
    calls = [line.popleft()]
    room = MAX_BATCH - len(calls[0].events)
    while line and len(line[0].events) <= room:
        room -= len(line[0].events)
        calls.append(line.popleft())
    return calls
