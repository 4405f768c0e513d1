"""The date words of the filter language, read into ranges of instants.

Every instant is whole microseconds since 1970 (UTC, negative before) and every range is
half-open: `(first, after)` contains `first` and no longer contains `after`.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

Instants: TypeAlias = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
    r"(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?",
    re.ASCII,
)
_RELATIVE = re.compile(r"([+-]\d{1,6})([hdwm])", re.ASCII)
_UNITS = {"h": _HOUR, "d": _DAY, "w": 7 * _DAY}
EXAMPLES = ("2026-01-31", "2026-01-31T09:00", "today", "yesterday", "-30d", "+7d", "-12h")
"""One of each kind, for error messages."""


def param_instant(text: str) -> int | None:
    """The instant a param's text stands for, or None if it is not an ISO 8601 date or time.

    Accepted are `YYYY-MM-DD` (its midnight, UTC) and `YYYY-MM-DDTHH:MM[:SS[.fraction]]` with
    `Z`, an offset, or neither (UTC). Digits beyond the microsecond are cut off.
    """
    shape = _ISO.fullmatch(text)
    if shape is None:
        return None
    try:
        if shape[1] is None:
            return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * _DAY
        since = datetime.fromisoformat(text if shape[2] else text + "Z") - _EPOCH
    except ValueError:  # the shape of a date, but there is no such day
        return None
    return since.days * _DAY + since.seconds * 1_000_000 + since.microseconds


def instant_range(text: str, now: int, *, whole: bool = False) -> Instants | None:
    """The instants a date word covers at the time `now`, or None if it is no date word.

    A date, `today` and `yesterday` cover their whole UTC day; a date with a time covers that one
    microsecond. `-30d` and its like (`h` hours, `d` days, `w` weeks, `m` calendar months, cut to
    the last day of a shorter month) cover one microsecond, or, when `whole`, the UTC day they
    fall in; the UTC hour for `h`. Equality and `..` ask for `whole`, comparisons do not.
    """
    if text == "today":
        return _around(now, _DAY)
    if text == "yesterday":
        return _around(now - _DAY, _DAY)
    if relative := _RELATIVE.fullmatch(text):
        count, unit = int(relative[1]), relative[2]
        moment = _months(now, count) if unit == "m" else now + count * _UNITS[unit]
        moment = min(max(moment, _EARLIEST), _LATEST)
        if whole:
            return _around(moment, _HOUR if unit == "h" else _DAY)
        return moment, moment + 1
    start = param_instant(text)
    if start is None:
        return None
    return start, start + (_DAY if "T" not in text else 1)


def is_date_word(text: str) -> bool:
    """Whether `instant_range` understands the text; this never depends on the time."""
    return instant_range(text, 0) is not None


def _around(moment: int, length: int) -> Instants:
    start = moment - moment % length
    return start, start + length


def _months(now: int, count: int) -> int:
    moment = _EPOCH + timedelta(microseconds=now)
    month = moment.year * 12 + moment.month - 1 + count
    if month < 12:
        return _EARLIEST
    if month >= 10_000 * 12:
        return _LATEST
    year, month = month // 12, month % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return (moment.replace(year=year, month=month, day=day) - _EPOCH) // _MICROSECOND
