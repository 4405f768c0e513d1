"""HTTP/1.1 that waits for slow senders, but not for ever."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS = 20
"""How long the head of a request may take, from the connection or from its first byte."""


class TimelyProtocol(H11Protocol):
    """Closes a connection whose next request has begun, or never does, without a whole head.

    What follows the head has a limit of its own, and so has the pause between two requests.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # asyncio does so for the sockets it opens, not for those it is given. Without, the body
        # of an answer waits until the head is acknowledged: 40 ms on a connection kept open.
        at: socket.socket = transport.get_extra_info("socket")
        at.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and wait on unless they complete a head."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first head
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
