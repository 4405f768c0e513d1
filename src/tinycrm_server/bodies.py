"""Request bodies: one strict way to read JSON, so that no two readers see two different events."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.types import Message, Receive

from tinycrm_core.errors import InvalidInput

MAX_BODY = 1024 * 1024
"""Bytes of a request body, unless the settings say otherwise."""

MAX_DEPTH = 64
"""Levels of nesting in a body; params have a limit of their own."""

BODY_SECONDS = 30
"""How long a body may take to arrive."""

# Always matches to the end of a string, closed or not, so that the scan stays linear.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


class Refused(Exception):
    """A request that is turned away before anything is done; `status` is the one to answer with.

    `wait` is after how many seconds it may be tried again, where that is known.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        *,
        wait: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field
        self.wait = wait


async def read_json(request: Request) -> Any:
    """The JSON value of a request's body.

    Raises Refused (408, 413, 415) or InvalidInput: not UTF-8, not JSON, a repeated key, NaN,
    an infinity or a number that becomes one, nesting beyond MAX_DEPTH.
    """
    _check_type(request)
    limit: int = getattr(request.app.state, "max_body", MAX_BODY)
    return decode(await read_body(request, limit))


def check_members(
    body: object, known: Sequence[str], what: str, required: Sequence[str] = ()
) -> dict[str, Any]:
    """A body as an object of known members only. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput("body: expected a JSON object", field=None)
    for name in sorted(body.keys() - set(known)):
        shown = ascii(name)[1:-1][:60]
        raise InvalidInput(f"{shown}: unknown field; {what} takes {', '.join(known)}", field=shown)
    for name in required:
        if name not in body:
            raise InvalidInput(f"{name}: missing", field=name)
    return body


def _check_type(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "media_type", "body: send it without a content encoding")
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Refused(415, "media_type", "body: expected Content-Type application/json, UTF-8")


async def read_body(request: Request, limit: int) -> bytes:
    """The bytes of a body. Refused 413 as soon as there are more than `limit`, 408 if slow."""
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refused(408, "timeout", f"body: not complete after {BODY_SECONDS} s") from None
    return bytes(body)


def bounded(receive: Receive, limit: int) -> Receive:
    """The same body for a reader that knows no limit; Refused 413 beyond it."""
    read = 0

    async def receiving() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Refused:
    return Refused(413, "too_large", f"body: larger than {limit} bytes")


def decode(body: bytes) -> Any:
    """A JSON text as a value; see `read_json` for what is refused."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid("body: not UTF-8") from None
    _check_depth(text)
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_float, parse_constant=_constant
        )
    except InvalidInput:
        raise
    except json.JSONDecodeError as error:
        raise _invalid(f"body: not JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:
        raise _invalid("body: a number is too long") from None


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        if (char := text[token.start()]) in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _invalid(f"body: nested deeper than {MAX_DEPTH} levels")
        elif char in "]}":
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _invalid(f"body: the key {ascii(twice)[:60]} occurs twice in one object")
    return members


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _invalid("body: a number is too large")
    return number


def _constant(name: str) -> NoReturn:
    raise _invalid(f"body: {name} is not JSON")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, field=None)
