"""API keys: made from the system's random source, checked offline, stored as a hash.

A key is `tcrm_proj_` or `tcrm_acct_`, then 27 random base62 characters (160 bits), then the
CRC-32 of everything before it as 6 base62 characters.

The checksum turns away mistyped and truncated keys without asking a database; it is no secret.
A plain SHA-256 is enough at rest, because a random key of this size cannot be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Literal, get_args

from tinycrm_core.errors import InvalidInput, InvalidKey

KeyKind = Literal["proj", "acct"]
"""`proj`: writes to one project. `acct`: reads or administers one account."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 27
_CHECKSUM = 6
_PREFIXES: dict[str, KeyKind] = {f"tcrm_{kind}_": kind for kind in get_args(KeyKind)}
_PREFIX = len("tcrm_proj_")
KEY_LENGTH = _PREFIX + _RANDOM + _CHECKSUM
"""Characters in every key: 43."""

_is_base62 = re.compile(r"[0-9A-Za-z]+\Z").match
# Wider than a valid key, so that a mistyped, cut or re-cased one is hidden too.
_anything_like_a_key = re.compile(r"(tcrm_(?:proj|acct)_)[0-9A-Za-z_-]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key at the only moment it is known in full.

    `secret` is the whole text, to be shown once; it never appears in `repr`, `str` or `format`.
    `hash` is what is stored, 32 bytes. `hint` is for lists: the prefix and the last four
    characters, which leave more than 136 bits unknown.
    """

    secret: str = field(repr=False)
    kind: KeyKind
    hash: bytes = field(repr=False)
    hint: str


def new_key(kind: KeyKind) -> ApiKey:
    """Make a key. Raises `InvalidInput` for a kind other than `proj` and `acct`."""
    if kind not in get_args(KeyKind):
        raise InvalidInput("kind of an API key must be 'proj' or 'acct'", field="kind")
    prefix = f"tcrm_{kind}_"
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    secret = body + _checksum(body)
    return ApiKey(secret=secret, kind=kind, hash=_sha256(secret), hint=f"{prefix}…{secret[-4:]}")


def check_key(text: str) -> KeyKind:
    """Return the kind of a well-formed key; says nothing about whether it was ever issued.

    Raises `InvalidKey`, which never repeats any part of `text`, for everything else.
    """
    if not isinstance(text, str):
        raise InvalidKey(f"API key must be text, not {type(text).__name__}")
    if len(text) != KEY_LENGTH:
        raise InvalidKey(f"API key must have {KEY_LENGTH} characters, not {len(text)}")
    kind = _PREFIXES.get(text[:_PREFIX])
    if kind is None:
        raise InvalidKey("API key must begin with " + " or ".join(_PREFIXES))
    if not _is_base62(text, _PREFIX):
        raise InvalidKey("API key contains a character other than ASCII letters and digits")
    if _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        raise InvalidKey("API key has a wrong checksum: it was mistyped or altered")
    return kind


def hash_key(text: str) -> bytes:
    """Return the 32 bytes under which a key is stored and looked up.

    Raises `InvalidKey` as `check_key` does, so that only well-formed keys reach a database.
    """
    check_key(text)
    return _sha256(text)


def redact(text: str) -> str:
    """Return `text` with everything that looks like a key cut down to its prefix and `…`."""
    return _anything_like_a_key.sub(r"\1…", text)


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
