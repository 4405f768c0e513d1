"""The filter language: one tree, spelled as text, as query pairs and as an English sentence."""

from tinycrm_core.filters.dates import instant_range, param_instant
from tinycrm_core.filters.describe import Part, describe, describe_parts
from tinycrm_core.filters.match import compile_matcher, compile_membership, matches
from tinycrm_core.filters.normal import normalise
from tinycrm_core.filters.text import format, parse
from tinycrm_core.filters.tree import (
    EVERYBODY,
    MAX_CONDITIONS,
    And,
    Condition,
    Filter,
    Not,
    On,
    Op,
    Or,
    Param,
    Scalar,
    Value,
    Word,
)
from tinycrm_core.filters.url import from_pairs, to_pairs
from tinycrm_core.filters.values import resolve

__all__ = [
    "EVERYBODY",
    "MAX_CONDITIONS",
    "And",
    "Condition",
    "Filter",
    "Not",
    "On",
    "Op",
    "Or",
    "Param",
    "Part",
    "Scalar",
    "Value",
    "Word",
    "compile_matcher",
    "compile_membership",
    "describe",
    "describe_parts",
    "format",
    "from_pairs",
    "instant_range",
    "matches",
    "normalise",
    "param_instant",
    "parse",
    "resolve",
    "to_pairs",
]
