"""A call as JSON text: checked and copied at the moment it is made.

What waits in a queue or a file is text, so nothing the caller changes afterwards can reach it, and
its size is known to the byte. Common calls take a short way of a few microseconds; anything
unusual goes through `Identify`, whose checks are the rule, and both give the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from json import encoder
from typing import Any, NoReturn

from tinycrm_core import events
from tinycrm_core.email import canonical
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import MAX_NAME, STATUSES, Event, Identify, Ping, When
from tinycrm_core.limits import Limits
from tinycrm_core.model import Json
from tinycrm_core.times import from_micros

_quoted = encoder.encode_basestring_ascii
_words = {each: each for each in STATUSES}
_QUICK_SIZE = 8192
_SMALLEST, _LARGEST = -(2**63), 2**63
_PLAIN = frozenset((str, int, float, bool, type(None)))
_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class _Unusual(Exception):
    """The short way cannot tell whether this is right."""


def _unusual(value: object) -> NoReturn:
    raise _Unusual


# `encode` would build this object anew for every call. PyPy has none.
_make: Any = getattr(encoder, "c_make_encoder", None)
_chunks: Any = _make and _make(None, _unusual, _quoted, None, ":", ",", False, False, False)


def identify_text(
    email: str,
    name: str | None,
    status: str | None,
    params: Mapping[str, Json] | None,
    set_once: Mapping[str, Json] | None,
    unset: Iterable[str] | None,
    at: When,
    active: bool,
    limits: Limits,
) -> str:
    """The JSON object of an identify, as `events.to_json` writes it.

    Raises what `Identify` raises, and InvalidInput for values that fail while they are read.
    """
    try:
        # Nothing is called here that can be avoided: every login of a host comes by.
        if set_once is None and unset is None and at is None and active is True:
            text = f'{{"type":"identify","email":"{canonical(email)}"'
            if name is not None:
                if type(name) is not str or len(name) > MAX_NAME or not name.isprintable():
                    raise _Unusual
                text = f'{text},"name":{_quoted(name.strip() or _unusual(name))}'
            if status is not None:
                text = f'{text},"status":"{_words[status]}"'
            if params is not None:
                text = f'{text},"params":{_plain_params(params, limits)}'
            if text.isascii() and "\\u" not in text:
                return text + "}"
    except TinyCRMError:
        raise
    except Exception:  # noqa: S110 - the long way says what is wrong, if anything is
        pass
    return _long_way(
        lambda: Identify(
            email,
            name=name,
            status=status,
            params=params,
            set_once=set_once,
            unset=unset,
            at=at,
            active=active,
            limits=limits,
        )
    )


def ping_text(email: str, at: When) -> str:
    """The JSON object of a ping. Raises what `Ping` raises."""
    try:
        if at is None:
            return '{"type":"ping","email":"' + _plain_email(email) + '"}'
    except _Unusual:
        pass
    return _long_way(lambda: Ping(email, at=at))


def event_text(event: Event) -> str:
    """The JSON object of an event that was checked when it was made, without its id."""
    body = events.to_json(event)
    body.pop("id", None)
    return _text(body)


def stamped(text: str, at: int | None, ident: str | None = None) -> str:
    """The text with a time in microseconds and an id, each unless it is None."""
    time = "" if at is None else f',"at":"{from_micros(at).isoformat()}"'
    return f"{text[:-1]}{time}}}" if ident is None else f'{text[:-1]}{time},"id":"{ident}"}}'


def _plain_email(email: str) -> str:
    address = canonical(email)
    if not address.isascii():  # ASCII addresses hold nothing that JSON would escape
        raise _Unusual
    return address


def _plain_params(params: Mapping[str, Json], limits: Limits) -> str:
    """Flat objects of text, numbers, booleans and nulls, well inside the limits."""
    if type(params) is not dict or _chunks is None or len(params) > limits.keys:
        raise _Unusual
    for key, value in params.items():
        kind = type(value)
        if type(key) is not str or kind not in _PLAIN:
            raise _Unusual
        if kind is int and not _SMALLEST <= value < _LARGEST:
            raise _Unusual
    text = "".join(_chunks(params, 0))  # ValueError for NaN and the infinities
    size = len(text)
    if size > limits.key and (
        size > _QUICK_SIZE or size > limits.size or max(map(len, params)) > limits.key
    ):
        raise _Unusual
    return text if size <= limits.size else _unusual(params)


def _long_way(make: Any) -> str:
    try:
        return event_text(make())
    except TinyCRMError:
        raise
    except Exception as error:  # what the caller's own objects raise while they are read
        kind = type(error).__name__
    raise InvalidInput(f"event: reading its values failed with {kind}", field=None)
