"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import BLOB, TypeDecorator, TypeEngine, UserDefinedType

from tinycrm_core.limits import dumps as dumps
from tinycrm_core.model import Json

_decode = json.JSONDecoder().raw_decode


def loads(text: str | bytes) -> Any:
    """What a column holds, which `dumps` or a driver has written without spaces around it."""
    return _decode(text)[0] if type(text) is str else json.loads(text)


class Ident(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, 16 bytes on SQLite."""

    impl = BLOB
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return postgresql.UUID() if dialect.name == "postgresql" else BLOB()

    def bind_processor(self, dialect: Dialect) -> Callable[[UUID | None], Any] | None:
        if dialect.name == "postgresql":
            return None
        return lambda value: None if value is None else value.bytes

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        if dialect.name == "postgresql":
            return None
        return lambda value: None if value is None else UUID(bytes=value)


class JsonText(TypeDecorator[Json]):
    """JSON: text on SQLite; on PostgreSQL `json`, or `jsonb` where it is searched (`binary`)."""

    impl = Text
    cache_ok = True

    def __init__(self, *, binary: bool = False) -> None:
        super().__init__()
        self.binary = binary

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return Text()
        return postgresql.JSONB() if self.binary else postgresql.JSON()

    def bind_processor(self, dialect: Dialect) -> Callable[[Json], str | None]:
        # PostgreSQL's `json` keeps the text as it is; only here is text bound as text.
        return lambda value: None if value is None else dumps(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Json]:
        return lambda value: loads(value) if isinstance(value, str | bytes) else value


class Number(UserDefinedType[Any]):
    """A JSON number without loss: whatever it is on SQLite, `numeric` on PostgreSQL."""

    cache_ok = True

    def get_col_spec(self, **kwargs: object) -> str:
        return "BLOB"  # the affinity that leaves integers and floats alone

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return exact if dialect.name == "postgresql" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return plain


def exact(value: Any) -> Any:
    """A float as the decimal number that it is, so that `numeric` compares without rounding."""
    return Decimal(value) if isinstance(value, float) else value


def plain(value: Any) -> Any:
    """A decimal as an int or a float."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


@compiles(Number, "postgresql")
def _numeric(type_: Number, compiler: Any, **kwargs: Any) -> str:
    return "NUMERIC"


def ordered_text() -> TypeEngine[str]:
    """Text that compares by code point, as Python does."""
    return Text().with_variant(Text(collation="C"), "postgresql")


def big_integer() -> TypeEngine[int]:
    """64 bits; SQLite wants the word INTEGER to number rows by itself."""
    return BigInteger().with_variant(Integer(), "sqlite")


LONGEST_PATH = 1000
"""Bytes of a params path that an index takes; PostgreSQL allows 2704 for a whole row."""


def stored_path(path: str) -> str:
    """The path as `param_values` keeps it: itself, or its beginning and a hash if it is long."""
    if len(path) <= LONGEST_PATH // 4 or len(path.encode()) <= LONGEST_PATH:
        return path
    return f"{path[: LONGEST_PATH // 5]}…{hashlib.sha256(path.encode()).hexdigest()}"
