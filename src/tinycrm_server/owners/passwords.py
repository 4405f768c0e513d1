"""Passwords: hashed with Argon2id, checked in the same time whether there is somebody or not."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tinycrm_core.errors import InvalidInput

SHORTEST, LONGEST = 10, 1024
"""Characters at least, and bytes at most."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_TURNS = threading.BoundedSemaphore(4)
"""Each hash takes 19 MiB and a core for a while: more at once would not be quicker."""


def hash_password(password: str) -> str:
    """The text to store. Raises InvalidInput for a password that is too short or too long."""
    if len(password) < SHORTEST:
        raise InvalidInput(f"password: at least {SHORTEST} characters", field="password")
    if not fits(password):
        raise InvalidInput(f"password: at most {LONGEST} bytes", field="password")
    with _TURNS:
        return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def check_password(stored: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed; without one, the same work and False."""
    if not fits(password):
        return False
    with _TURNS:
        try:
            _HASHER.verify(stored or _nobody(), password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other costs than today's."""
    return _HASHER.check_needs_rehash(stored)


def fits(password: str) -> bool:
    """Whether a password is short enough to be worth hashing."""
    return len(password) <= LONGEST and len(password.encode("utf-8", "surrogatepass")) <= LONGEST


@cache
def _nobody() -> str:
    return _HASHER.hash("the password of nobody")
