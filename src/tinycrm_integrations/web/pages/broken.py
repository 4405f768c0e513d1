"""The customers page when the question cannot be understood: where, why, and what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_integrations.web.http import Pairs
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.pages.segments import tabs
from tinycrm_integrations.web.visit import View, Visit

_WORD = re.compile(r"[\w.-]+|\S")
MAX_CHOICES = 12


def broken(visit: Visit, error: InvalidFilter, pairs: Pairs) -> View:
    """Says that nothing was searched, marks the place, and offers repairs that are known to work.

    The answer's status is 422.
    """
    texts = [value for key, value in pairs if key == error.field]
    text = texts[0] if len(texts) == 1 else ""
    place = error.position if error.field == "q" else None
    start, end = _marked(text, place)
    slugs = visit.slugs
    repairs = _repairs(text, start, end, error, slugs) if place is not None else []
    context = {
        "asked": Asked(),
        "tabs": list(tabs(visit, None)),
        "kept": [],
        "text": text if error.field == "q" else "",
        "title": "Nothing was searched",
        "reason": error.message if error.message[-1:] in ".?" else f"{error.message}.",
        "position": place,
        "field": error.field if error.field not in ("q", "filter") else None,
        "before": text[:start],
        "marked": text[start:end],
        "after": text[end:],
        "choices": error.choices[:MAX_CHOICES],
        "repairs": [(label, visit.links.customers([("q", fixed)])) for label, fixed in repairs],
        "example": slugs[0] if slugs else "shop",
    }
    return View("customers_error.html", context, 422)


def _marked(text: str, place: int | None) -> tuple[int, int]:
    """Start and end of what stands at the place where reading stopped."""
    if place is None:
        return 0, len(text)
    found = _WORD.match(text, place)
    return (place, found.end()) if found else (place, place)


def _repairs(
    text: str, start: int, end: int, error: InvalidFilter, slugs: Sequence[str]
) -> list[tuple[str, str]]:
    """Label and text of changes after which the question can be read."""
    offers = []
    if error.choices and re.fullmatch(r"[\w-]+", text[start:end]):
        offers.append((f"Use {error.choices[0]}", text[:start] + error.choices[0] + text[end:]))
    left = text.rfind(" ", 0, start) + 1
    right = text.find(" ", end)
    rest = f"{text[:left]}{text[right:].strip() if right >= 0 else ''}".strip()
    if rest and rest != text:
        offers.append(("Leave it out", rest))
    return [(label, fixed) for label, fixed in offers if _readable(fixed, slugs)]


def _readable(text: str, slugs: Sequence[str]) -> bool:
    try:
        filters.parse(text, projects=slugs)
    except InvalidFilter:
        return False
    return True
