"""What the hooks of a framework tell about the host's users, as events of a client."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal, get_args

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotSupported, StoreError
from tinycrm_core.events import ChangeEmail, Event, Identify, Ping, clean_status
from tinycrm_core.remote import RemoteStore
from tinycrm_integrations.asides import start
from tinycrm_integrations.guard import Guard
from tinycrm_integrations.users import (
    PING_INTERVAL,
    SIGNUP_STATUS,
    WINDOW,
    Recent,
    UserMapping,
    identify_user,
    login_event,
    signup_event,
)

FLUSH = 10.0
"""Seconds that a deletion waits for what was queued before it."""
PAUSES = (1.0, 5.0, 25.0)
"""Seconds before it is tried again while the database cannot be used."""

OnDelete = Literal["churn", "delete", "forget", "keep"]


class Reporter:
    """Tells a client what happens to the users of one application.

    `crm` is bound to a product; `self.crm` is the same client in the background. Nothing but the
    constructor raises or waits. `mapping` makes an event of a user; `signup_status` is what a
    sign-up reports (None: nothing); a person is pinged once in `ping_interval` seconds and process
    (0: never). `on_delete` says what the deletion of a user does to the person: `churn` sets the
    status on this product, `delete` erases the person from all products, `forget` also refuses
    the address from then on, `keep` does nothing. With `strict` the application does not start
    while nothing can be stored where it reports to. Raises InvalidInput, InvalidStatus, or
    NotSupported for a client without a product and for deletions on a server.
    """

    def __init__(
        self,
        crm: TinyCRM,
        *,
        mapping: UserMapping = identify_user,
        signup_status: str | None = SIGNUP_STATUS,
        ping_interval: float = PING_INTERVAL,
        on_delete: OnDelete = "churn",
        strict: bool = False,
        guard: Guard | None = None,
    ) -> None:
        if not callable(mapping):
            raise InvalidInput("mapping: expected a function of a user", field="mapping")
        if on_delete not in get_args(OnDelete):
            raise InvalidInput(
                f"on_delete: expected {', '.join(get_args(OnDelete))}", field="on_delete"
            )
        if isinstance(ping_interval, bool) or not isinstance(ping_interval, int | float):
            raise InvalidInput("ping_interval: expected seconds", field="ping_interval")
        crm.bound  # noqa: B018 - raises NotSupported without a product
        if on_delete in ("delete", "forget") and isinstance(crm.store, RemoteStore):
            raise NotSupported(
                f"on_delete: a server erases nobody for the key of one product, so {on_delete!r} "
                "needs a database; 'churn' and 'keep' work everywhere"
            )
        self.crm = crm.in_background()
        self.guard = guard or Guard()
        self.mapping = mapping
        self.strict = strict
        self._signup_status = None if signup_status is None else clean_status(signup_status)
        self._on_delete = on_delete
        self._told = Recent(WINDOW)
        self._pinged = Recent(ping_interval) if ping_interval > 0 else None

    def person(self, user: Any, hook: str) -> Identify | None:
        """What is known about a user at this moment, or None for one who is not reported."""
        with self.guard(hook):
            return self.mapping(user)
        return None

    def signed_up(self, person: Identify | None, hook: str = "sign-up") -> None:
        """Somebody has an account now. A login in the same moment is not told again."""
        if person is None:
            return
        with self.guard(hook):
            if self._told.is_new(("sign-up", person.email)):
                self._told.is_new(("login", person.email))
                self._came(signup_event(person, self._signup_status, limits=self.crm.limits))

    def logged_in(self, person: Identify | None, hook: str = "login") -> None:
        """Somebody came in; never with a status."""
        if person is None:
            return
        with self.guard(hook):
            if self._told.is_new(("login", person.email)):
                self._came(login_event(person, limits=self.crm.limits))

    def updated(self, person: Identify | None, hook: str = "update") -> None:
        """Something about a user changed, by whomever: no status, and nobody's activity."""
        if person is None:
            return
        with self.guard(hook):
            event = login_event(person, limits=self.crm.limits)
            self._send(replace(event, active=False, limits=self.crm.limits))

    def email_changed(
        self, old: str, person: Identify | None, hook: str = "email change", *, may_merge: bool
    ) -> None:
        """A user has another address now, the one in `person`.

        If it belongs to somebody already, both become one person where `may_merge` says that the
        user has shown to own it; otherwise, and always on a server, the address is reported like
        any other.
        """
        if person is None:
            return
        with self.guard(hook):
            self._send(ChangeEmail(old, person.email, merge=may_merge))
        self.updated(person, hook)

    def deleted(self, email: str | None, hook: str = "deletion") -> None:
        """The user with this address is gone."""
        if email is None or self._on_delete == "keep":
            return
        self._told.clear()
        if self._on_delete == "churn":
            with self.guard(hook):
                self._send(Identify(email, status="churned", active=False))
        else:
            self._aside(hook, email)

    def visited(self, user: Any, hook: str = "ping") -> None:
        """A user whom the host has loaded already is here; loads nothing itself."""
        recent = self._pinged
        if recent is None:
            return
        with self.guard(hook):
            if _is_expired(user):
                return
            email = getattr(user, "email", None)
            if isinstance(email, str) and not recent.is_new(email.lower()):
                return
            person = self.mapping(user)
            if person is not None and (isinstance(email, str) or recent.is_new(person.email)):
                self._send(Ping(person.email))

    def _came(self, event: Identify) -> None:
        """Send what is a visit too, after which no ping is due."""
        if self._pinged is not None:
            self._pinged.is_new(event.email)
        self._send(event)

    def _send(self, event: Event) -> None:
        queue = self.crm.queue
        if isinstance(event, Identify) and event.id is not None:
            event = replace(event, id=None, limits=self.crm.limits)  # the queue gives its own
        if queue is not None:
            queue.send(self.crm.bound.slug, [event])

    def _aside(self, hook: str, email: str) -> None:
        """A deletion is no event: it is done in a thread, after the events that are queued."""

        def run() -> None:
            with self.guard(hook):
                self.crm.flush(FLUSH)
                self._erase(email)

        with self.guard(hook):
            start(run)

    def _erase(self, email: str) -> None:
        """Delete, with pauses while the database cannot be used; nobody waits for this thread."""
        for pause in (*PAUSES, None):
            try:
                self.crm.customers.delete(email, forget=self._on_delete == "forget")
            except StoreError:
                if pause is None:
                    raise
                time.sleep(pause)  # nothing tells when a database is back but another try
            else:
                return


def _is_expired(user: Any) -> bool:
    """Whether reading a user would have SQLAlchemy load it again."""
    state = getattr(user, "_sa_instance_state", None)
    return state is not None and bool(state.expired_attributes)
