"""The forms of a page, filled in as a browser fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from tests.admin.conftest import Answer, Browser


@dataclass
class PageForm:
    """One form; `fields` are what a browser would send of it."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **values: str) -> list[tuple[str, str]]:
        """Its fields with others typed into some; a name ends in `_` for a Python keyword."""
        typed = {name.removesuffix("_"): value for name, value in values.items()}
        kept = [pair for pair in self.fields if pair[0] not in typed]
        return [*kept, *typed.items()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.select: str | None = None
        self.option: str | None = None
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert not self.inside, "a form inside a form"
            self.inside = True
            self.forms.append(PageForm(named.get("action", ""), named.get("method", "get")))
        elif self.inside and tag == "input" and named.get("name"):
            ticked = named.get("type") not in ("radio", "checkbox") or "checked" in named
            if ticked and named.get("type") != "file":
                self.forms[-1].fields.append((named["name"], named.get("value", "")))
        elif self.inside and tag == "select":
            self.select, self.option = named["name"], None
        elif self.select and tag == "option" and (self.option is None or "selected" in named):
            self.option = named.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select" and self.select:
            self.forms[-1].fields.append((self.select, self.option or ""))
            self.select = None


def forms(answer: Answer) -> list[PageForm]:
    """All forms of a page."""
    reader = _Reader()
    reader.feed(answer.text)
    return reader.forms


def form(answer: Answer, ending: str) -> PageForm:
    """The one form whose action ends like this, up to a `#`."""
    found = [each for each in forms(answer) if each.action.partition("#")[0].endswith(ending)]
    assert len(found) == 1, [each.action for each in forms(answer)]
    return found[0]


def send(admin: Browser, answer: Answer, ending: str, **values: str) -> Answer:
    """Fill in a form of a page and send it."""
    found = form(answer, ending)
    if found.method == "post":
        return admin.post(found.action, found.filled(**values))
    path = found.action.partition("#")[0]
    return admin.get(f"{path}?{urlencode(found.filled(**values))}")
