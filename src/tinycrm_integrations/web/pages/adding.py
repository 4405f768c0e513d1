"""The form that adds a condition, and the one that chooses columns: fed by the keys seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.model import Json, Status
from tinycrm_core.params import path_parts
from tinycrm_core.state import ParamKeyState
from tinycrm_integrations.web.forms import Form, sentence
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.links import shown
from tinycrm_integrations.web.pages.asked import Asked
from tinycrm_integrations.web.pages.columns import FIXED, USUAL, param_columns, spelled
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

PERSON = (
    ("q", "words in name or email"),
    ("email", "email"),
    ("name", "name"),
    ("created", "first known"),
    ("seen", "active anywhere"),
    ("projects", "number of products"),
)
MEMBERSHIP = (
    ("project", "is on it"),
    ("status", "status"),
    ("joined", "joined"),
    ("active", "last active"),
)
HOW = (
    ("", "is"),
    ("not", "is not"),
    ("in", "is one of"),
    ("contains", "contains"),
    ("starts", "starts with"),
    ("gte", "at least, since"),
    ("lte", "at most, until"),
    ("gt", "more than, after"),
    ("lt", "less than, before"),
    ("between", "between"),
    ("exists", "is there"),
    ("missing", "is missing"),
)
KINDS = {"date": "date", "number": "number", "boolean": "yes or no", "text": "text"}
MAX_KEYS = 60
MAX_SAMPLES = 5
LONGEST = 24
"""Characters of a sample value."""


@dataclass(frozen=True, slots=True)
class Key:
    """A params key seen: its name behind `p.`, what its values mostly are, and some of them."""

    name: str
    kind: str
    samples: tuple[str, ...]
    projects: tuple[str, ...]


def keys(seen: Sequence[tuple[str, ParamKeyState]]) -> list[Key]:
    """One for each key that a filter can name, those that most people have first."""
    found: dict[str, list[tuple[str, ParamKeyState]]] = {}
    for slug, state in seen:
        name = spelled(path_parts(state.path))
        if name is not None and _kind([state]) is not None:
            found.setdefault(name, []).append((slug, state))
    common = sorted(found.items(), key=lambda item: -sum(s.count for _, s in item[1]))
    return [
        Key(
            name,
            _kind([state for _, state in states]) or "text",
            tuple(_samples(value for _, state in states for value in reversed(state.samples))),
            tuple(slug for slug, _ in states),
        )
        for name, states in common[:MAX_KEYS]
    ]


def _kind(states: Sequence[ParamKeyState]) -> str | None:
    """What the values mostly are; None for lists and objects, which no filter compares."""
    counts = {kind: sum(each.kinds.get(kind, 0) for each in states) for kind in KINDS}
    best = max(counts, key=lambda kind: counts[kind])
    return KINDS[best] if counts[best] else None


def _samples(values: Iterator[Json]) -> list[str]:
    texts = dict.fromkeys(shown(each) for each in values if not isinstance(each, dict | list))
    short = [each for each in texts if each and len(each) <= LONGEST and each.isprintable()]
    return sorted(short[:MAX_SAMPLES], key=lambda text: (len(text), text))


def add(visit: Visit) -> View | Response:
    """The form; filled in, it leads to the question with one condition more."""
    request = visit.request
    sent = dict(request.query)
    asked = Asked.parse(sent["query"]) if "query" in sent else Asked.read(request.query)
    filter = asked.filter(visit)
    reasons = {}
    if "what" in sent:
        pairs = [*asked.pairs, _pair(sent)]
        try:
            more = asked.of(filters.from_pairs(pairs, projects=visit.slugs))
            return redirect(visit.links.customers(more.query()))
        except InvalidFilter as error:
            reasons = {"value": sentence(error)}
    known = keys(visit.crm.projects.params())
    context = {
        "asked": asked,
        "form": Form(sent, reasons),
        "parts": filters.describe_parts(filter),
        "title": "Add a filter",
        "person": PERSON,
        "membership": MEMBERSHIP,
        "how": HOW,
        "known": known,
        "statuses": [each.value for each in Status],
    }
    return View("add.html", context, 422 if reasons else 200, filter=filter)


def _pair(sent: dict[str, str]) -> tuple[str, str]:
    """The query pair for what was chosen; only membership fields go with a product."""
    what, how, value = sent["what"], sent.get("how", ""), sent.get("value", "").strip()
    product = sent.get("on", "")
    if what == "q":
        return "q", value
    if what == "project":
        minus = "-" if how == "not" else ""
        return f"{minus}project", value or product
    of_person = what in dict(PERSON)
    at = f"@{product}" if product and not of_person else ""
    if how in ("exists", "missing"):
        value = "1"
    return f"{what}{at}" + (f"__{how}" if how else ""), value


def columns(visit: Visit) -> View:
    """The column chooser, which leads to the same question with other columns."""
    asked = Asked.read(visit.request.query)
    filter = asked.filter(visit)
    seen = visit.crm.projects.params()
    usual = param_columns((state for _, state in seen), filter, asked.sort)
    shown_now = asked.cols if asked.cols is not None else (*USUAL, *(each.key for each in usual))
    names = [(f"p.{each.name}", each.kind) for each in keys(seen)]
    kinds = dict(names)
    chosen = [each for each in shown_now if each.startswith("p.")]
    context = {
        "asked": asked,
        "chosen": set(shown_now),
        "fixed": [(each, FIXED_LABELS[each]) for each in FIXED],
        "params": [
            *((each, kinds.get(each.partition("@")[0], "")) for each in chosen),
            *(each for each in names if each[0] not in chosen),
        ],
        "parts": filters.describe_parts(filter),
        "title": "Columns",
    }
    return View("columns.html", context, filter=filter)


FIXED_LABELS = {"products": "Products", "seen": "Last active", "created": "First known"}

ROUTES = (Route("GET", "/add", add), Route("GET", "/columns", columns))
