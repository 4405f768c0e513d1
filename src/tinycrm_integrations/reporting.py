"""What the hooks of a framework tell about the host's users, as events of a client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, get_args

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound, NotSupported
from tinycrm_core.events import Event, Identify, Ping, clean_status
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
"""Seconds that a change of address waits for what was queued before it."""

OnDelete = Literal["churn", "delete", "keep"]


class Reporter:
    """Tells a client what happens to the users of one application.

    `crm` is bound to a product; `self.crm` is the same client in the background. Nothing but the
    constructor raises or waits. `mapping` makes an event of a user; `signup_status` is what a
    sign-up reports (None: nothing); a person is pinged once in `ping_interval` seconds and process
    (0: never). `on_delete` says what the deletion of a user does to the person: `churn` sets the
    status on this product, `delete` erases the person from all products, `keep` does nothing.
    Raises InvalidInput, InvalidStatus or NotSupported.
    """

    def __init__(
        self,
        crm: TinyCRM,
        *,
        mapping: UserMapping = identify_user,
        signup_status: str | None = SIGNUP_STATUS,
        ping_interval: float = PING_INTERVAL,
        on_delete: OnDelete = "churn",
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
        self.crm = crm.in_background()
        self.guard = guard or Guard()
        self.mapping = mapping
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
                self._came(signup_event(person, self._signup_status))

    def logged_in(self, person: Identify | None, hook: str = "login") -> None:
        """Somebody came in; never with a status."""
        if person is None:
            return
        with self.guard(hook):
            if self._told.is_new(("login", person.email)):
                self._came(login_event(person))

    def updated(self, person: Identify | None, hook: str = "update") -> None:
        """Something about a user changed, by whomever: no status, and nobody's activity."""
        if person is None:
            return
        with self.guard(hook):
            self._send(replace(login_event(person), active=False))

    def email_changed(
        self, old: str, person: Identify | None, hook: str = "email change", *, may_merge: bool
    ) -> None:
        """A user has another address now, the one in `person`.

        If it belongs to somebody already, both become one person where `may_merge` says that the
        user has shown to own it; otherwise the address is reported like any other.
        """
        if person is None:
            return

        def work(crm: TinyCRM) -> None:
            if may_merge or crm.customers.get(person.email) is None:
                crm.customers.change_email(old, person.email)

        def rename() -> None:
            with self.guard(hook):
                self._apply(work)
            self.updated(person, hook)

        self._aside(hook, rename)

    def deleted(self, email: str | None, hook: str = "deletion") -> None:
        """The user with this address is gone."""
        if email is None or self._on_delete == "keep":
            return
        self._told.clear()
        with self.guard(hook):
            if self._on_delete == "churn":
                event = Identify(email, status="churned", active=False)
                self._send(event)
                return
        if self._on_delete == "delete":
            self._aside(hook, lambda: self._apply(lambda crm: crm.customers.delete(email)))

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
        if queue is not None:
            queue.send(self.crm.bound.slug, [event])

    def _apply(self, work: Callable[[TinyCRM], object]) -> None:
        """Something that is no event and has to come after those that are queued."""
        self.crm.flush(FLUSH)
        # Not known yet, or a server that takes events and nothing else.
        with suppress(NotFound, NotSupported):
            work(self.crm)

    def _aside(self, hook: str, work: Callable[[], None]) -> None:
        """In a thread, so that the host waits for nothing."""
        with self.guard(hook):
            threading.Thread(target=self.guard(hook)(work), name="tinycrm", daemon=True).start()


def _is_expired(user: Any) -> bool:
    """Whether reading a user would have SQLAlchemy load it again."""
    state = getattr(user, "_sa_instance_state", None)
    return state is not None and bool(state.expired_attributes)
