"""Who may do what: API keys of requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidKey, TinyCRMError
from tinycrm_core.keys import hash_key, redact
from tinycrm_core.state import KeyState
from tinycrm_core.times import now as wall_clock
from tinycrm_server.bodies import Refused
from tinycrm_server.rates import Rates

log = logging.getLogger("tinycrm.server")

REMEMBERED = 1.0
"""Seconds for which a key that was found needs no second look, so a revoked one dies in time."""

MAX_REMEMBERED = 1024
USED_EVERY = 60_000_000
"""Microseconds between two records of a key's last use."""

_NAMES = {"api_key", "apikey", "key", "token", "access_token", "authorization"}


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a live key: an account and, for project keys, the product it writes to."""

    account: str
    key: KeyState
    project: str


class Keys:
    """Looks keys up, keeps what it found for a moment, and records their last use."""

    def __init__(
        self,
        crm: TinyCRM,
        rates: Rates | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crm = crm
        self._rates = rates
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[bytes, tuple[float, Caller]] = {}
        self._used: dict[UUID, int] = {}

    def caller(self, request: Request) -> Caller:
        """The caller of a request.

        Raises Refused 401, with the same words for a key that is unknown, altered or revoked.
        """
        return self._admit(request, _digest(request))

    def _admit(self, request: Request, digest: bytes) -> Caller:
        caller = self._look_up(digest)
        if caller is None:
            request.state.reason = "The key is well formed, but nobody has it or it was revoked"
            raise _unknown()
        request.state.account = caller.account
        self.charge(caller)
        self._record(caller)
        return caller

    def charge(self, caller: Caller, calls: int = 1) -> None:
        """Count calls of a key, which a batch holds several of; Refused 429 for too many."""
        if self._rates is not None and calls > 0:
            self._rates.take("key", str(caller.key.id), cost=calls)

    async def writer(self, request: Request) -> Caller:
        """The caller, whose key must write to a product; else Refused 403.

        A key that was looked up a moment ago needs no thread.
        """
        digest = _digest(request)
        known = self._remembered(digest)
        if known is not None and not self._is_due(known, wall_clock()):
            caller = self._admit(request, digest)
        else:
            caller = await run_in_threadpool(self._admit, request, digest)
        if not caller.project:
            raise Refused(403, "forbidden", "an account key does not write; use a project key")
        return caller

    def reader(self, request: Request) -> Caller:
        """The caller, whose key must read its account; else Refused 403."""
        caller = self.caller(request)
        if caller.key.kind != "acct":
            raise Refused(403, "forbidden", "a project key does not read; use an account key")
        return caller

    def admin(self, request: Request) -> Caller:
        """The caller, whose key must administer its account; else Refused 403."""
        caller = self.reader(request)
        if caller.key.scope != "admin":
            raise Refused(403, "forbidden", "this account key only reads; use one with scope admin")
        return caller

    def client(self, caller: Caller) -> TinyCRM:
        """The caller's account; history lays what it writes to the key."""
        via = f"key {caller.key.label or caller.key.hint}"
        limits = self._crm.limits
        return TinyCRM.over(self._crm.store, account=caller.account, limits=limits, via=via)

    def _remembered(self, digest: bytes) -> Caller | None:
        with self._lock:
            kept = self._found.get(digest)
        return kept[1] if kept and self._clock() - kept[0] < REMEMBERED else None

    def _look_up(self, digest: bytes) -> Caller | None:
        found = self._remembered(digest)
        if found is not None:
            return found
        moment = self._clock()
        caller = self._load(digest)
        with self._lock:
            if caller is None:
                self._found.pop(digest, None)
            else:
                if len(self._found) >= MAX_REMEMBERED:
                    self._found.clear()
                self._found[digest] = moment, caller
        return caller

    def _load(self, digest: bytes) -> Caller | None:
        found = self._crm.store.find_key(digest)
        if found is None:
            return None
        account, key = found
        if key.project_id is None:
            return Caller(account, key, "")
        with self._crm.store.begin(account, write=False) as transaction:
            slugs = {each.id: each.slug for each in transaction.projects()}
        slug = slugs.get(key.project_id)
        return Caller(account, key, slug) if slug is not None else None

    def _is_due(self, caller: Caller, moment: int) -> bool:
        last = max(self._used.get(caller.key.id, 0), caller.key.last_used_at or 0)
        return moment - last >= USED_EVERY

    def _record(self, caller: Caller) -> None:
        """Keep the last use, at most once a minute; a request never fails because of it."""
        moment = wall_clock()
        ident = caller.key.id
        with self._lock:
            if not self._is_due(caller, moment):
                return
            if len(self._used) >= MAX_REMEMBERED:
                self._used.clear()
            self._used[ident] = moment
        try:
            with self._crm.store.begin(caller.account) as transaction:
                transaction.touch_key(ident, moment)
        except TinyCRMError as error:
            log.warning("the last use of a key was not recorded: %s", redact(str(error)))


def _digest(request: Request) -> bytes:
    """The hash of the key that a request carries; Refused 401 without a key that could be one."""
    refuse_keys_in_url(request)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Refused(401, "unauthorized", "send the header Authorization: Bearer <API key>")
    try:
        return hash_key(text.strip())
    except InvalidKey as error:
        request.state.reason = error.message
        raise _unknown() from None


def _unknown() -> Refused:
    return Refused(401, "unauthorized", "this API key is not known here")


def refuse_keys_in_url(request: Request) -> None:
    """Refused 401 for an address that carries a key, whose place is a header."""
    for name, value in request.query_params.multi_items():
        if name.lower() in _NAMES or redact(name + value) != name + value:
            raise Refused(
                401, "key_in_url", "an API key must not stand in an address; send it as a header"
            )
