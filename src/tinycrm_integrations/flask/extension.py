"""The extension: one object for an application factory, one state for each application."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Unpack

import click
import flask

from tinycrm_core import client
from tinycrm_core.errors import InvalidInput, NotSupported
from tinycrm_core.events import ChangeEmail, Fields, Identify, Ping, When
from tinycrm_integrations import settings, startup
from tinycrm_integrations.flask.commits import ended
from tinycrm_integrations.flask.signals import Listening
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.users import UserMapping

UserQuery = Callable[[], Iterable[Any]]
NAME = "tinycrm"
MIGRATE = "flask tinycrm migrate"


class State:
    """What `app.extensions["tinycrm"]` holds: the client, the reporter and the query of users."""

    def __init__(
        self,
        app: flask.Flask,
        crm: client.TinyCRM,
        reporter: Reporter,
        owner: TinyCRM,
        *,
        in_tests: bool,
    ) -> None:
        self._app = app
        self._owner = owner
        self._in_tests = in_tests
        self._looked_in = 0
        self.crm = crm
        self.reporter = reporter

    @property
    def is_on(self) -> bool:
        """False while the application is tested, unless TINYCRM_IN_TESTS is set."""
        return self._in_tests or not self._app.testing

    @property
    def user_query(self) -> UserQuery | None:
        """What gives all users for `flask tinycrm backfill`."""
        return self._owner.users

    def after_request(self, response: flask.Response) -> flask.Response:
        """Tell what waited for the end, and that whoever the host knows by now was here."""
        with self.reporter.guard("request"):
            if self.is_on:
                if self._looked_in != os.getpid():
                    self._look()
                ended(response)
                # Where Flask-Login keeps the user it has loaded. Asking for current_user would
                # load one, and look at the session.
                user = flask.g.get("_login_user")
                if user is not None:
                    self.reporter.visited(user)
        return response

    def _look(self) -> None:
        """Say what is wrong where people are kept, once in each process that answers requests."""
        self._looked_in = os.getpid()
        startup.look_aside(self.crm, self.reporter.guard, migrate=MIGRATE)


class TinyCRM:
    """`crm = TinyCRM(app)`, or `crm = TinyCRM()` and later `crm.init_app(app)` for several.

    Sign-ups, logins, changed addresses and visits report themselves from then on. `crm` is a
    client to use instead of the one that TINYCRM_DATABASE or TINYCRM_API_KEY describes, and
    `user` the mapping from a user to an `Identify`, or None for one who is not reported.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        crm: client.TinyCRM | None = None,
        user: UserMapping | None = None,
    ) -> None:
        self._crm = crm
        self._user = user
        self.users: UserQuery | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Begin to report the users of an application; a second time changes nothing.

        Raises InvalidInput for a setting that is missing, misspelt or wrong, and for an
        application that another TinyCRM reports. Connects to nothing, unless TINYCRM_STRICT is
        set: then Misconfigured for a server or a database that takes no events.
        """
        present = app.extensions.get(NAME)
        if present is not None:
            if present._owner is self:
                return
            raise InvalidInput("init_app: another TinyCRM reports this application already")
        found = settings.read(app.config)
        if self._user is not None:
            found["TINYCRM_USER"] = self._user
        crm = self._crm or settings.open_client(found, via="flask")
        reporter = settings.reporter(crm, found)
        state = State(app, crm, reporter, self, in_tests=bool(found["TINYCRM_IN_TESTS"]))
        if reporter.strict and state.is_on and not _is_command():
            startup.refuse(crm, migrate=MIGRATE)
        app.extensions[NAME] = state
        app.after_request(state.after_request)
        waits = bool(found["TINYCRM_SKIP_UNVERIFIED"])
        Listening(reporter, lambda: state.is_on, waits=waits).connect(app)

    def all_users(self, query: UserQuery) -> UserQuery:
        """Decorates the function that gives all users, for `flask tinycrm backfill`."""
        self.users = query
        return query

    @property
    def state(self) -> State:
        """That of the current application. Raises NotSupported if it is not reported."""
        found = flask.current_app.extensions.get(NAME)
        if isinstance(found, State):
            return found
        raise NotSupported("this application has no TinyCRM: call init_app(app) first")

    @property
    def client(self) -> client.TinyCRM:
        """The client of the current application, with `customers` and the rest."""
        return self.state.crm

    def identify(self, email: str, **fields: Unpack[Fields]) -> None:
        """Report somebody of the current application; the queue takes it from there.

        Raises what `tinycrm_core.TinyCRM.identify` raises for wrong input, and nothing else.
        Under test only the input is checked.
        """
        state = self.state
        if state.is_on:
            state.reporter.crm.identify(email, **fields)
        else:
            Identify(email, **fields, limits=state.crm.limits)

    def ping(self, email: str, at: When = None) -> None:
        """Somebody of the current application was active. Raises as `identify`."""
        state = self.state
        if state.is_on:
            state.reporter.crm.ping(email, at)
        else:
            Ping(email, at=at)

    def change_email(self, old: str, new: str) -> None:
        """A user of the current application has another address. Raises as `identify`.

        Where it is somebody else's already, they stay two people.
        """
        state = self.state
        if state.is_on:
            state.reporter.crm.change_email(old, new, merge=False)
        else:
            ChangeEmail(old, new)

    def user_deleted(self, email: str) -> None:
        """Call this when the user with this address was deleted, after the commit.

        What happens to the person is up to TINYCRM_ON_DELETE. Never raises.
        """
        state = self.state
        if state.is_on:
            state.reporter.deleted(email)


def _is_command() -> bool:
    """Whether this process is another command than `flask run`, perhaps one to put things right."""
    context = click.get_current_context(silent=True)
    return context is not None and context.info_name != "run"
