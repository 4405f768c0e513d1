"""When what a request did to a user is stored for good, so that it may be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flask

from tinycrm_integrations.guard import Guard

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_WAITING = "_tinycrm_waiting"
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def once_committed(user: Any, act: Callable[[], None], guard: Guard) -> None:
    """Call `act` after the host has committed a user that it is about to create or change.

    For a model of SQLAlchemy that is the commit of its session, if the user is part of it; a
    rollback, also to a savepoint, means never. Otherwise it is the end of a request that is
    answered without an error, and outside of requests now.
    """
    session = _session(user)
    if session is not None:
        _waiting_of(session, guard).append((user, act))
    elif flask.has_request_context():
        _at_end(_CLIENT_ERROR, user, act)
    else:
        act()


def at_the_end(user: Any, act: Callable[[], None]) -> None:
    """Call `act` at the end of the request, unless the server failed or the user is not stored."""
    if flask.has_request_context():
        _at_end(_SERVER_ERROR, user, act)
    elif _is_stored(user):
        act()


def ended(response: flask.Response) -> None:
    """The request has its answer: do what waited for that."""
    for limit, user, act in flask.g.pop(_WAITING, ()):
        if response.status_code < limit and _is_stored(user):
            act()


def _at_end(limit: int, user: Any, act: Callable[[], None]) -> None:
    waiting: list[Any] = flask.g.setdefault(_WAITING, [])
    waiting.append((limit, user, act))


def _session(user: Any) -> Session | None:
    if not hasattr(user, "_sa_instance_state"):
        return None
    from sqlalchemy.orm import object_session

    return object_session(user)


def _is_stored(user: Any) -> bool:
    """False for a model of SQLAlchemy whose row was never written, or no longer is."""
    if not hasattr(user, "_sa_instance_state"):
        return True
    from sqlalchemy import inspect

    state = inspect(user)
    return bool(state.has_identity) and not state.was_deleted


def _waiting_of(session: Session, guard: Guard) -> list[Any]:
    waiting: list[Any] | None = session.info.get(_WAITING)
    if waiting is not None:
        return waiting
    from sqlalchemy import event

    waiting = session.info[_WAITING] = []

    def committed(session: Session) -> None:
        # The release of a savepoint is announced too; what it wrote can still be rolled back.
        if session.in_nested_transaction():
            return
        done = waiting.copy()
        waiting.clear()
        for user, act in done:
            with guard("commit"):
                if _is_stored(user):
                    act()

    event.listen(session, "after_commit", committed)
    return waiting
