"""One tenant of a store: what every part of the client works through."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tinycrm_core.errors import InvalidInput, Retry
from tinycrm_core.limits import LIMITS, Limits
from tinycrm_core.store import Store, Transaction

T = TypeVar("T")

ATTEMPTS = 4
"""How often a unit of work is tried when others are in its way."""

# Neither the sequence a host has seeded for itself, nor one that forked workers would share.
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """`via` is what history says of its calls; `sender` is who signals say they come from.

    Without a sender no signals are sent.
    """

    store: Store
    slug: str
    limits: Limits = LIMITS
    via: str = "call"
    sender: object = None

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Do the work in a transaction that changes nothing."""
        return self._try(work, write=False)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Do the work in one transaction, all of it or nothing.

        Deadlocks and lost races are tried again with jitter, so `work` may run several times.
        """
        return self._try(work, write=True)

    def _try(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        attempt = 1
        while True:
            try:
                with self.store.begin(self.slug, write=write) as tx:
                    return work(tx)
            except Retry:
                if attempt == ATTEMPTS:
                    raise
                # The database says when it is too late, not when to come back. At random, so that
                # two in each other's way part: up to 40, 80, then 160 ms.
                time.sleep(_chance.uniform(0, 0.02 * 2**attempt))
                attempt += 1


def clean_account(slug: object) -> str:
    """The name of a tenant. Raises InvalidInput."""
    if isinstance(slug, str) and 0 < len(slug) <= 64 and slug.isascii() and slug.isprintable():
        return slug
    raise InvalidInput("account: expected 1 to 64 printable ASCII characters", field="account")
