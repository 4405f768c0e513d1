"""Events over HTTP, with nothing but the standard library.

The API key travels in the Authorization header of requests to one host and nowhere else:
redirects are not followed, and neither logs, errors nor reprs hold it.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import io
import json
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from tinycrm_core import errors, times
from tinycrm_core.apply import Answer
from tinycrm_core.errors import TinyCRMError, Undelivered
from tinycrm_core.events import Event
from tinycrm_core.model import Result
from tinycrm_core.remote import Server
from tinycrm_core.snapshot import event_text, stamped

TIMEOUT = 10.0
"""Seconds that one request may take from its first byte to the last of the answer."""

MOST_EVENTS = 500
MOST_BYTES = 512 * 1024
"""Of one batch; the server takes twice the bytes."""

MOST_OF_ANSWER = 4 * 1024 * 1024
_IDLE = 4
_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TinyCRMError)
}


class HTTPTransport:
    """Sends batches of events to `POST /v1/events` of a TinyCRM server.

    Connections are kept alive, belong to the process that opened them, and are shared by threads.
    A call either returns the answer to every event, in order, or raises Undelivered.
    """

    most_events = MOST_EVENTS
    most_bytes = MOST_BYTES

    def __init__(
        self, server: Server, *, timeout: float = TIMEOUT, tls: ssl.SSLContext | None = None
    ) -> None:
        self.server = server
        self.timeout = timeout
        self._tls = tls
        # Keyed by process: a child never touches the connections it inherits.
        self._idle: dict[int, deque[_Connection]] = {}

    def __repr__(self) -> str:
        return f"<HTTPTransport {self.server}>"

    def send(self, project: str, events: Sequence[Event], *, via: str = "call") -> list[Answer]:
        """The answer to each event, in order; those without a time are stamped with now.

        History says of them what the server knows of the key; `via` stays here.
        """
        now = times.now()
        texts = [stamped(event_text(each), now if each.at is None else None) for each in events]
        answers: list[Answer] = []
        for start in range(0, len(texts), MOST_EVENTS):
            answers += self.deliver(project, texts[start : start + MOST_EVENTS])
        return answers

    def destination(self, project: str) -> str:
        """The server; where the key alone tells the product, a digest of the key too."""
        if project:
            return str(self.server)
        digest = hashlib.sha256(self.server.key.text.encode()).hexdigest()[:16]
        return f"{self.server} key {digest}"

    def deliver(
        self, project: str, texts: Sequence[str], *, via: str = "", timeout: float | None = None
    ) -> list[Answer]:
        """Send events as JSON texts; `timeout` shortens the time that the request may take."""
        seconds = self.timeout if timeout is None else max(0.05, min(self.timeout, timeout))
        named = f'"project":{json.dumps(project)},' if project else ""
        sent = times.from_micros(times.now()).isoformat()
        body = f'{{{named}"sent_at":"{sent}","events":[{",".join(texts)}]}}'.encode("ascii")
        status, headers, answer = self._ask(body, seconds)
        if status == 200:
            return _answers(answer, len(texts))
        raise _refusal(status, headers, answer)

    def flush(self, timeout: float | None = None) -> bool:
        return True

    def close(self) -> None:
        """Close the connections that are kept; a later call opens new ones."""
        idle = self._idle.pop(os.getpid(), ())
        for connection in idle:
            connection.close()

    def _ask(self, body: bytes, seconds: float) -> tuple[int, Any, bytes]:
        deadline = time.monotonic() + seconds
        idle = self._idle.setdefault(os.getpid(), deque(maxlen=_IDLE))
        failure = ""
        for _ in range(_IDLE + 1):
            try:
                connection = idle.pop()
            except IndexError:
                connection = _Connection(self.server, self._tls)
            kept = connection.sock is not None
            try:
                found = connection.ask(self.server, body, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                failure = _reason(error)
                # The other side may close a connection that was idle; a new one tells.
                if kept and not isinstance(error, TimeoutError):
                    continue
            else:
                if connection.sock is not None:
                    idle.append(connection)
                return found
            break
        # Outside of `except`, so that no traceback holds the request with its headers.
        raise Undelivered(f"{self.server} did not answer: {failure}", later=True)


class _Connection:
    """One connection; a whole exchange ends at its deadline, however slowly bytes drip in."""

    def __init__(self, server: Server, tls: ssl.SSLContext | None) -> None:
        if server.secure:
            context = tls or ssl.create_default_context()
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                server.host, server.port, context=context
            )
        else:
            self._http = http.client.HTTPConnection(server.host, server.port)

    @property
    def sock(self) -> socket.socket | None:
        return self._http.sock

    def close(self) -> None:
        self._http.close()

    __del__ = close

    def ask(self, server: Server, body: bytes, deadline: float) -> tuple[int, Any, bytes]:
        connection = self._http
        connection.timeout = _left(deadline)
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(_left(deadline))
        connection.response_class = partial(_Response, deadline)  # type: ignore[assignment]
        connection.putrequest("POST", server.path + "/v1/events", skip_accept_encoding=True)
        connection.putheader("Authorization", f"Bearer {server.key.text}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("User-Agent", "tinycrm")
        connection.endheaders(body)
        with connection.getresponse() as response:
            answer = response.read(MOST_OF_ANSWER + 1)
        if len(answer) > MOST_OF_ANSWER:
            connection.close()
        return response.status, response.headers, answer


class _Response(http.client.HTTPResponse):
    def __init__(self, deadline: float, sock: socket.socket, *rest: Any, **options: Any) -> None:
        super().__init__(sock, *rest, **options)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Until(raw, sock, deadline))


class _Until(io.RawIOBase):
    """Reads a socket until a moment, instead of for so long at a time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _reason(error: Exception) -> str:
    """Why no answer came, in words that hold nothing of the request."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not verify: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _answers(body: bytes, count: int) -> list[Answer]:
    answers: list[Answer] | None = None
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
        answers = [_answer(each) for each in json.loads(body)["results"]]
    if answers is None or len(answers) != count:
        raise Undelivered("what answered is not a TinyCRM server", later=True, status=200)
    return answers


def _answer(result: Any) -> Answer:
    if "error" in result:
        return _error(result["error"])
    if "known" in result:
        return result["known"] is True
    return Result(
        result["action"], UUID(result["customer_id"]), result["joined"], tuple(result["changed"])
    )


def _error(shape: Any) -> TinyCRMError:
    """The error the other side named; one this version does not know is a TinyCRMError."""
    kind = _ERRORS.get(shape["code"], TinyCRMError)
    error = TinyCRMError.__new__(kind)
    TinyCRMError.__init__(error, str(shape["message"])[:500], field=shape.get("field"))
    return error


def _refusal(status: int, headers: Any, body: bytes) -> Undelivered:
    try:
        named = json.loads(body)["error"]
        said = f"{named['code']}: {named['message']}"[:300]
    except (ValueError, TypeError, KeyError, RecursionError):
        said = ""
    words = f"the server answered {status}" + (f" ({said})" if said else "")
    if 300 <= status < 400:
        words += "; redirects are not followed, so set the address it points to"
    return Undelivered(
        words,
        later=status in (408, 429) or status >= 500,
        split=status in (400, 413, 422),
        after=retry_after(headers.get("Retry-After")),
        status=status,
    )


def retry_after(value: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or an HTTP date; None if it is neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:12])
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
