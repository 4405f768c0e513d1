"""Events: the same validated value in a call, a queue, an HTTP body and a CSV row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass
from datetime import date, datetime
from typing import Any, ClassVar, TypeAlias, TypedDict

from tinycrm_core.email import canonical
from tinycrm_core.errors import (
    InvalidEmail,
    InvalidInput,
    InvalidParams,
    InvalidStatus,
    InvalidTime,
)
from tinycrm_core.limits import LIMITS, Limits, check_size, clean_key, clean_params, clean_text
from tinycrm_core.model import Json, Status
from tinycrm_core.times import LATEST, from_micros, to_micros

When: TypeAlias = datetime | date | str | int | None
"""A time for `at`: a datetime, a date, ISO 8601 text, or microseconds since 1970 (int)."""


class Fields(TypedDict, total=False):
    """The keyword arguments of `identify`, everywhere it can be called."""

    name: str | None
    status: str | None
    params: Mapping[str, Json] | None
    set_once: Mapping[str, Json] | None
    unset: Iterable[str] | None
    at: When
    active: bool


STATUSES = tuple(str(each) for each in Status)
_STATUS_WORDS = {**{each: each for each in STATUSES}, "trialing": "trial"}
MAX_NAME = 500


def clean_status(value: object, *, forgiving: bool = False) -> str:
    """One of the four statuses; `trialing` means `trial`.

    `forgiving` also accepts other case and outer spaces (imports). Raises InvalidStatus.
    """
    if isinstance(value, str):
        word = value.strip().lower() if forgiving else value
        if word in _STATUS_WORDS:
            return _STATUS_WORDS[word]
        shown = ascii(value[:40])
    else:
        shown = f"a value of type {type(value).__name__}"
    raise InvalidStatus(f"status: {shown} is not one of {', '.join(STATUSES)}")


def clean_name(value: object) -> str | None:
    """The trimmed name, or None when there is none. Raises InvalidInput."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(f"name: expected text, not {type(value).__name__}", field="name")
    name = " ".join(value.split()) if not value.isprintable() else value.strip()
    if len(name) > MAX_NAME:
        raise InvalidInput(f"name: longer than {MAX_NAME} characters", field="name")
    return clean_text(name, "name", InvalidInput) or None


def _micros(at: When, field: str = "at") -> int:
    if type(at) is not int:
        return to_micros(at, field=field)
    if not 0 <= at <= LATEST:
        raise InvalidTime(f"{field}: the year must be 1970 to 9999", field=field)
    return at


def _clean_id(value: object) -> str | None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= 128):
        return value
    raise InvalidInput("id: expected text of 1 to 128 characters", field="id")


@dataclass(frozen=True, slots=True)
class Identify:
    """What a product knows about a person; checked and canonical once it exists.

    `at` is the event time in microseconds, or None for «now, and after everything known».
    `joined` and `seen` are for imports: since when the person is on the product, and when they
    were last active there; without them both follow from `at` and `active`.
    Raises InvalidEmail, InvalidStatus, InvalidParams, InvalidTime or InvalidInput.
    """

    type: ClassVar[str] = "identify"

    email: str
    _: KW_ONLY
    name: str | None = None
    status: str | None = None
    params: Mapping[str, Json] | None = None
    set_once: Mapping[str, Json] | None = None
    unset: Iterable[str] | None = None
    at: When = None
    active: bool = True
    id: str | None = None
    joined: When = None
    seen: When = None
    limits: InitVar[Limits] = LIMITS

    def __post_init__(self, limits: Limits) -> None:
        put = object.__setattr__
        put(self, "email", canonical(self.email))
        if self.name is not None:
            put(self, "name", clean_name(self.name))
        if self.status is not None:
            put(self, "status", clean_status(self.status))
        if self.params is not None:
            put(self, "params", clean_params(self.params, "params", limits))
        if self.set_once is not None:
            put(self, "set_once", clean_params(self.set_once, "set_once", limits))
        if self.params and self.set_once:
            check_size({**self.params, **self.set_once}, "params", limits)
        if self.unset is not None:
            put(self, "unset", _clean_unset(self.unset, limits))
        if self.at is not None:
            put(self, "at", _micros(self.at))
        if self.joined is not None:
            put(self, "joined", _micros(self.joined, "joined"))
        if self.seen is not None:
            put(self, "seen", _micros(self.seen, "seen"))
        if type(self.active) is not bool:
            raise InvalidInput("active: expected true or false", field="active")
        put(self, "id", _clean_id(self.id))
        if (self.set_once or self.unset) and (twice := self._twice()):
            raise InvalidParams(
                f"params: {ascii(twice)[:60]} is named twice among params, set_once and unset",
                field="params",
            )

    def _twice(self) -> str | None:
        seen: set[str] = set()
        for keys in (self.params, self.set_once, self.unset):
            for key in keys or ():
                if key in seen:
                    return key
                seen.add(key)
        return None


