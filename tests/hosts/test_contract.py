"""What the admin promises in every host, at every mount."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import pytest

from tests.hosts.conftest import MOUNTS
from tests.hosts.processes import Host, Hosts
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.render import HEADERS

MAX_PAGES = 60
"""Pages that one crawl loads; each kind of page is among them, as its links are taken in turn."""


class Addresses(HTMLParser):
    """Collects what a page points to: links, forms, images, scripts, styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.forms: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "form" and (named.get("method") or "get").lower() == "post":
            return  # another test sends forms
        for name in ("href", "src", "action", "hx-get", "formaction"):
            if value := named.get(name):
                self.found.append(value)
                if "action" in name:
                    self.forms.add(value)


def somebody(sample: Path) -> str:
    with TinyCRM(f"sqlite:///{sample}") as crm:
        return str(next(iter(crm.customers.find("projects>=2", limit=1))).id)


@pytest.mark.parametrize("query", ["", "?q=status:paid", "?projects__gte=2&sort=name", "?q=é"])
def test_the_customers_page(host: Host, query: str) -> None:
    answer = host.get(f"/{quote(query, safe='?=&:')}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1" in answer.text


def test_every_link_and_asset_leads_somewhere(host: Host, sample: Path) -> None:
    """F12: breadth first from the first page, nothing is broken and nothing leaves the mount."""
    start = f"{host.mount}/"
    waiting, seen, kinds = [start, f"{host.mount}/customers/{somebody(sample)}"], {start}, {}
    loaded, forms = 0, set()
    while waiting and loaded < MAX_PAGES:
        # The kinds that were seen least come first, so that sixty pages cover all of them.
        waiting.sort(key=lambda path: kinds.get(kind_of(host, path), 0))
        path = waiting.pop(0)
        kinds[kind_of(host, path)] = kinds.get(kind_of(host, path), 0) + 1
        answer = host.ask("GET", path)
        loaded += 1
        # What a form leads to asks for its fields.
        expected = (200, 422) if path in forms else (200,)
        assert answer.status in expected, f"{path} answers {answer.status}"
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        addresses = Addresses(answer.text)
        forms |= {urldefrag(urljoin(path, each)).url for each in addresses.forms}
        for address in addresses.found:
            assert not urlsplit(address).netloc, f"{address} on {path} is no path"
            target = urldefrag(urljoin(path, address)).url
            if urlsplit(address).scheme in ("mailto", "http", "https"):
                continue
            assert target.startswith(start), f"{address} on {path} leaves the mount"
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    assert {"/", "customers", "assets"} <= set(kinds)


def kind_of(host: Host, path: str) -> str:
    below = urlsplit(path).path.removeprefix(f"{host.mount}/")
    return below.partition("/")[0] or "/"


@pytest.mark.parametrize("mount", [each for each in MOUNTS if each])
def test_the_bare_mount_leads_inside(running: Hosts, kind: str, mount: str) -> None:
    answer = Host(kind, running[kind], mount).get("")
    assert answer.status in (301, 307, 308)
    address = urlsplit(answer.headers["location"])
    assert address.path == f"{mount}/"
    # Starlette never asks its mounts; its own redirect names the host that was asked.
    assert not address.netloc or kind == "starlette"


def test_what_is_not_there_is_a_404_page(host: Host) -> None:
    for path in ("/nothing", "/customers/nobody", "/assets/0/tinycrm.css", "/assets/../x"):
        answer = host.get(path)
        assert answer.status == 404, path
        assert "<h1" in answer.text


def test_other_methods_are_405(host: Host) -> None:
    answer = host.ask("PUT", f"{host.mount}/", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status == 405 or (
        host.kind in ("flask", "django-wsgi", "django-asgi") and answer.status in (400, 403)
    )
    if answer.status == 405:
        assert answer.headers["allow"] == "GET, HEAD"


def test_head_is_get_without_a_body(host: Host) -> None:
    answer = host.ask("HEAD", f"{host.mount}/")
    assert (answer.status, answer.body) == (200, b"")


def test_a_wrong_question_is_an_error_page(host: Host) -> None:
    answer = host.get("/?q=status:payd")
    assert answer.status == 422
    assert "churned" in answer.text


def test_d4_every_answer_carries_the_headers(host: Host, sample: Path) -> None:
    """D4: pages, errors and redirects say how they are to be treated."""
    for path in ("/", "/nothing", "/?q=%28", f"/customers/{somebody(sample)}"):
        headers = host.get(path).headers
        for name, value in HEADERS.items():
            assert headers[name.lower()] == value, (path, name)


def test_files_of_the_admin_may_be_kept_for_ever(host: Host) -> None:
    page = host.get("/").text
    for address in re.findall(r'(?:href|src)="([^"]+/assets/[^"#]+)', page):
        answer = host.ask("GET", address)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]


def test_d5_nobody_gets_in_without_the_hosts_word(host: Host, sample: Path) -> None:
    """D5: one gate around every route, exports, parts and files included."""
    with TinyCRM() as crm:
        routes = list(Admin(crm).routes)
    assert len(routes) >= 3
    for route in routes:
        path = re.sub(r"\{\w+\}", somebody(sample), route.path)
        answer = host.ask(route.method, host.mount + path, who=None)
        assert answer.status in (400, 403), (route.method, route.path)
        assert "@" not in answer.text


def test_d3_forms_of_other_sites_do_nothing(host: Host, sample: Path) -> None:
    """D3: whatever the host's own check, a form from elsewhere never arrives."""
    with TinyCRM() as crm:
        posts = [each.path for each in Admin(crm).routes if each.method == "POST"]
    with TinyCRM(f"sqlite:///{sample}") as crm:
        before = crm.customers.count(), len(crm.projects.list()), len(crm.segments.list())
        for path in posts:
            path = host.mount + re.sub(r"\{\w+\}", somebody(sample), path)
            for headers in (
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site"},
                {"Sec-Fetch-Site": "none", "Origin": "https://elsewhere.example"},
            ):
                assert host.ask("POST", path, form=[], headers=headers).status in (400, 403)
        assert before == (
            crm.customers.count(), len(crm.projects.list()), len(crm.segments.list())
        )  # fmt: skip


def test_every_host_sends_the_same_page(running: Hosts, kind: str, sample: Path) -> None:
    """Only the mount and the hidden field of forms differ."""
    for path in ("/", "/?q=status:paid", f"/customers/{somebody(sample)}"):
        pages = {
            mount: plain(Host(kind, running[kind], mount).get(path).text, mount)
            for mount in ("", "/a/b", "/outer/a/b")
        }
        reference = plain(Host("starlette", running["starlette"], "").get(path).text, "")
        assert set(pages.values()) == {reference}, path


def plain(html: str, mount: str) -> str:
    html = re.sub(r'<input type="hidden" name="csrf\w+" value="[^"]+">\s*', "", html)
    return html.replace(f'"{mount}/', '"/') if mount else html


@pytest.mark.parametrize("missing", [None, False])
def test_d5_a_mount_without_authorize_refuses(missing: object) -> None:
    """D5: forgetting the rule is an error when the application is put together."""
    from tinycrm_core.errors import InvalidInput
    from tinycrm_integrations.django.mount import admin_urls
    from tinycrm_integrations.fastapi.mount import admin_router
    from tinycrm_integrations.flask.mount import admin_blueprint
    from tinycrm_integrations.starlette.mount import admin_routes

    for mount in (admin_blueprint, admin_routes, admin_router, admin_urls):
        with TinyCRM() as crm, pytest.raises(InvalidInput, match="authorize"):
            mount(crm, authorize=missing)  # type: ignore[operator]
    for mount in (admin_blueprint, admin_routes, admin_router):
        with TinyCRM() as crm, pytest.raises(TypeError, match="authorize"):
            mount(crm)  # type: ignore[operator]
