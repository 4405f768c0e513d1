"""The users a host has had all along, reported after the fact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from tinycrm_core.bound import BoundProject
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.events import Identify
from tinycrm_integrations.users import UserMapping

BATCH = 500
_JOINED = ("date_joined", "joined_at", "created_at", "create_datetime")
_SEEN = ("last_login", "last_login_at", "current_login_at")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: users looked at, and what became of them; `last` is the last of them."""

    users: int = 0
    reported: int = 0
    skipped: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()
    last: Any = None


def backfill(
    project: BoundProject,
    users: Iterable[Any],
    mapping: UserMapping,
    *,
    dry_run: bool = False,
    batch: int = BATCH,
) -> Iterator[Progress]:
    """Report existing users, one transaction for each batch, and say how far it is after each.

    It touches no status and is nobody's activity: a new membership starts `free`, with the times
    of the user's first and last login if the host keeps them. What was learned since stays. So it
    can be repeated, and stopped and started again. A user the mapping or TinyCRM refuses is
    counted, with the reason once. With `dry_run` nothing is written.
    """
    done, rest = Progress(), iter(users)
    while some := list(islice(rest, batch)):
        events, reasons, skipped = [], dict.fromkeys(done.reasons), 0
        refused = 0
        for user in some:
            try:
                person = mapping(user)
            except TinyCRMError as error:
                refused += 1
                reasons[error.message] = None
                continue
            if person is None:
                skipped += 1
            else:
                events.append(_past(person, user))
        answers = project.preview(events) if dry_run else project.send(events, via="backfill")
        for answer in answers:
            if isinstance(answer, TinyCRMError):
                refused += 1
                reasons[answer.message] = None
        done = Progress(
            users=done.users + len(some),
            reported=done.reported + len(some) - skipped - refused,
            skipped=done.skipped + skipped,
            refused=done.refused + refused,
            reasons=tuple(reasons),
            last=some[-1],
        )
        yield done


def _past(person: Identify, user: Any) -> Identify:
    """The event as of the time when it was true, so that it wins over nothing newer."""
    joined, seen = _moment(user, _JOINED), _moment(user, _SEEN)
    known = max((each for each in (joined, seen) if each), default=None)
    return replace(person, status=None, active=False, at=known, joined=joined, seen=seen)


def _moment(user: Any, attributes: Iterable[str]) -> datetime | None:
    for attribute in attributes:
        value = getattr(user, attribute, None)
        if isinstance(value, datetime):
            return value
    return None
