"""Cells that a spreadsheet would run: an apostrophe in front keeps them text, and comes off again.

What a guard makes of a text is undone exactly by `unguard`: a text that begins with an apostrophe
before such a character of its own gets one more.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

DANGEROUS: Final = "=+\\-@\t\r\n\0＝＋－＠"  # noqa: RUF001 - full-width on purpose
_starts = re.compile(f"'*[{DANGEROUS}]").match
_guarded = re.compile(f"'+[{DANGEROUS}]").match
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def guard(text: str) -> str:
    """The text as no spreadsheet takes for a formula."""
    return "'" + text if _starts(text) else text


def unguard(text: str) -> str:
    """The text before `guard`; anything else is left as it is."""
    return text[1:] if _guarded(text) else text


def content_disposition(filename: str) -> str:
    """The value of a Content-Disposition header that offers a download under this name.

    Only the last part of a path counts; control characters, quotes and characters that a file
    system refuses become `_`. The header is ASCII, with the full name as RFC 5987 has it.
    """
    last = re.split(r"[/\\]", filename)[-1]
    clean = _FORBIDDEN.sub("_", last).strip(" .")[:120] or "download"
    plain = clean.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"
