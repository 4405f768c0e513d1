"""What params may hold, and how Python values become the JSON that every backend can carry."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from json import encoder
from typing import Any, NoReturn
from uuid import UUID

from tinycrm_core.errors import InvalidInput, InvalidParams
from tinycrm_core.model import Json


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of params; the defaults are generous for what products store about a person."""

    keys: int = 256
    """Keys of one membership, nested objects not counted."""
    key: int = 128
    """Characters of a key, at every level."""
    depth: int = 20
    """Levels of nesting; a flat object has one."""
    size: int = 64 * 1024
    """Bytes of the params as UTF-8 JSON."""


LIMITS = Limits()
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LARGEST = 2**63


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"JSON cannot carry a value of type {type(value).__name__}")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# `encode` builds this object anew for every value, which takes longer than a small one. PyPy has
# none.
_c_encoder: Any = getattr(encoder, "c_make_encoder", None)
_chunks: Any = _c_encoder and _c_encoder(
    None, _refuse, encoder.encode_basestring, None, ":", ",", False, False, False
)


def dumps(value: Json) -> str:
    """Compact JSON text; refuses what JSON cannot carry."""
    return "".join(_chunks(value, 0)) if _chunks else _ENCODER.encode(value)


def clean_text(text: str, field: str, error: type[InvalidInput] = InvalidParams) -> str:
    """The text as a plain `str`, refused if a database could not store it."""
    if not text.isascii() or "\x00" in text:
        found = _UNSTORABLE.search(text)
        if found:
            what = "a NUL character" if found[0] == "\x00" else "half of a surrogate pair"
            raise error(f"{field}: contains {what}", field=field)
    return text if type(text) is str else str.__str__(text)


def clean_key(key: object, field: str, limits: Limits = LIMITS) -> str:
    """A params key, or InvalidParams."""
    if not isinstance(key, str) or isinstance(key, Enum):
        raise InvalidParams(f"{field}: keys must be text, not {type(key).__name__}", field=field)
    if len(key) > limits.key:
        raise InvalidParams(f"{field}: a key is longer than {limits.key} characters", field=field)
    return clean_text(key, field)


def clean_params(params: object, field: str, limits: Limits = LIMITS) -> dict[str, Json]:
    """A fresh JSON object within the limits; raises InvalidParams that names the path.

    `datetime` becomes ISO 8601 with its offset (naive means UTC), `date` ISO 8601, `Decimal` a
    number (an int when whole), `UUID` text, `Enum` its value, `tuple` a list.
    """
    if not isinstance(params, Mapping):
        raise InvalidParams(
            f"{field}: expected an object, not {type(params).__name__}", field=field
        )
    if len(params) > limits.keys:
        raise InvalidParams(f"{field}: more than {limits.keys} keys", field=field)
    cleaned = _object(params, field, 1, limits)
    check_size(cleaned, field, limits)
    return cleaned


def check_size(
    params: Mapping[str, Json], field: str, limits: Limits, before: Mapping[str, Json] | None = None
) -> None:
    """Raises InvalidParams if the params as a whole exceed a limit.

    A merge may have made the params `before` too large; those must not grow, but can change.
    """
    if len(params) > max(limits.keys, len(before or ())):
        raise InvalidParams(f"{field}: more than {limits.keys} keys", field=field)
    if _is_small(params, limits.size):
        return
    size = len(dumps(params).encode())
    if size > limits.size and (not before or size > len(dumps(before).encode())):
        raise InvalidParams(f"{field}: larger than {limits.size} bytes as JSON", field=field)


def _is_small(params: Mapping[str, Json], size: int) -> bool:
    """Whether flat params certainly fit, without writing them as JSON."""
    most = 2
    for key, value in params.items():
        kind = type(value)
        if kind is str:
            most += 6 * (len(key) + len(value)) + 6
        elif kind is dict or kind is list:
            return False
        else:
            most += 6 * len(key) + 32
    return most <= size


def _object(value: Mapping[Any, Any], field: str, depth: int, limits: Limits) -> dict[str, Json]:
    if depth > limits.depth:
        raise InvalidParams(f"{field}: nested deeper than {limits.depth} levels", field=field)
    cleaned = {}
    for key, each in value.items():
        usual = type(key) is str and key.isascii() and "\x00" not in key
        name = key if usual and len(key) <= limits.key else clean_key(key, field, limits)
        kind = type(each)
        if (
            (kind is str and each.isascii() and "\x00" not in each)
            or (kind is int and -_LARGEST <= each < _LARGEST)
            or kind is bool
            or each is None
        ):
            cleaned[name] = each
        else:
            cleaned[name] = _value(each, f"{field}.{name}", depth, limits)
    return cleaned


def _value(value: object, field: str, depth: int, limits: Limits) -> Json:
    match value:
        case None | bool():
            return value
        case Enum():
            return _value(value.value, field, depth, limits)
        case str():
            return clean_text(value, field)
        case int():
            if not -_LARGEST <= value < _LARGEST:
                raise InvalidParams(f"{field}: the integer does not fit 64 bits", field=field)
            return int(value)
        case float() | Decimal():
            return _number(value, field)
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.isoformat()
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return _object(value, field, depth + 1, limits)
        case list() | tuple():
            if depth >= limits.depth:
                raise InvalidParams(
                    f"{field}: nested deeper than {limits.depth} levels", field=field
                )
            return [_value(each, field, depth + 1, limits) for each in value]
    raise InvalidParams(
        f"{field}: JSON cannot carry a value of type {type(value).__name__}", field=field
    )


def _number(value: float | Decimal, field: str) -> int | float:
    finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    if not finite:
        raise InvalidParams(f"{field}: must be a finite number", field=field)
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < _LARGEST:
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise InvalidParams(f"{field}: must be a finite number", field=field)
    return number
