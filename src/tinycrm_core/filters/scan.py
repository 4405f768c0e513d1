"""The pieces of filter text: fields, operators, literals, each with its position."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters.conditions import (
    SYMBOLS,
    check_slug,
    checked,
    is_membership,
    operators,
    shown,
)
from tinycrm_core.filters.tree import Condition, Filter, On, Op, Param, Value

# An exclamation mark is a sign of its own only in front of another one: `!=`.
OPERATOR: Final = re.compile(r"!?[:=<>~^][:=!<>~^]*")
_NAME = re.compile(r'(?:[^\s()":=!<>~^@]|!(?![:=<>~^]))+')
KEY: Final = re.compile(r'[^\s()".@:=!<>~^,]+')
SLUG: Final = re.compile(r'[^\s()":=!<>~^@]+')
RUN: Final = re.compile(r'[^\s()"]+')
LITERAL: Final = re.compile(r'(?:(?!\.\.)[^\s()",])+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before an operator: a field and perhaps a product; `at` is its position."""

    at: int
    field: str | Param
    project: str | None
    project_at: int


@contextmanager
def positioned(at: int) -> Iterator[None]:
    """Give errors that do not know their place this one."""
    try:
        yield
    except InvalidFilter as error:
        if error.position is None:
            error.position = at
        raise


class Scanner:
    """Reads one text from left to right; `at` is the next character."""

    def __init__(self, text: str, projects: Collection[str] | None = None) -> None:
        self.text = text
        self.projects = projects
        self.at = 0

    def fail(
        self, message: str, *, at: int | None = None, choices: tuple[str, ...] = ()
    ) -> NoReturn:
        raise InvalidFilter(message, position=self.at if at is None else at, choices=choices)

    def looking_at(self, *signs: str) -> bool:
        return self.text.startswith(signs, self.at)

    def done(self) -> bool:
        return self.at >= len(self.text)

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """The match of the pattern right here, stepped over; None if there is none."""
        match = pattern.match(self.text, self.at)
        if match is None or not match[0]:
            return None
        self.at = match.end()
        return match[0]

    def quoted(self) -> str:
        """The text between two quotes, the first of which is right here."""
        start = self.at
        match = _QUOTED.match(self.text, start)
        if match is None:
            self.fail("the quote that opens here is never closed")
        for escape in _ESCAPE.finditer(self.text, match.start(1), match.end(1)):
            if escape[1] not in _ESCAPES:
                self.fail(
                    "after a backslash in quotes comes a quote, a backslash, n, r or t",
                    at=escape.start(),
                    choices=tuple("\\" + sign for sign in _ESCAPES),
                )
        self.at = match.end()
        return _ESCAPE.sub(lambda escape: _ESCAPES[escape[1]], match[1])

    def head(self) -> Head | None:
        """A field, perhaps with a product; None (and nothing read) if there is no field here.

        Whether it is one shows by what follows: an operator or the end is the caller's to check.
        """
        start = self.at
        field: str | Param | None = self._param()
        if field is None:
            self.at = start
            field = self.take(_NAME)
        if field is None:
            self.at = start
            return None
        project, project_at = None, self.at
        if self.looking_at("@"):
            self.at += 1
            project = self.quoted() if self.looking_at('"') else self.take(SLUG) or ""
        return Head(start, field, project, project_at)

    def _param(self) -> Param | None:
        if not self.looking_at("p."):
            return None
        self.at += 1
        path = []
        while self.looking_at("."):
            self.at += 1
            key = self.quoted() if self.looking_at('"') else self.take(KEY)
            if key is None:
                return None
            path.append(key)
        return Param(tuple(path))

    def checked_head(self, head: Head) -> tuple[Op, ...]:
        """The operators of a field that exists and that may stand with its product."""
        with positioned(head.at):
            known = operators(head.field)
            if head.field == "words":
                self.fail("words are searched by writing them alone", at=head.at)
        if head.project is None:
            return known
        at = head.project_at
        if head.field == "project":
            self.fail("project takes no @product, it names the product itself", at=at)
        if not is_membership(Condition(head.field, "exists")):
            self.fail(
                f"{shown(head.field)} is about the person and takes no @product",
                at=at,
                choices=("status", "joined", "active", "p.<key>"),
            )
        if not head.project:
            self.fail("after @ comes a product", at=at, choices=tuple(sorted(self.projects or ())))
        with positioned(at + 1):
            check_slug(head.project, self.projects)
        return known

    def clause(self, head: Head, op: Op, value: Value, *, op_at: int, value_at: int) -> Filter:
        """The checked condition, on its product if it names one."""
        known = self.checked_head(head)
        if op not in known:
            choices = tuple(SYMBOLS[each] for each in known)
            self.fail(f"{shown(head.field)} does not know {SYMBOLS[op]}", at=op_at, choices=choices)
        with positioned(value_at):
            condition = checked(Condition(head.field, op, value), self.projects)
        return condition if head.project is None else On(head.project, (condition,))