def _clean_unset(keys: object, limits: Limits) -> tuple[str, ...]:
    if isinstance(keys, str | Mapping) or not isinstance(keys, Iterable):
        raise InvalidParams("unset: expected a list of keys", field="unset")
    cleaned = dict.fromkeys(clean_key(key, "unset", limits) for key in keys)
    if len(cleaned) > limits.keys:
        raise InvalidParams(f"unset: more than {limits.keys} keys", field="unset")
    return tuple(cleaned)


@dataclass(frozen=True, slots=True)
class Ping:
    """Somebody was here. `at` as in `Identify`."""

    type: ClassVar[str] = "ping"

    email: str
    _: KW_ONLY
    at: When = None
    id: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "email", canonical(self.email))
        if self.at is not None:
            put(self, "at", _micros(self.at))
        put(self, "id", _clean_id(self.id))


def _clean_new(value: object) -> str:
    try:
        return canonical(value)
    except InvalidEmail as error:
        raise InvalidEmail(f"new: {error.message}", field="new") from None


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    """Somebody has the address `new` instead of `email`. `at` as in `Identify`.

    If `new` is somebody else's, both become one person; without `merge` only if they were first
    heard of after `at`, as by a login that came before this event.
    """

    type: ClassVar[str] = "change_email"

    email: str
    new: str
    _: KW_ONLY
    merge: bool = True
    at: When = None
    id: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "email", canonical(self.email))
        put(self, "new", _clean_new(self.new))
        if type(self.merge) is not bool:
            raise InvalidInput("merge: expected true or false", field="merge")
        if self.at is not None:
            put(self, "at", _micros(self.at))
        put(self, "id", _clean_id(self.id))


Event: TypeAlias = Identify | Ping | ChangeEmail


def to_json(event: Event) -> dict[str, Any]:
    """The wire form: the arguments that were given, with `at` as ISO 8601 and a `type`."""
    body: dict[str, Any] = {"type": event.type}
    for name in _FIELDS[event.type]:
        value = getattr(event, name)
        if value is None or (name in _TRUE_UNLESS_SAID and value is True):
            continue
        if name in _TIMES:
            value = from_micros(value).isoformat()
        body[name] = list(value) if name == "unset" else value
    return body


_IDENTIFY = (
    "email", "name", "status", "params", "set_once", "unset",
    "at", "active", "id", "joined", "seen",
)  # fmt: skip
_TIMES = ("at", "joined", "seen")
_TRUE_UNLESS_SAID = ("active", "merge")
_FIELDS = {
    "identify": _IDENTIFY,
    "ping": ("email", "at", "id"),
    "change_email": ("email", "new", "merge", "at", "id"),
}
TYPES = tuple(_FIELDS)
"""What `type` may say on the wire."""


def from_json(body: object, *, type: str | None = None, limits: Limits = LIMITS) -> Event:
    """The inverse of `to_json`; `type` says what a body without one is.

    Unknown fields are refused, so that a misspelt one cannot be lost silently.
    """
    if not isinstance(body, Mapping):
        raise InvalidInput("event: expected a JSON object", field=None)
    fields = dict(body)
    kind = fields.pop("type", type)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InvalidInput(f"type: expected {', '.join(TYPES)}", field="type")
    unknown = sorted(str(name) for name in fields if name not in _FIELDS[kind])
    if unknown:
        name, known = ascii(unknown[0])[1:-1][:60], ", ".join(_FIELDS[kind])
        raise InvalidInput(f"{name}: unknown field; {kind} takes {known}", field=unknown[0])
    for name in ("email", "new") if kind == "change_email" else ("email",):
        if name not in fields:
            raise InvalidInput(f"{name}: missing", field=name)
    for name in _TIMES:
        if not isinstance(fields.get(name), str | None):
            raise InvalidInput(f"{name}: expected ISO 8601 text", field=name)
    if kind == "ping":
        return Ping(**fields)
    if kind == "change_email":
        return ChangeEmail(**fields)
    return Identify(**fields, limits=limits)


__all__ = [
    "MAX_NAME", "STATUSES", "TYPES", "ChangeEmail", "Event", "Fields", "Identify",
    "Ping", "When",
    "clean_name", "clean_status", "from_json", "to_json",
]  # fmt: skip
