"""Notices that a user was there, without looking at more than the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import LazyObject, empty

from tinycrm_integrations.django import conf, opened
from tinycrm_integrations.django.opened import guard

_HOOK = "django.ping"
_guarded = guard(_HOOK)


class PingMiddleware:
    """Pings the person behind a request, at most once each PING_INTERVAL.

    It looks after the answer is made, and only at a user whom the project has loaded by then: no
    query, no session, no header and no body is touched, and the answer is passed on as it is.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Pass on, and look at the request afterwards."""
        if self._is_async:
            return self._answer(request)
        response = self.get_response(request)
        with _guarded:
            user = _due(request)
            if user is not None:
                _ping(user)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        with _guarded:
            user = _due(request)
            if user is not None:
                if conf.read().asks_database or opened.current().shares_file:
                    await sync_to_async(_ping)(user)
                else:
                    _ping(user)
        return response


def _due(request: HttpRequest) -> Any:
    """The user of the request if a ping of theirs is due, else None."""
    user = _loaded_user(request)
    if user is None or not user.is_authenticated or not opened.current().ping_is_due(user):
        return None
    return user if opened.is_recording() else None


def _ping(user: Any) -> None:
    reporter = opened.reporter()
    person = reporter.person(user, _HOOK)
    if person is not None:
        reporter.crm.ping(person.email)
        opened.current().settle()


def _loaded_user(request: HttpRequest) -> Any:
    """The user if the project has already asked who it is, else None."""
    values = request.__dict__
    user = values.get("user")
    if isinstance(user, LazyObject):
        user = user.__dict__.get("_wrapped", empty)
        if user is empty:
            user = values.get("_acached_user")
    return user
