"""Filter text: `parse` reads it, `format` writes it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeVar

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters.conditions import MAX_DEPTH, MAX_TEXT, SYMBOLS, checked, is_membership
from tinycrm_core.filters.normal import names_products, normalise
from tinycrm_core.filters.scan import LITERAL, OPERATOR, RUN, Head, Scanner, positioned
from tinycrm_core.filters.spell import Clause, pieces, spelled
from tinycrm_core.filters.tree import (
    MAX_CONDITIONS,
    And,
    Condition,
    Filter,
    Not,
    On,
    Op,
    Or,
    Scalar,
    Value,
    Word,
)

Node = TypeVar("Node", bound=Filter)

_OPERATORS: Final[dict[str, Op]] = {
    ":": "eq",
    "=": "eq",
    "!=": "not",
    "<": "lt",
    "<=": "lte",
    ">": "gt",
    ">=": "gte",
    "~": "contains",
    "^": "starts",
}


def parse(text: str, *, projects: Collection[str] | None = None) -> Filter:
    """The filter a text stands for, in normal form; empty text is everybody.

    `projects` are the slugs that exist, to refuse all others; None accepts every slug. Raises
    InvalidFilter with the position in the text and with what could stand there instead.
    """
    loose = read(text, projects)
    with positioned(len(text)):
        return normalise(loose, projects)


def format(filter: Filter) -> str:
    """The text that stands for a filter: `parse(format(filter))` asks the same question.

    For a filter that came from `parse` it is the same tree. Raises InvalidFilter for a filter
    that `normalise` refuses and for one whose text would be longer than a filter may be.
    """
    text = " ".join(
        spelled(piece) if isinstance(piece, Clause) else piece
        for piece in pieces(normalise(filter))
    )
    if len(text) > MAX_TEXT:
        raise InvalidFilter(f"as text, this filter is longer than {MAX_TEXT:,} characters")
    return text


def read(text: str, projects: Collection[str] | None = None) -> Filter:
    """The loose tree of a text, for `normalise`."""
    if not isinstance(text, str):
        raise InvalidFilter(f"expected filter text, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise InvalidFilter(
            f"a filter text has at most {MAX_TEXT:,} characters, this one has {len(text):,}",
            position=MAX_TEXT,
        )
    return _Reader(text, projects).everything()


class _Reader(Scanner):
    """Recursive descent over one text.

    either := all ("or" all)*          all   := ("-"? item)+
    item   := "(" either ")" | "any(" clause* ")" | clause | word | "phrase"
    """

    def __init__(self, text: str, projects: Collection[str] | None) -> None:
        super().__init__(text, projects)
        self.conditions = 0

    def everything(self) -> Filter:
        self.skip_space()
        if self.done():
            return And()
        either = self.either(0)
        if not self.done():
            self.fail("this parenthesis closes nothing")
        return either

    def skip_space(self) -> None:
        while not self.done() and self.text[self.at].isspace():
            self.at += 1

    def at_or(self) -> bool:
        run = RUN.match(self.text, self.at)
        return run is not None and run[0].lower() == "or"

    def either(self, depth: int) -> Filter:
        alternatives = [self.all(depth)]
        while self.at_or():
            self.at += 2
            self.skip_space()
            alternatives.append(self.all(depth))
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))

    def all(self, depth: int) -> Filter:
        items: list[Filter] = []
        while not self.done() and not self.looking_at(")") and not self.at_or():
            items.append(self.item(depth))
            self.skip_space()
        if not items:
            self.fail("something must stand on both sides of «or» and between parentheses")
        return items[0] if len(items) == 1 else And(tuple(items))

    def item(self, depth: int) -> Filter:
        denied = self.looking_at("-")
        if denied:
            self.at += 1
            if self.done() or self.text[self.at].isspace() or self.looking_at("-", ")"):
                self.fail(
                    "a minus stands directly before what it denies; in quotes it is searched for",
                    at=self.at - 1,
                )
        if self.looking_at("("):
            inner = self.group(depth)
        elif self.looking_at("any("):
            inner = self.any_membership()
        elif self.looking_at('"'):
            start = self.at
            inner = self.word(self.quoted(), start)
            if (
                not self.done()
                and not self.text[self.at].isspace()
                and not self.looking_at("(", ")")
            ):
                self.fail("after a closing quote comes a space")
        else:
            inner = self.clause_or_word()
        return Not(inner) if denied else inner

    def group(self, depth: int) -> Filter:
        start = self.at
        if depth >= MAX_DEPTH:
            self.fail(f"a filter nests at most {MAX_DEPTH} deep")
        self.at += 1
        self.skip_space()
        inner = self.either(depth + 1)
        self.close(start)
        return inner

    def any_membership(self) -> Filter:
        start = self.at
        self.at += len("any(")
        conditions: list[Condition] = []
        self.skip_space()
        while not self.done() and not self.looking_at(")"):
            at = self.at
            condition = None if self.looking_at("-", "(", '"') else self.clause_or_word()
            if not isinstance(condition, Condition) or not is_membership(condition):
                self.fail(
                    "any(…) holds conditions on one membership, without @product, minus or «or»",
                    at=at,
                    choices=("project", "status", "joined", "active", "p.<key>"),
                )
            conditions.append(condition)
            self.skip_space()
        self.close(start)
        return On(None, tuple(conditions))

    def close(self, start: int) -> None:
        if not self.looking_at(")"):
            self.fail("the parenthesis that opens here is never closed", at=start)
        self.at += 1

    def word(self, text: str, at: int) -> Condition:
        with positioned(at):
            return self.counted(checked(Condition("words", "contains", text)), at)

    def clause_or_word(self) -> Filter:
        start = self.at
        head = self.head()
        if head is not None:
            sign = self.take(OPERATOR)
            if sign is not None:
                return self.counted(self.clause_after(head, sign), start)
            if '"' in self.text[start : self.at]:
                self.fail("an operator must follow", choices=tuple(SYMBOLS.values()))
        self.at = start
        run = self.take(RUN) or ""
        sign_in_run = OPERATOR.search(run)
        if sign_in_run is not None:
            self.fail(
                f"no field stands before {sign_in_run[0]}; to search for such text, quote it",
                at=start + sign_in_run.start(),
            )
        if self.looking_at('"'):
            self.fail("a quote opens at the beginning of a word or of a value")
        return self.word(run, start)

    def clause_after(self, head: Head, sign: str) -> Filter:
        sign_at = self.at - len(sign)
        known = self.checked_head(head)
        if sign not in _OPERATORS:
            self.fail(
                f"there is no operator {sign}; a value that begins with such a sign is quoted",
                at=sign_at,
                choices=tuple(SYMBOLS[op] for op in known),
            )
        value_at = self.at
        op, value = self.op_and_value(_OPERATORS[sign], sign)
        return self.clause(head, op, value, op_at=sign_at, value_at=value_at)

    def op_and_value(self, op: Op, sign: str) -> tuple[Op, Value]:
        first = self.literal(sign)
        if op == "eq" and self.at_end_of_value() and first in (Word("*"), Word("-")):
            return ("exists" if first == Word("*") else "missing"), None
        values = [first]
        joint = "," if self.looking_at(",") else ".."
        while self.looking_at(joint) and (joint == "," or len(values) < 2):
            if op != "eq":
                self.fail(
                    f"{sign} takes one value; a value with {joint} in it is quoted",
                    choices=(SYMBOLS["in"], SYMBOLS["between"]),
                )
            self.at += len(joint)
            values.append(self.literal(joint))
        if not self.at_end_of_value():
            self.fail("the value ends here; one with such signs in it is quoted")
        if len(values) == 1:
            return op, first
        return ("in" if joint == "," else "between"), tuple(values)

    def at_end_of_value(self) -> bool:
        return self.done() or self.text[self.at].isspace() or self.looking_at(")")

    def literal(self, after: str) -> Scalar:
        if self.looking_at('"'):
            return self.quoted()
        text = self.take(LITERAL)
        if text is None:
            self.fail(f"a value must follow {after}")
        return Word(text)

    def counted(self, filter: Node, at: int) -> Node:
        """Count what is a condition; the products a conjunction looks at are counted apart."""
        if not (isinstance(filter, Condition) and names_products(filter)):
            self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            self.fail(f"a filter has at most {MAX_CONDITIONS} conditions", at=at)
        return filter
