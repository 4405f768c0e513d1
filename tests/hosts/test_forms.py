"""Forms and uploads in every host, beside the host's own check of forms."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from tests.admin.page_forms import PageForm, forms
from tests.hosts.processes import Host
from tests.hosts.test_contract import somebody
from tests.serving import Answer
from tinycrm_core.client import TinyCRM

CHECKING = {"flask": 400, "django-wsgi": 403, "django-asgi": 403}
"""Hosts that check forms themselves, and what they answer when their field is missing."""


def opened(host: Host, path: str) -> tuple[list[PageForm], dict[str, str]]:
    """The forms of a page that write, and the cookie that came with it."""
    page = host.get(path)
    assert page.status == 200, path
    cookie = page.headers.get("set-cookie", "").partition(";")[0]
    found = [each for each in forms(page) if each.method == "post"]  # type: ignore[arg-type]
    return found, {"Cookie": cookie} if cookie else {}


def test_f12_every_form_carries_the_field_of_the_host(host: Host, sample: Path) -> None:
    """F12: the host's own check stays on, and every form of ours passes it."""
    person = somebody(sample)
    for path in (
        "/",
        "/projects",
        "/import",
        f"/customers/{person}",
        f"/customers/{person}/delete",
    ):
        found, _ = opened(host, path)
        assert found, path
        for form in found:
            names = [name for name, _ in form.fields if name.startswith("csrf")]
            assert len(names) == (host.kind in CHECKING), (path, form)
            assert form.action.startswith(f"{host.mount}/"), (path, form)


def test_f12_a_form_is_taken_with_its_field_and_not_without(host: Host, sample: Path) -> None:
    """F12: neither our check nor the host's can be left out."""
    slug = f"s{secrets.token_hex(8)}"
    found, cookie = opened(host, "/projects")
    [form] = [each for each in found if each.action == f"{host.mount}/projects"]
    typed = form.filled(slug=slug, name="Made here")
    bare = [pair for pair in typed if not pair[0].startswith("csrf")]

    def send(fields: list[tuple[str, str]], headers: dict[str, str]) -> Answer:
        return host.ask("POST", form.action, form=fields, headers=cookie | headers)

    def known() -> bool:
        with TinyCRM(f"sqlite:///{sample}") as crm:
            return slug in {each.slug for each in crm.projects.list()}

    if host.kind in CHECKING:
        assert send(bare, {}).status == CHECKING[host.kind]
    assert send(typed, {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert not known()
    done = send(typed, {})
    assert done.status in (200, 303), done.text
    assert known()
    with TinyCRM(f"sqlite:///{sample}") as crm:
        crm.projects.delete(slug)


def test_a_file_is_uploaded(host: Host) -> None:
    """The file of a form arrives whole, with its name, and nothing is written before it is said."""
    found, cookie = opened(host, "/import")
    [form] = [each for each in found if each.action == f"{host.mount}/import"]
    rows = "".join(f"p{n}@example.com,{n}\r\n" for n in range(20_000))
    boundary = "a-boundary-of-a-browser"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.filled(project="newsletter")
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="péople.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\nemail,visits\r\n{rows}\r\n--{boundary}--\r\n"
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = host.ask("POST", form.action, body="".join(parts).encode(), headers=cookie | kind)
    assert answer.status == 303, answer.text
    place = answer.headers["location"]
    assert re.fullmatch(rf"{host.mount}/import/[\w-]+", place)
    page = host.ask("GET", place)
    assert page.status == 200
    assert "péople.csv" in page.text
    assert "visits" in page.text
    gone = host.post(f"{place.removeprefix(host.mount)}/discard", [])
    assert gone.status == 303
    assert host.ask("GET", place).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_d3_looking_changes_nothing(host: Host, sample: Path, method: str) -> None:
    """D3: the addresses that forms write to do nothing when they are only visited."""
    found, _ = opened(host, "/projects")
    with TinyCRM(f"sqlite:///{sample}") as crm:
        before = [(each.slug, each.name) for each in crm.projects.list()]
        for form in found:
            host.ask(method, form.action)
        assert [(each.slug, each.name) for each in crm.projects.list()] == before
