"""The words in a file's status column and what each becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tinycrm_core.errors import InvalidStatus
from tinycrm_core.events import STATUSES, clean_status
from tinycrm_core.transfer.guard import unguard
from tinycrm_core.transfer.presets import Preset
from tinycrm_core.transfer.reader import open_records
from tinycrm_core.transfer.sniff import TextFile
from tinycrm_integrations.web.pages.importing_files import Upload
from tinycrm_integrations.web.pages.importing_reading import Head

MAX_WORDS = 40
"""Words that are listed; a column with more of them is hardly a status."""
LONGEST_WORD = 100
_OFTEN = 10_000


@dataclass(frozen=True, slots=True)
class Word:
    """One word without its case: how it is spelled in the file, and on how many rows.

    `becomes` is a status, "" where it says nothing and None where it rejects the row. `is_plain`
    is a word that can mean only one thing, `is_unknown` one that means nothing by itself.
    """

    word: str
    spelled: list[str]
    count: int
    becomes: str | None
    is_plain: bool
    is_unknown: bool


def count_words(upload: Upload, head: Head, tell: Callable[[], None]) -> dict[str, Any]:
    """Every word of the status column with its spellings, as JSON; empty without such a column."""
    index = head.at("status")
    counts: Counter[str] = Counter()
    spelled: dict[str, list[str]] = {}
    if index is not None:
        for row, cell in enumerate(_cells(upload, head, index)):
            given = unguard(cell).strip()[:LONGEST_WORD]
            word = given.lower()
            if word in counts or len(counts) < MAX_WORDS:
                counts[word] += 1
                spellings = spelled.setdefault(word, [])
                if given not in spellings and len(spellings) < 3:
                    spellings.append(given)
            if row % _OFTEN == 0:
                tell()
    return {"counts": counts, "spelled": spelled}


def read_words(
    found: Mapping[str, Any], preset: Preset, chosen: Mapping[str, str]
) -> Iterator[Word]:
    """The counted words with what each becomes; those that reject rows first."""
    words = [
        Word(
            word,
            found["spelled"][word],
            count,
            _becomes(word, preset, chosen),
            is_plain=word in STATUSES and word not in preset.statuses,
            is_unknown=_becomes(word, preset, {}) is None,
        )
        for word, count in found["counts"].items()
    ]
    yield from sorted(words, key=lambda each: (not each.is_unknown, each.is_plain, -each.count))


def _becomes(word: str, preset: Preset, chosen: Mapping[str, str]) -> str | None:
    if word in chosen:
        return None if chosen[word] == "reject" else chosen[word]
    if word in preset.statuses or not word:
        return preset.statuses.get(word, "")
    try:
        return clean_status(word, forgiving=True)
    except InvalidStatus:
        return None


def automatic(word: str, preset: Preset) -> str:
    """What a word becomes unless somebody says otherwise, as a form has it."""
    found = _becomes(word, preset, {})
    return "reject" if found is None else found


def _cells(upload: Upload, head: Head, index: int) -> Iterator[str]:
    with upload.data.open("rb") as stream:
        lines = TextFile(stream, upload.choices.encoding).lines()
        _, found = open_records(lines, head.delimiter)
        if upload.choices.headed:
            next(found, None)
        for record in found:
            if not record.fault and index < len(record.cells):
                yield record.cells[index]
