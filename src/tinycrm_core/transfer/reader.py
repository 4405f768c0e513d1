"""Strict CSV: every row, or why it cannot be read; a stray quote never swallows the rest."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from tinycrm_core.transfer.presets import KNOWN, words
from tinycrm_core.transfer.sniff import InvalidFile, find_delimiter

MAX_LINES = 200
"""Lines a row may span; a row with more has a quote that was never closed."""
MAX_SIZE = 32 * 1024 * 1024
"""Characters of such a row."""

_says_delimiter = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE).fullmatch


class Record(NamedTuple):
    """One row: `number` counts rows, `line` is where it starts. `cells` or a `fault`."""

    number: int
    line: int
    cells: list[str]
    fault: str | None = None


class _Unclosed(Exception):
    pass


class _Lines(Iterator[str]):
    """Lines for the parser, which can be given back when a row turns out to be broken."""

    def __init__(self, lines: Iterator[str], start: int) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.size = 0
        self.start = start

    def __next__(self) -> str:
        taken = self.taken
        if taken and (len(taken) >= MAX_LINES or self.size > MAX_SIZE):
            raise _Unclosed
        line = self._again.popleft() if self._again else next(self._lines)
        taken.append(line)
        self.size += len(line)
        return line

    def done(self) -> None:
        """The lines taken were one row."""
        self.start += len(self.taken)
        self.taken.clear()
        self.size = 0

    def give_back(self) -> None:
        """Only the first of the lines taken belongs to the broken row."""
        self._again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def open_records(lines: Iterator[str], delimiter: str | None) -> tuple[str, Iterator[Record]]:
    """The delimiter, as given or found, and the rows, the header among them.

    A line such as `sep=;` in front, as Excel knows it, tells the delimiter and is no row.
    Raises InvalidFile for a file without any row.
    """
    filled = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    start, first = next(filled, (1, ""))
    if said := _says_delimiter(first):
        delimiter = delimiter or said[1]
        start, first = next(filled, (1, ""))
    if not first:
        raise InvalidFile("file: is empty", line=1)
    delimiter = delimiter or find_delimiter(first, lambda cell: KNOWN.get(words(cell)) == "email")
    return delimiter, records(chain((first,), lines), delimiter, start)


def records(lines: Iterator[str], delimiter: str, start: int = 1) -> Iterator[Record]:
    """Rows that are not blank, with quotes as in RFC 4180; `start` is the number of the first line.

    A row whose quote is never closed, or goes on after closing, is a fault of the line where it
    starts, and reading goes on with the next line.
    """
    feed = _Lines(lines, start)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    number = 0
    while True:
        fault = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _Unclosed:
            fault = f"a quote opens in line {feed.start} and is not closed within {MAX_LINES} lines"
        except csv.Error as error:
            cells, fault = _second_look(feed, delimiter, str(error))
        if fault is not None:
            cells = feed.taken[0].rstrip("\r\n").split(delimiter)
            feed.give_back()
        line = feed.start
        feed.done()
        if fault is not None or any(cells):
            number += 1
            yield Record(number, line, cells, fault)


def _second_look(feed: _Lines, delimiter: str, error: str) -> tuple[list[str], str | None]:
    """Why the parser stopped; a cell beyond its size limit, which is global, is read by hand."""
    if "field limit" not in error:
        if "unexpected end of data" in error:
            return [], f"a quote opens in line {feed.start} and is never closed"
        return [], f"line {feed.start}: a quoted cell goes on after its closing quote"
    try:
        while sum(line.count('"') for line in feed.taken) % 2:
            next(feed)
    except (_Unclosed, StopIteration):
        return [], f"a quote opens in line {feed.start} and is never closed"
    cells = _split("".join(feed.taken).rstrip("\r\n"), delimiter)
    if cells is None:
        return [], f"line {feed.start}: a quoted cell goes on after its closing quote"
    return cells, None


def _split(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row of any size, or None where the quotes make no sense."""
    cells, at = [], 0
    while True:
        if text.startswith('"', at):
            end = at + 1
            while (end := text.find('"', end)) >= 0 and text.startswith('""', end):
                end += 2
            if end < 0:
                return None
            cells.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
            if at < len(text) and text[at] != delimiter:
                return None
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cells.append(text[at:end])
            at = end
        if at >= len(text):
            return cells
        at += 1
