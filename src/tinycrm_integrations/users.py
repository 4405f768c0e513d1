"""From a user of a host application to an event, and how often one is worth sending."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from tinycrm_core.errors import InvalidInput
from tinycrm_core.events import Identify, clean_name
from tinycrm_core.ids import uuid7
from tinycrm_core.limits import LIMITS, Limits

UserMapping: TypeAlias = Callable[[Any], Identify | None]
"""Takes the host's user object; None means that this user is not reported."""

SIGNUP_STATUS = "free"
WINDOW = 10.0
"""Seconds within which the same thing, told again by another signal, is one event."""
PING_INTERVAL = 300.0
"""Seconds between two pings for one person."""

_VERIFIED = ("is_verified", "email_verified", "confirmed_at")
_STAFF = ("is_staff", "is_superuser")
_FULL_NAMES = ("get_full_name", "full_name", "name", "display_name")


def identify_user(
    user: Any, *, skip_staff: bool = False, skip_unverified: bool = False
) -> Identify | None:
    """The default mapping: email and full name, by the attributes the frameworks agree on.

    None for nobody, for anonymous users and for those without an email. With `skip_staff` also
    for `is_staff` and `is_superuser`; with `skip_unverified` for everybody who is not known to
    have confirmed their address (`is_verified`, `email_verified` or `confirmed_at`).
    Raises InvalidEmail for an address that TinyCRM cannot use.
    """
    if user is None or not _said(user, "is_authenticated", True):
        return None
    if skip_staff and any(_said(user, name, False) for name in _STAFF):
        return None
    if skip_unverified and not any(_said(user, name, False) for name in _VERIFIED):
        return None
    email = email_of(user)
    return None if email is None else Identify(email, name=name_of(user))


def default_mapping(*, skip_staff: bool = False, skip_unverified: bool = False) -> UserMapping:
    """`identify_user` with these choices."""
    return partial(identify_user, skip_staff=skip_staff, skip_unverified=skip_unverified)


def email_of(user: Any) -> str | None:
    """The address of a user as it is stored, or None; Django's EMAIL_FIELD is followed."""
    field = getattr(user, "EMAIL_FIELD", None)
    email = getattr(user, field if isinstance(field, str) and field else "email", None)
    return email if isinstance(email, str) and email.strip() else None


def name_of(user: Any) -> str | None:
    """The full name of a user, or None; a name TinyCRM would refuse is left out."""
    for attribute in _FULL_NAMES:
        name = _said(user, attribute, None)
        if isinstance(name, str) and name.strip():
            return _clean(name)
    parts = (_said(user, attribute, None) for attribute in ("first_name", "last_name"))
    return _clean(" ".join(part for part in parts if isinstance(part, str) and part.strip()))


def login_event(person: Identify, *, limits: Limits = LIMITS) -> Identify:
    """What a login reports: never a status, so that no login changes what somebody is."""
    return replace(person, status=None, id=person.id or str(uuid7()), limits=limits)


def signup_event(
    person: Identify, status: str | None = SIGNUP_STATUS, *, limits: Limits = LIMITS
) -> Identify:
    """What a sign-up reports: the status of the mapping, else `status`."""
    given = person.status or status
    return replace(person, status=given, id=person.id or str(uuid7()), limits=limits)


class Recent:
    """Remembers for `seconds` what has happened, and at most `size` things.

    `is_new` costs about a dictionary look-up when something is not new. There is no lock, so
    nothing can be left locked by a fork; two threads at the same instant may both hear True.
    """

    __slots__ = ("_clock", "_seconds", "_seen", "_size")

    def __init__(
        self, seconds: float, *, size: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._seen: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, key: Hashable) -> bool:
        """Whether `key` has not been new for `seconds`; if so, it is remembered from now on."""
        now, seen = self._clock(), self._seen
        last = seen.get(key)
        if last is not None and now - last < self._seconds:
            return False
        seen.pop(key, None)  # so that the order is that of time
        seen[key] = now
        while len(seen) > self._size:
            try:
                seen.pop(next(iter(seen)), None)
            except (RuntimeError, StopIteration):  # another thread was at it in the meantime
                break
        return True

    def clear(self) -> None:
        """Remember nothing."""
        self._seen.clear()


def _said(user: Any, attribute: str, otherwise: Any) -> Any:
    """An attribute, or what it returns where it is a method (older Flask-Login, Django)."""
    value = getattr(user, attribute, otherwise)
    return value() if callable(value) else value


def _clean(name: str) -> str | None:
    try:
        return clean_name(name)
    except InvalidInput:
        return None
