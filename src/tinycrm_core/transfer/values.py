"""From the text of a cell to a value, by type; and a guess at the type of a column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from tinycrm_core.errors import InvalidInput, InvalidParams, InvalidTime
from tinycrm_core.model import Json
from tinycrm_core.times import LATEST, from_micros, to_micros

KINDS = ("text", "number", "boolean", "date", "json")
Convert: TypeAlias = Callable[[str], Json]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**53
_MAX_DIGITS = 60
_plain_number = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_any_number = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_german = re.compile(
    r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII
).fullmatch
_slashed = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(.*)", re.ASCII).fullmatch
_iso_start = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).match
_BOOLEANS = {"true": True, "false": False, "t": True, "f": False}
_YES_NO = {"yes": True, "no": False, "y": True, "n": False, "1": True, "0": False}
_TEXT_HEADERS = {"zip", "postal", "postcode", "plz", "phone", "tel", "telephone", "mobile", "iban"}


def number(text: str) -> int | float:
    """An int or a float. `1.234,50` and `1,234.50` are read, `1,234` alone could be either."""
    if len(text) > _MAX_DIGITS:
        raise InvalidParams(f"{text[:40]!a} is not a number that fits")
    if _plain_number(text):
        return int(text) if text.lstrip("-").isdigit() else _finite(text, text)
    given = text
    text = text.strip().lstrip("$€£").strip()
    comma, dot = text.rfind(","), text.rfind(".")
    if comma >= 0:
        if dot > comma:
            text = text.replace(",", "")
        elif dot >= 0 or 0 < len(text) - comma - 1 != 3:
            text = text.replace(".", "").replace(",", ".")
    if not _any_number(text):
        raise InvalidParams(f"{given[:40]!a} is not a number")
    if text.lstrip("+-").isdigit():
        return int(text)
    return _finite(text, given)


def _finite(text: str, given: str) -> float:
    value = float(text)
    if math.isfinite(value):
        return value
    raise InvalidParams(f"{given[:40]!a} is not a number that fits")


def boolean(text: str) -> bool:
    """`true t yes y 1` or `false f no n 0`, in any case."""
    word = text.strip().lower()
    found = _BOOLEANS.get(word, _YES_NO.get(word))
    if found is None:
        raise InvalidParams(f"{text[:40]!a} is not true or false")
    return found


def json_value(text: str) -> Json:
    """A JSON value; NaN, infinities and broken text are refused."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidParams(f"{text[:40]!a} is not JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def clean_date_format(date_format: str | None) -> str | None:
    """A format that `strptime` knows, or InvalidInput."""
    if date_format is not None:
        try:
            datetime.strptime(datetime(2001, 2, 3, tzinfo=UTC).strftime(date_format), date_format)  # noqa: DTZ007
        except (ValueError, TypeError):
            raise InvalidInput(
                f"date_format: {date_format!a} is no format of strptime, such as %d/%m/%Y",
                field="date_format",
            ) from None
    return date_format


def read_time(text: str, field: str, date_format: str | None = None) -> datetime | date | None:
    """A datetime, a date where there is no time of day, or None for a date of zeros (MySQL).

    ISO 8601, `dd.mm.yyyy`, `yyyy/mm/dd` and seconds or milliseconds since 1970; with
    `date_format`, which is that of `strptime`, only that. Raises InvalidTime.
    """
    text = text.strip()
    try:
        if date_format is not None:
            given = datetime.strptime(text, date_format)  # noqa: DTZ007 - naive means UTC
            return given if "%H" in date_format or "%I" in date_format else given.date()
        if text.isdigit() and len(text) in (10, 13):
            return from_micros(int(text) * (1_000_000 if len(text) == 10 else 1000))
        if len(text) == 10 and _iso_start(text) and text != "0000-00-00":
            return date.fromisoformat(text)
        if not text.isdigit():
            return _unusual(text) if "." in text[:3] else datetime.fromisoformat(text)
    except ValueError:
        pass
    if date_format is None:
        if text.startswith("0000-00-00"):
            return None
        try:
            return _unusual(text)
        except ValueError:
            pass
    wanted = date_format or "ISO 8601, dd.mm.yyyy or yyyy/mm/dd; other forms need date_format"
    raise InvalidTime(f"{field}: {text[:40]!a} is not a date ({wanted})", field=field)


