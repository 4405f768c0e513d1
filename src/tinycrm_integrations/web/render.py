"""The templates and what they may call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinycrm_integrations.web.links import Links, shown

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every page is sent with."""


@dataclass(frozen=True, slots=True)
class View:
    """A page before it is HTML: the status of the answer, the template and what it shows."""

    status: int
    template: str
    context: Mapping[str, Any] = field(default_factory=dict)


def render(view: View, links: Links, *, now: datetime, theme: str | None = None) -> str:
    """The HTML of a view. `theme` is `light`, `dark` or None for what the system prefers."""
    context = {"links": links, "now": now, "theme": theme, **view.context}
    return _environment().get_template(view.template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tinycrm_integrations.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago,
        "day": day,
        "moment": moment,
        "number": number,
        "said": said,
        "shown": shown,
    }
    return environment


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


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"
