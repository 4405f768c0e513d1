"""Listening to Flask-Login and Flask-Security, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import flask

from tinycrm_core.events import Identify
from tinycrm_integrations.flask.commits import at_the_end, once_committed
from tinycrm_integrations.reporting import Reporter


class Listening:
    """The receivers of one application's signals.

    Each copies what it needs from the user at once and tells it when it is stored. All accept
    whatever else a later version of the sender passes along. `waits` tells that nobody is
    reported before their address is confirmed.
    """

    def __init__(self, reporter: Reporter, is_on: Callable[[], bool], *, waits: bool) -> None:
        self._reporter = reporter
        self._is_on = is_on
        self._waits = waits

    def connect(self, app: flask.Flask) -> None:
        """Listen to the signals of this application, and to no other's."""
        for signal, receiver in (*self._of_login(), *self._of_security()):
            # A strong reference, because nobody else holds the bound method.
            signal.connect(receiver, sender=app, weak=False)

    def _of_login(self) -> list[tuple[Any, Callable[..., None]]]:
        try:
            import flask_login as login
        except ImportError:
            return []
        return [
            (login.user_logged_in, self.came_in),
            (login.user_loaded_from_cookie, self.came_in),
        ]

    def _of_security(self) -> list[tuple[Any, Callable[..., None]]]:
        try:
            import flask_security as security
        except ImportError:
            return []
        return [
            (security.user_registered, self.registered),
            (security.user_authenticated, self.came_in),
            (security.user_confirmed, self.confirmed),
            (security.change_email_confirmed, self.changed_email),
        ]

    def registered(self, _app: Any, *, user: Any = None, **_extra: Any) -> None:
        """Sent before the commit; the form that comes along holds the password and is left."""
        self._once_committed("user_registered", user, self._reporter.signed_up)

    def confirmed(self, _app: Any, *, user: Any = None, **_extra: Any) -> None:
        """The user has shown to own the address; for whoever waits for that, it is the sign-up.

        It then has the time of the real one, so that it undoes nothing that is known since.
        """
        reporter = self._reporter
        signed_up = None
        with reporter.guard("user_confirmed"):
            signed_up = getattr(user, "create_datetime", None) if self._waits else None
        if not isinstance(signed_up, datetime):
            self._once_committed("user_confirmed", user, reporter.updated)
            return

        def tell(person: Identify) -> None:
            reporter.signed_up(replace(person, at=signed_up, limits=reporter.crm.limits))

        self._once_committed("user_confirmed", user, tell)

    def came_in(self, _app: Any, *, user: Any = None, **_extra: Any) -> None:
        """A login with a password, a link or the cookie that remembers."""
        reporter = self._reporter
        with reporter.guard("login"):
            if self._is_on() and (person := reporter.person(user, "login")):
                at_the_end(user, partial(reporter.logged_in, person))

    def changed_email(
        self, _app: Any, *, user: Any = None, old_email: Any = None, **_extra: Any
    ) -> None:
        """Sent before the commit, once the link in the mail to the new address was opened."""
        if isinstance(old_email, str):
            told = partial(self._reporter.email_changed, old_email, may_merge=True)
            self._once_committed("change_email_confirmed", user, told)

    def _once_committed(self, hook: str, user: Any, tell: Callable[[Any], None]) -> None:
        reporter = self._reporter
        with reporter.guard(hook):
            if self._is_on() and (person := reporter.person(user, hook)):
                once_committed(user, partial(tell, person), reporter.guard)
