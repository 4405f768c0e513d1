"""The templates and what they may call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from tinycrm_integrations.web.links import shown

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: that turns the Origin of our own forms into "null".
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every page is sent with."""


def environment(templates_dirs: Sequence[str | Path] = ()) -> Environment:
    """The templates; a file of the same name in one of `templates_dirs` comes before ours."""
    ours = PackageLoader("tinycrm_integrations.web")
    found = Environment(
        loader=ChoiceLoader([*(FileSystemLoader(each) for each in templates_dirs), ours]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "ago": ago,
        "amount": amount,
        "day": day,
        "in_words": in_words,
        "instant": instant,
        "moment": moment,
        "number": number,
        "said": said,
        "shown": shown,
    }
    return found


def ago(then: datetime, now: datetime) -> str:
    """How long ago, as short as a column wants it; the date itself after 30 days."""
    passed = now - then
    minutes = int(passed / timedelta(minutes=1))
    if minutes < 1:
        return "now" if passed > -timedelta(minutes=1) else day(then)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    if minutes < 31 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    return day(then)


def said(then: datetime, now: datetime) -> str:
    """The same inside a sentence: `15 h ago`, `just now`, `on 24 Aug 2026`."""
    short = ago(then, now)
    if short == "now":
        return "just now"
    return f"on {short}" if short == day(then) else f"{short} ago"


def day(then: datetime) -> str:
    """A date as people write it."""
    return f"{then.day} {then:%b %Y}"


def moment(then: datetime) -> str:
    """A date with its time of day, which is UTC."""
    return f"{day(then)}, {then:%H:%M} UTC"


def instant(then: datetime) -> str:
    """The same for machines, as short as it goes."""
    return f"{then:%Y-%m-%dT%H:%MZ}"


def in_words(count: int) -> str:
    """A count inside a sentence: small ones are spelled out."""
    return _WORDS[count] if 0 <= count < len(_WORDS) else number(count)


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"


def amount(value: float) -> str:
    """A number that was added up or averaged."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
