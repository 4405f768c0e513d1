"""Params as flat paths: what stores index and what the registry of seen keys counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tinycrm_core.filters.dates import param_instant
from tinycrm_core.model import ABSENT, Json


def param_path(parts: Sequence[str]) -> str:
    """One text for the way into nested params; dots and backslashes inside a key are escaped."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in parts)


def path_parts(path: str) -> tuple[str, ...]:
    """The inverse of `param_path`."""
    parts, current, escaped = [], "", False
    for char in path:
        if escaped:
            current, escaped = current + char, False
        elif char == "\\":
            escaped = True
        elif char == ".":
            parts.append(current)
            current = ""
        else:
            current += char
    return (*parts, current)


def walk(params: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Every path of params with the value there; objects come before what is inside them."""
    for key, value in params.items():
        path = key if "." not in key and "\\" not in key else param_path((key,))
        yield path, value
        if type(value) is dict:
            for inner, each in walk(value):
                yield f"{path}.{inner}", each


def value_under(params: Mapping[str, Json], path: Sequence[str]) -> Json:
    """The value at the end of a path, or ABSENT."""
    value: Json = params
    for key in path:
        if type(value) is not dict:
            return ABSENT
        value = value.get(key, ABSENT)
    return value


def kind_of(value: Json) -> str:
    """`text`, `number`, `boolean`, `null`, `object` or `array`."""
    match value:
        case str():
            return "text"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case dict():
            return "object"
    return "array"


__all__ = ["kind_of", "param_instant", "param_path", "path_parts", "value_under", "walk"]
