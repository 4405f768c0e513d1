"""The import pages without a browser: from the file to the people, and back."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.admin.conftest import Answer, Browser
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.http import Upload

SAMPLES = files("tinycrm_server") / "demo"
WAITLIST = "waitlist_spreadsheet.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def admin(crm: TinyCRM, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The admin with a folder of its own for uploads."""
    monkeypatch.setenv("TINYCRM_DEBUG", "1")
    admin = Admin(crm, uploads_dir=folder, max_upload=3_000_000)
    yield Browser(crm, admin, prefix="/a b/crm")


def upload(admin: Browser, content: bytes | str, name: str = "people.csv", **form: str) -> Answer:
    data = content.encode() if isinstance(content, str) else content
    return admin.post("/import", form, uploads={"file": Upload(name, io.BytesIO(data))})


def looked(admin: Browser, content: bytes | str, name: str = "people.csv", **form: str) -> Answer:
    """The page after the dry run."""
    return settled(admin, upload(admin, content, name, **form).location)


def settled(admin: Browser, address: str) -> Answer:
    """The page once its job has ended."""
    for _ in range(600):
        page = admin.get(address)
        if "hx-trigger" not in page.text:
            return page
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def fields(page: Answer) -> dict[str, str]:
    """What the form of a page would send as it is."""
    form: dict[str, str] = {}
    text = page.text[page.text.index('<form id="map"') :]
    for tag in re.finditer(r"<input ([^>]*)>|<select ([^>]*)>(.*?)</select>", text, re.S):
        attributes = tag[1] or tag[2]
        name = re.search(r'name="([^"]*)"', attributes)
        if name is None or ("checkbox" in attributes and " checked" not in attributes):
            continue
        if tag[3] is not None:
            chosen = re.search(r"<option([^>]*) selected>([^<]*)", tag[3]) or re.search(
                r"<option([^>]*)>([^<]*)", tag[3]
            )
            assert chosen
            value = re.search(r'value="([^"]*)"', chosen[1])
            form[name[1]] = value[1] if value else chosen[2]
        else:
            value = re.search(r'value="([^"]*)"', attributes)
            form[name[1]] = value[1] if value else ""
    return form


def address(page: Answer) -> str:
    found = re.search(r'<form id="map" action="([^"]*)"', page.text)
    assert found
    return found[1]


def heading(page: Answer) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page.text, re.S)
    assert found
    return " ".join(re.sub("<[^>]*>", "", found[1]).split())


def again(admin: Browser, page: Answer, **changes: str) -> Answer:
    """Send the form of a page with some fields changed, and go where it leads."""
    answer = admin.post(address(page), fields(page) | {"do": "read"} | changes)
    return settled(admin, answer.location) if answer.status == 303 else answer


def test_the_sample_of_a_spreadsheet_goes_in_and_out_again(admin: Browser, crm: TinyCRM) -> None:
    page = looked(admin, (SAMPLES / WAITLIST).read_bytes(), WAITLIST, new="waitlist")
    assert heading(page).startswith("303 rows from waitlist_spreadsheet.csv go into waitlist:")
    assert "not a status" in page.text
    assert "Nothing has been written yet" in page.text
    assert crm.customers.count() == 0
    page = again(admin, page, **{"word.waitlist": "free"})
    assert "none rejected" not in heading(page)
    assert "2 rejected" in heading(page)
    result = again(admin, page, do="import")
    assert heading(result).startswith("301 rows from waitlist_spreadsheet.csv are in waitlist")
    assert crm.customers.count() == 300
    batch = re.search(r"/import/batches/([^/]*)/undo", result.text)
    assert batch
    undone = settled(admin, admin.post(f"/import/batches/{batch[1]}/undo").location)
    assert "300 removed" in heading(undone)
    assert crm.customers.count() == 0
    assert "Undone" in admin.get("/import").text
