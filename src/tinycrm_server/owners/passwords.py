"""Passwords: hashed with Argon2id, checked in the same time whether there is somebody or not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tinycrm_core.errors import InvalidInput

SHORTEST, LONGEST = 10, 1024
"""Characters at least, and bytes at most."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_TURNS = ThreadPoolExecutor(2, "tinycrm-passwords")
"""Each hash takes 19 MiB, which its thread keeps from then on, and a core for a while."""


def hash_password(password: str) -> str:
    """The text to store. Raises InvalidInput for a password that is too short or too long."""
    if len(password) < SHORTEST:
        raise InvalidInput(f"password: at least {SHORTEST} characters", field="password")
    if not fits(password):
        raise InvalidInput(f"password: at most {LONGEST} bytes", field="password")
    return _TURNS.submit(_HASHER.hash, password.encode("utf-8", "surrogatepass")).result()


def check_password(stored: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed; without one, the same work and False."""
    if not fits(password):
        return False
    given = password.encode("utf-8", "surrogatepass")
    try:
        _TURNS.submit(lambda: _HASHER.verify(stored or _nobody(), given)).result()
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
