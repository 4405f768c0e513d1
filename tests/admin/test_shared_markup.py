"""What templates may hold, and what pages may weigh."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tinycrm_integrations.web as web
from tests.admin.conftest import Browser
from tinycrm_integrations.web.links import ASSETS, asset

FOLDER = Path(web.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
HTMX = {
    f"hx-{name}"
    for name in (
        *("get", "post", "target", "select", "swap", "trigger", "include", "push-url"),
        *("indicator", "sync", "confirm", "disable", "preserve", "status"),
    )
}
SWAPS = {"outerHTML", "innerHTML", "outerMorph", "innerMorph"}


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script" and data.strip():
            self.scripts.append(data)


def faults(text: str) -> list[str]:
    """What the content security policy, or our own rules, would not have."""
    plain = re.sub(r"\{[{%#].*?[}%#]\}", "", text, flags=re.DOTALL)
    tags = Tags(plain)
    found = [f"inline script: {each[:40]}" for each in tags.scripts]
    for tag, attributes in tags.found:
        for name, value in attributes.items():
            if name.startswith("on") or name == "style":
                found.append(f"{name} on {tag}")
            if name.startswith(("hx-", "data-hx-")) and name not in HTMX:
                found.append(f"{name} on {tag}")
            if name.startswith("hx-") and re.search(r"\bjs:|javascript:|\[", value or ""):
                found.append(f"{name}={value}")
            if name == "hx-swap" and value not in SWAPS:
                found.append(f"hx-swap={value}")
            if re.match(r"(?:https?:)?//|javascript:|data:", value or ""):
                found.append(f"{name}={value} leads away")
        if tag in ("style", "base", "iframe", "object", "embed"):
            found.append(tag)
    return found + [each for each in ("|safe", "| safe", "autoescape false") if each in text]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_d1_templates_hold_nothing_inline(template: Path) -> None:
    """D1: and of htmx only what needs no evaluation."""
    assert faults(template.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        '<p onclick="x()">',
        '<p style="color: red">',
        "<script>x()</script>",
        '<p hx-on:click="x()">',
        '<p hx-vals="js:{a: 1}">',
        '<p hx-get="/x" hx-trigger="click[ctrlKey]">',
        '<p hx-boost="true">',
        '<a href="https://cdn.example/x.js">',
        "{{ name | safe }}",
        "<style>p { color: red }</style>",
    ],
)
def test_the_rule_about_templates_can_fail(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_every_form_that_posts_carries_the_field_of_the_host(template: Path) -> None:
    text = template.read_text("utf-8")
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        assert "csrf_input()" in form, f"{template.name}: {form[:80]}"


def test_our_script_writes_no_html() -> None:
    text = (FOLDER / "static/tinycrm.js").read_text("utf-8")
    for word in (
        "insertAdjacentHTML",
        ".innerHTML",
        "outerHTML =",
        "eval(",
        "new Function",
        ".style",
    ):
        assert word not in text


def test_assets_stay_small() -> None:
    assert len(asset("tinycrm.css")) < 24 * 1024
    packed = {name: len(gzip.compress(asset(name), 9)) for name in ASSETS}
    assert sum(packed.values()) <= 60 * 1024, packed


def test_vendored_files_bring_their_licence() -> None:
    assert b"Zero-Clause BSD" in (FOLDER / "static/htmx.LICENSE").read_bytes()
    assert b"4.0.1" in asset("htmx.js")


def test_fifty_rows_stay_below_sixty_kilobytes(admin: Browser) -> None:
    """With five badges and two params each, below a prefix."""
    for slug in ("newsletter", "linkbio", "analytics", "shop", "waitlist"):
        project = admin.crm.project(slug)
        for n in range(60):
            status = ("free", "trial", "paid", "churned")[n % 4]
            params = {"plan": "starter", "total_spend": n * 7.5}
            name = f"Alexandra Someone {n:02}"
            email = f"alexandra.someone{n:02}@mail.example"
            project.identify(email, name=name, status=status, params=params)
    page = admin.get("/?sort=name")
    assert page.text.count('class="badge ') == 250
    assert len(page.body) <= 60 * 1024
