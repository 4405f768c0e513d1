"""The way into the pages: a link that works once, and the session it opens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

CODE_SECONDS = 15 * 60
"""How long a link that nobody used stays good."""

SESSION_SECONDS = 12 * 60 * 60
MAX_SESSIONS = 1000
COOKIE = "tinycrm_session"


class Entrance:
    """At most one open link at a time, and the sessions that links have opened.

    Everything lives in memory and ends with the process. Codes and session tokens are random,
    kept as hashes, and no API keys.
    """

    def __init__(
        self,
        announce: Callable[[str], None] = lambda code: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announce = announce
        self._clock = clock
        self._lock = threading.Lock()
        self._code: tuple[bytes, float] | None = None
        self._sessions: dict[bytes, float] = {}

    def new_code(self) -> str:
        """A code for `/enter`; an earlier one that was not used is void."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._code = _hash(code), self._clock() + CODE_SECONDS
        return code

    def knock(self) -> None:
        """Somebody stands outside: announce a new link unless one is still open."""
        with self._lock:
            is_open = self._code is not None and self._clock() < self._code[1]
        if not is_open:
            self._announce(self.new_code())

    def enter(self, code: str) -> str | None:
        """Trade a code for a session token; None when it is wrong, used or too old."""
        given = _hash(code)
        with self._lock:
            if self._code is None or not hmac.compare_digest(given, self._code[0]):
                return None
            ends, self._code = self._code[1], None
            now = self._clock()
            if now >= ends:
                return None
            self._sessions = {key: end for key, end in self._sessions.items() if end > now}
            if len(self._sessions) >= MAX_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            token = secrets.token_urlsafe(32)
            self._sessions[_hash(token)] = now + SESSION_SECONDS
        return token

    def admits(self, token: str | None) -> bool:
        """Whether this token belongs to a session that has not ended."""
        if not token:
            return False
        with self._lock:
            return self._sessions.get(_hash(token), 0.0) > self._clock()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
