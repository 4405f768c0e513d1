"""What was just done is said by a fixed text that an address picks, and never writes."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.admin.conftest import Browser
from tinycrm_integrations.web.notes import NOTES, done

ID = UUID("0190d6c8-0000-7000-8000-000000000001")


def test_every_note_is_shown_and_its_undo_is_a_form(admin: Browser) -> None:
    admin.csrf = ("csrf_token", 't0k"en')
    for key, note in NOTES.items():
        page = admin.get(done("/", key, n=1204, id=ID))
        assert page.status == 200
        assert note.text.replace("{n}", "1,204") in page.text
        if note.undo:
            undo = note.undo.replace("{id}", str(ID))
            assert f'action="/a%20b/crm{undo}" method="post"' in page.text
            assert '<input type="hidden" name="csrf_token" value="t0k&#34;en">' in page.text


@pytest.mark.parametrize(
    "query",
    [
        "done=nothing",
        "done=status-set",
        "done=status-set&n=",
        "done=status-set&n=-1",
        "done=status-set&n=1e3",
        "done=status-set&n=%D9%A3",
        "done=status-set&n=1234567890",
        "done=merged",
        "done=merged&id=../../x",
        "done=%3Cb%3Emerged",
    ],
)
def test_d1_no_address_writes_a_note_of_its_own(admin: Browser, query: str) -> None:
    page = admin.get(f"/?{query}")
    assert page.status == 200
    assert "data-done" not in page.text


def test_the_links_of_a_page_leave_its_note_behind(admin: Browser) -> None:
    admin.crm.project("shop").identify("ann@example.com")
    page = admin.get(done("/?q=ann", "segment-saved"))
    assert "The segment was saved" in page.text
    assert "done=" not in page.text