def _unusual(text: str) -> datetime | date:
    if found := _german(text):
        day, month, year, hour, minute, second = found.groups()
        if hour is None:
            return date(int(year), int(month), int(day))
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
        )
    if found := _slashed(text):
        year, month, day, rest = found.groups()
        text = f"{year}-{int(month):02}-{int(day):02}{rest}"
    if text.upper().endswith((" UTC", " GMT")):
        text = text[:-4].rstrip() + "+00:00"
    return datetime.fromisoformat(text)


def instant(text: str, field: str, date_format: str | None = None) -> int | None:
    """Microseconds since 1970; a date is its midnight, naive means UTC. Raises InvalidTime."""
    if date_format is None and len(text) > 10:
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            if value.tzinfo is None:
                value = value.replace(tzinfo=UTC)
            micros = (value - _EPOCH) // _MICROSECOND
            if 0 <= micros <= LATEST and not text.isdigit():
                return micros
    found = read_time(text, field, date_format)
    return None if found is None else to_micros(found, field=field)


def date_text(text: str, date_format: str | None = None) -> str | None:
    """The ISO 8601 text of a date or time, as params keep them."""
    found = read_time(text, "date", date_format)
    if isinstance(found, datetime) and found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return None if found is None else found.isoformat()


def converter(kind: str, key: str, date_format: str | None, guessed: bool) -> Convert | None:
    """What makes a value of a cell, or None for text. A guess that fails leaves the text."""
    if kind == "text":
        return None

    def as_date(text: str) -> Json:
        return date_text(text, date_format)

    convert: Convert = {"number": number, "boolean": boolean, "json": json_value}.get(kind, as_date)
    fits = _FITS.get(kind)

    def lenient(text: str) -> Json:
        try:
            return convert(text) if fits is None or fits(text) else text
        except InvalidInput:
            return text

    def strict(text: str) -> Json:
        try:
            return convert(text)
        except InvalidInput as error:
            raise InvalidParams(
                f"params.{key}: {error.message.removeprefix('date: ')}", field=f"params.{key}"
            ) from None

    return lenient if guessed else strict


def guess(header_words: Sequence[str], cells: Sequence[str]) -> str:
    """The type that every one of the sample's cells has, or text.

    Numbers with leading zeros, a plus or more than 15 digits are text: they name something.
    """
    if not cells or not _TEXT_HEADERS.isdisjoint(header_words):
        return "text"
    if all(map(_is_number, cells)):
        return "number"
    if _are_booleans({cell.lower() for cell in cells}, header_words):
        return "boolean"
    if all(map(_is_date, cells)):
        return "date"
    if all(cell[0] in "{[" and _is_json(cell) for cell in cells):
        return "json"
    return "text"


def _are_booleans(found: set[str], header_words: Sequence[str]) -> bool:
    """`t` and `f` are PostgreSQL's; one of them alone could be a size or a gender."""
    if not found <= _BOOLEANS.keys():
        return False
    asks = header_words[:1] in (["is"], ["has"], ["can"])
    return asks or found <= {"true", "false"} or {"t", "f"} <= found


def _is_number(cell: str) -> bool:
    return bool(_plain_number(cell)) and len(cell) < 17 and abs(float(cell)) < _LARGEST


def _is_date(cell: str) -> bool:
    if not _iso_start(cell) and not _german(cell):
        return False
    try:
        return read_time(cell, "date") is not None
    except InvalidTime:
        return False


def _is_json(cell: str) -> bool:
    try:
        json_value(cell)
    except InvalidParams:
        return False
    return True


# What a guess may convert: less than the type asked for by name reads, so that nothing is lost.
_FITS: dict[str, Callable[[str], bool]] = {
    "number": _is_number,
    "boolean": lambda text: text.lower() in _BOOLEANS,
}
