"""One product: what it reports of people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Unpack
from uuid import UUID

from tinycrm_core.apply import Answer
from tinycrm_core.background import QUEUED, Background
from tinycrm_core.errors import NotSupported
from tinycrm_core.events import ChangeEmail, Event, Fields, Identify, Ping, When
from tinycrm_core.limits import Limits
from tinycrm_core.model import Json, Result
from tinycrm_core.snapshot import identify_text, ping_text
from tinycrm_core.transport import StoreTransport, Transport


class Sender(Protocol):
    """What a product reports through: a client, which may get a queue later."""

    queue: Background | None
    transport: Transport
    limits: Limits
    via: str


class BoundProject:
    """One product: what it calls when people sign up, pay, leave or come by.

    The `slug` is empty where a server tells the product by the API key.
    """

    def __init__(self, crm: Sender, slug: str) -> None:
        self._crm = crm
        self.slug = slug

    def __repr__(self) -> str:
        return f"<BoundProject {self.slug}>"

    def identify(
        self,
        email: str,
        *,
        name: str | None = None,
        status: str | None = None,
        params: Mapping[str, Json] | None = None,
        set_once: Mapping[str, Json] | None = None,
        unset: Iterable[str] | None = None,
        at: When = None,
        active: bool = True,
    ) -> Result:
        """Store what is known about a person; what is left out is left alone.

        `at` is the event time (naive means UTC): older events never undo newer ones. Without it
        the call counts as newer than everything known. `active=False` for imports and webhooks,
        which are nobody's activity. Raises InvalidEmail, InvalidStatus, InvalidParams,
        InvalidTime, InvalidInput or Forgotten, and then nothing is written.

        In the background the Result is `queued`, the time is that of the call, and only bad
        input is raised.
        """
        queue, limits = self._crm.queue, self._crm.limits
        if queue is not None:
            text = identify_text(email, name, status, params, set_once, unset, at, active, limits)
            queue.put(self.slug, text, now=at is None)
            return QUEUED
        event = Identify(
            email,
            name=name,
            status=status,
            params=params,
            set_once=set_once,
            unset=unset,
            at=at,
            active=active,
            limits=limits,
        )
        (answer,) = self.send([event])
        if isinstance(answer, Result):
            return answer
        raise _error(answer)

    def ping(self, email: str, at: When = None) -> bool:
        """Somebody was active. False, and nothing else, for people this product does not know.

        True in the background, where nobody knows yet.
        """
        queue = self._crm.queue
        if queue is not None:
            queue.put(self.slug, ping_text(email, at), now=at is None)
            return True
        return self._ask(Ping(email, at=at))

    def change_email(self, old: str, new: str, *, merge: bool = True, at: When = None) -> bool:
        """Somebody has another address now; the old one stays an alias.

        If `new` is somebody else's, both become one person; without `merge`, which says that it is
        known to belong to this one, only if they were first heard of after `at`. On a server a
        product's key never merges. False, and nothing else, where there is nobody to rename.
        Raises InvalidEmail, InvalidTime, InvalidInput or Forgotten. True in the background.
        """
        event = ChangeEmail(old, new, merge=merge, at=at)
        if self._crm.queue is not None:
            self._crm.queue.send(self.slug, [event])
            return True
        return self._ask(event)

    def _ask(self, event: Ping | ChangeEmail) -> bool:
        (answer,) = self.send([event])
        if isinstance(answer, Exception):
            raise answer
        return answer is True

    async def aidentify(self, email: str, **fields: Unpack[Fields]) -> Result:
        """`identify` for coroutines; what could wait is done in a thread."""
        if self._crm.queue is not None:
            return self.identify(email, **fields)
        return await asyncio.to_thread(self.identify, email, **fields)

    async def aping(self, email: str, at: When = None) -> bool:
        """`ping` for coroutines."""
        if self._crm.queue is not None:
            return self.ping(email, at)
        return await asyncio.to_thread(self.ping, email, at)

    def send(
        self,
        events: Sequence[Event],
        *,
        via: str | None = None,
        batch: UUID | None = None,
        create: bool = True,
    ) -> list[Answer]:
        """Apply a list of events in one transaction, at once, in the background too.

        The answers come in order: a Result for an Identify, else a bool, or the error of that
        event alone.
        With `create=False` nobody new is stored: NotFound is the answer for somebody who is not
        here, and raised where the product is not. On a server a transaction has 500 events, and
        `batch`, `via` and `create` are not known there. Raises Undelivered if the server takes
        nothing.
        """
        transport = self._crm.transport
        if isinstance(transport, StoreTransport):
            via = via or self._crm.via
            return transport.send(self.slug, events, via=via, batch=batch, create=create)
        if not create:
            raise NotSupported("a server stores who is new to it")
        return transport.send(self.slug, events)

    def preview(self, events: Sequence[Event]) -> list[Answer]:
        """What `send` would answer; nothing is written. Raises NotSupported on a server."""
        transport = self._crm.transport
        if isinstance(transport, StoreTransport):
            return transport.preview(self.slug, events)
        raise NotSupported("a client of a server cannot preview")


def _error(answer: object) -> Exception:
    return answer if isinstance(answer, Exception) else AssertionError("an event got no answer")
