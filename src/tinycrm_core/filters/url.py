"""Query pairs: the same filters as in text, one pair for each condition."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters.conditions import MAX_TEXT, SYMBOLS, nearest, unknown_field
from tinycrm_core.filters.normal import normalise
from tinycrm_core.filters.scan import KEY, SLUG, Scanner
from tinycrm_core.filters.spell import (
    Clause,
    field,
    must_quote,
    pieces,
    quote,
    raw,
    scalars,
    slug,
    spelled,
)
from tinycrm_core.filters.text import read
from tinycrm_core.filters.tree import And, Condition, Filter, Not, Op, Scalar, Value, Word

SUFFIXES: Final[dict[str, Op]] = {op: op for op in SYMBOLS if op != "eq"}
"""What follows `__` in a key; a key without it is an equality."""

# In a key, two underscores begin the operator, so a name that holds them stands in quotes.
_KEY = re.compile(rf"(?!.*__){KEY.pattern}")
_SLUG = re.compile(rf"(?!.*__){SLUG.pattern}")
_ITEM: Final = {
    "in": re.compile(r"[^,]+"),
    "between": re.compile(r"(?:(?!\.\.).)+", re.DOTALL),
}
_YES = ("", "1", "true")


def from_pairs(
    pairs: Iterable[tuple[str, str]], *, projects: Collection[str] | None = None
) -> Filter:
    """The filter a query string stands for, from its decoded pairs, in normal form.

    All pairs are one conjunction, under the same scope rule as text; `q` holds filter text and
    may come several times. Every key must be one of a filter: the caller keeps `sort`, `cursor`
    and the like to itself. Raises InvalidFilter whose `field` is the key at fault, with a
    position only for the text of a `q`.
    """
    items: list[Filter] = []
    size = 0
    for key, value in pairs:
        size += len(key) + len(value)
        if size > MAX_TEXT:
            raise InvalidFilter(f"a filter has at most {MAX_TEXT:,} characters")
        try:
            if key == "q":
                items.append(read(value, projects))
            else:
                items.append(_Pair(key, projects).filter(value))
        except InvalidFilter as error:
            error.field = key[:100]
            error.position = error.position if key == "q" else None
            raise
    return normalise(And(tuple(items)), projects)


def to_pairs(filter: Filter) -> list[tuple[str, str]]:
    """The query pairs of a filter; what they have no words for is text in one last `q`.

    `from_pairs(to_pairs(filter))` asks the same question. Raises InvalidFilter as `format` does.
    """
    pairs = []
    texts = []
    for piece in pieces(normalise(filter)):
        if isinstance(piece, str):
            texts.append(piece)
        elif piece.condition.field == "words":
            texts.append(spelled(piece))
        else:
            pairs.append((_key(piece), _value(piece.condition)))
    if texts:
        pairs.append(("q", " ".join(texts)))
    if sum(len(key) + len(value) for key, value in pairs) > MAX_TEXT:
        raise InvalidFilter(f"as query pairs, this filter is longer than {MAX_TEXT:,} characters")
    return pairs


class _Pair(Scanner):
    """Reads one pair, whose key is `-`? field `@slug`? `__operator`?"""

    def filter(self, value: str) -> Filter:
        key, op = self.text, self.suffix()
        denied = self.looking_at("-")
        self.at += denied
        head = self.head()
        if head is None or not self.done():
            raise unknown_field(key.removeprefix("-"))
        self.checked_head(head)
        clause = self.clause(head, op, _read_value(op, value), op_at=0, value_at=0)
        return Not(clause) if denied else clause

    def suffix(self) -> Op:
        """Cut the operator off the end of the key; inside quotes it is part of a name."""
        head, mark, suffix = self.text.rpartition("__")
        if not mark or '"' in suffix:
            return "eq"
        if suffix not in SUFFIXES:
            raise InvalidFilter(
                f"there is no operator __{suffix[:100]}; a name with __ in it stands in quotes",
                choices=tuple("__" + each for each in nearest(suffix, SUFFIXES)),
            )
        self.text = head
        return SUFFIXES[suffix]


def _read_value(op: Op, text: str) -> Value:
    if op in ("exists", "missing"):
        if text not in _YES:
            raise InvalidFilter(f"__{op} is asked with the value 1")
        return None
    scanner = Scanner(text)
    if op not in _ITEM:
        if not text:
            raise InvalidFilter("a value is missing; empty text is written as two quotes")
        if not scanner.looking_at('"'):
            return Word(text)
        value: Value = scanner.quoted()
    else:
        joint = "," if op == "in" else ".."
        values = [_read_item(scanner, op, joint)]
        while scanner.looking_at(joint):
            scanner.at += len(joint)
            values.append(_read_item(scanner, op, joint))
        value = tuple(values)
    if not scanner.done():
        raise InvalidFilter("a quoted value ends before the text does")
    return value


def _read_item(scanner: Scanner, op: Op, joint: str) -> Scalar:
    if scanner.looking_at('"'):
        return scanner.quoted()
    text = scanner.take(_ITEM[op])
    if text is None:
        raise InvalidFilter(f"a value is missing beside {joint}")
    return Word(text)


def _key(clause: Clause) -> str:
    minus = "-" if clause.denied else ""
    name = field(clause.condition.field, _KEY)
    product = f"@{slug(clause.project, _SLUG)}" if clause.project else ""
    op = clause.condition.op
    return f"{minus}{name}{product}" + ("" if op == "eq" else f"__{op}")


def _value(condition: Condition) -> str:
    if condition.op in ("exists", "missing"):
        return "1"
    joint = {"in": ",", "between": ".."}.get(condition.op, "")
    return joint.join(_literal(condition, value, joint) for value in scalars(condition))


def _literal(condition: Condition, value: Scalar, joint: str) -> str:
    text = raw(value)
    broken = bool(joint) and (joint in text or text[:1] == "." or text[-1:] == ".")
    if not text or text[0] == '"' or broken or must_quote(condition, value):
        return quote(text)
    return text
