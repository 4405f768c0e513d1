"""Who is let into the admin: what every mount makes of the host's answer."""

from __future__ import annotations

from typing import TypeVar

from tinycrm_core.errors import InvalidInput

T = TypeVar("T")


def checked(authorize: T) -> T:
    """The host's rule. Raises InvalidInput when there is none: the admin is closed by default."""
    given: object = authorize
    if not callable(given):
        raise InvalidInput(
            "authorize: give the function that says who may see your customers; "
            "without one the admin is not mounted",
            field="authorize",
        )
    return authorize


def actor_name(found: object) -> str | None:
    """The name of whoever the host lets in; empty when it names nobody, None to keep them out.

    A text is the name itself. Of a user object the first of `get_username()`, `email`, `username`
    and `id` counts. False, None and everything else that is false keep out.
    """
    if not found:
        return None
    if found is True:
        return ""
    if isinstance(found, str):
        return found
    named = getattr(found, "get_username", None)
    if callable(named):
        return str(named())
    for attribute in ("email", "username", "id"):
        value = getattr(found, attribute, None)
        if value:
            return str(value)
    return ""
