"""Comparing text without regard to case: one function, for every backend."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def fold(text: str) -> str:
    """The form in which emails, names and searches are compared: NFC, then case-folded.

    Case goes, accents stay: `fold("ZOË") == fold("zoë") != fold("zoe")`. Databases disagree
    about case beyond ASCII, so folded text is made here and stored; SQL never folds.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text).casefold()


def search_key(email: str, aliases: Iterable[str], name: str | None) -> str:
    """What bare words are looked up in: the folded email, aliases and name, one per line."""
    # Nothing composes or folds across a line break, so the whole folds like its pieces.
    return fold("\n".join((email, *aliases, name) if name else (email, *aliases)))
