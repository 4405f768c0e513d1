"""The page for what was there a moment ago, or was done already: what happened, and where to go."""

from __future__ import annotations

from collections.abc import Sequence

from tinycrm_integrations.web.visit import View


def gone(title: str, line: str, ways: Sequence[tuple[str, str]], status: int = 404) -> View:
    """A title, a sentence, and links with their labels; 409 for what was done meanwhile."""
    return View("gone.html", {"title": title, "lines": [line], "ways": ways}, status)
