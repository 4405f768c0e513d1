"""Mappings of the product's own."""

from __future__ import annotations

from typing import Any, NoReturn

from tinycrm_core import Identify


def broken(user: Any) -> NoReturn:
    raise RuntimeError(f"{user.email} tcrm_proj_secret")


def with_notes(user: Any) -> Identify | None:
    """Asks the database, and would set a status at each login."""
    if user.email.startswith("hidden"):
        return None
    return Identify(
        user.email, name=user.username, status="trial", params={"notes": user.notes.count()}
    )
