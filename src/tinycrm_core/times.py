"""Points in time: whole microseconds since 1970 inside, aware UTC datetimes outside."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

from tinycrm_core.errors import InvalidTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""


def now() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


def to_micros(value: object, *, field: str = "at") -> int:
    """Microseconds for a datetime, a date (its midnight) or ISO 8601 text; naive means UTC.

    Raises InvalidTime for anything else and for years outside 1970 to 9999.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidTime(f"{field}: not an ISO 8601 date or time", field=field) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise InvalidTime(
            f"{field}: expected a datetime, a date or ISO 8601 text, not {type(value).__name__}",
            field=field,
        )
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    micros = (value - _EPOCH) // _MICROSECOND
    if not 0 <= micros <= LATEST:
        raise InvalidTime(f"{field}: the year must be 1970 to 9999", field=field)
    return micros


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of a stored time."""
    return _EPOCH + timedelta(microseconds=micros)
