"""The import pages where steps come twice, too soon, too late, or from somewhere else."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path

import pytest

from tests.admin.conftest import Browser
from tests.admin.test_importing import (
    address,
    admin,
    again,
    fields,
    folder,
    heading,
    looked,
    settled,
    upload,
)
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.pages import importing, importing_files, importing_work
from tinycrm_integrations.web.pages.importing_files import Upload, Uploads, shown_name
from tinycrm_integrations.web.pages.importing_jobs import Job, Tell, start

__all__ = ["admin", "folder"]  # fixtures


def kept(admin: Browser, folder: Path, where: str) -> Upload:
    """What the pages know of a file, by its address."""
    return Uploads(folder).get(admin.crm, admin.actor, where.rpartition("/")[2])


def test_a_new_product_comes_before_one_that_was_chosen(admin: Browser, crm: TinyCRM) -> None:
    crm.projects.add("shop")
    page = looked(admin, "email\na@example.com\n", project="shop", new="till")
    assert "goes into till" in heading(page)


def test_what_the_dry_run_could_not_read_is_not_imported(admin: Browser, crm: TinyCRM) -> None:
    """I2: not even the rows before the fault, whatever a form asks for."""
    rows = b"".join(b"p%d@example.com,x\n" % number for number in range(9000))
    page = looked(admin, b"email,name\n" + rows + b"q@example.com,\xff\n", new="shop")
    answer = admin.post(address(page), fields(page) | {"do": "import"})
    settled(admin, answer.location)
    assert crm.customers.count() == 0
    assert not crm.imports.list()


def test_a_running_import_is_not_discarded(admin: Browser, folder: Path) -> None:
    where = address(looked(admin, "email\na@example.com\n", new="shop"))
    known = kept(admin, folder, where)
    known.run = "run"
    known.save()
    go = threading.Event()

    def work(tell: Tell) -> dict[str, int]:
        go.wait(20)
        return {}

    thread = start(Job(known.folder, "run"), work)
    assert thread is not None
    assert admin.post(f"{where}/discard").location.endswith("/import")
    assert known.folder.exists()
    go.set()
    thread.join(20)
    admin.post(f"{where}/discard")
    assert not known.folder.exists()


def test_an_import_that_failed_is_begun_again(admin: Browser, crm: TinyCRM, folder: Path) -> None:
    where = address(looked(admin, "email\na@example.com\n", new="shop"))
    known = kept(admin, folder, where)
    known.run = "run"
    known.save()
    Job(known.folder, "run").write("failed", {"message": "no room", "field": None})
    assert "No room" in admin.get(where).text
    assert crm.customers.count() == 0
    page = settled(admin, admin.post(where, {}).location)
    assert heading(page).startswith("1 row from people.csv is in shop:")
    assert crm.customers.count() == 1
    admin.post(where, {})
    assert len(crm.imports.list()) == 1


def test_rejects_of_the_import_come_after_those_of_the_dry_run(
    admin: Browser, crm: TinyCRM
) -> None:
    """Who is to be forgotten between the two steps is refused by the second."""
    crm.projects.add("shop")
    crm.project("shop").identify("a@example.com")
    page = looked(admin, "email\na@example.com\nnobody\n", project="shop")
    where = address(page)
    dry = admin.get(f"{where}/rejects.csv").body
    assert dry.startswith(b"\xef\xbb\xbf"), "spreadsheets know the encoding by it"
    assert len(dry.splitlines()) == 2
    crm.customers.delete("a@example.com", forget=True)
    again(admin, page, do="import")
    assert len(admin.get(f"{where}/rejects.csv").body.splitlines()) == 3


def test_the_newest_imports_are_listed(
    admin: Browser, crm: TinyCRM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "SHOWN_BATCHES", 2)
    for number in range(3):
        file = io.StringIO(f"email\np{number}@example.com\n")
        crm.import_csv(file, project="shop", source=f"file {number}")
    page = admin.get("/import").text
    assert re.findall(r'<th scope="row">([^<]*)', page) == ["file 2", "file 1"]
    assert "The newest 2." in page


def test_a_server_without_room_says_so_beside_the_file(
    admin: Browser, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("where the uploads should be")
    page = upload(admin, "email\na@example.com\n", new="shop")
    assert page.status == 422
    assert re.search(r'id="fault-file" role="alert">The server could not keep it', page.text)
    assert "an upload could not be kept" in caplog.text


def test_the_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getuid()
    monkeypatch.setattr(importing_files.os, "getuid", lambda: here + 1)
    with pytest.raises(PermissionError, match="open to others"):
        Uploads(tmp_path).add(TinyCRM(), "mara", "a.csv", io.BytesIO(b"email\n"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("C:\\Users\\me\\people.csv", "people.csv"),
        ("/etc/", "file"),
        ("a\x00\u202eb.csv", "a__b.csv"),
        ("x" * 500, "x" * 120),
    ],
)
def test_the_name_of_a_file_is_only_shown(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_a_dry_run_that_nobody_waits_for_ends_by_itself(
    admin: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, count, first = threading.Event(), importing_work.count_words, []

    def slow(upload: Upload, head: object, tell: Tell) -> object:
        if not first:
            first.append(threading.current_thread())
            go.wait(20)
        return count(upload, head, tell)  # type: ignore[arg-type]

    monkeypatch.setattr(importing_work, "count_words", slow)
    monkeypatch.setattr(importing_work, "PATIENCE", 0)
    where = upload(admin, "email,plan,status\na@example.com,pro,paid\n", new="shop").location
    page = admin.get(where)
    superseded = kept(admin, folder, where).check
    done = again(admin, page, **{"role.1": "ignore"})
    go.set()
    first[0].join(20)
    assert heading(done).startswith("1 row from people.csv goes into shop")
    assert superseded is not None
    assert Job(kept(admin, folder, where).folder, superseded).read().name == "stopped"


def test_one_dry_run_is_kept(admin: Browser, folder: Path) -> None:
    page = looked(admin, "email,plan\na@example.com,pro\n", new="shop")
    page = again(admin, page, **{"role.1": "ignore"})
    known = kept(admin, folder, address(page))
    assert {each.stem for each in known.folder.glob("*.lock")} == {known.check}
    assert {each.stem for each in known.folder.glob("*.csv")} == {known.check}


def test_the_first_people_are_shown_as_they_will_be(
    admin: Browser, crm: TinyCRM, folder: Path
) -> None:
    """What is newer here than in the file stays, and is shown to stay."""
    crm.projects.add("shop")
    crm.project("shop").identify("p0@example.com", name="Newer", status="paid")
    rows = "".join(f"p{n}@example.com,Older,free,1,2,3,4,2020-01-01\n" for n in range(8))
    page = looked(admin, f"email,name,status,a,b,c,d,true as of\n{rows}", project="shop")
    page = again(admin, page, **{"role.7": "at"})
    known = kept(admin, folder, address(page))
    job = known.job(known.check)
    assert job is not None
    people = job.read().body["people"]
    assert [each["email"] for each in people] == [f"p{n}@example.com" for n in range(5)]
    assert [each["name"] for each in people] == ["Newer", *["Older"] * 4]
    assert [each["on"]["shop"] for each in people] == ["paid", *["free"] * 4]
    assert {len(each["params"]) for each in people} == {3}


def test_choices_of_another_files_columns_are_not_taken(admin: Browser, folder: Path) -> None:
    page = looked(admin, "email,plan,status\na@example.com,pro,paid\n", new="shop")
    page = again(admin, page, columns="0" * 12, **{"role.0": "ignore", "word.paid": "free"})
    assert heading(page).startswith("1 row from people.csv goes into shop")
    chosen = kept(admin, folder, address(page)).choices
    assert (chosen.roles, chosen.words) == ({}, {})


def test_words_that_no_form_offers_are_not_taken(admin: Browser, folder: Path) -> None:
    """What a word means by itself is no choice either."""
    page = looked(admin, "email,status\na@example.com,vip\nb@example.com,paid\n", new="shop")
    page = again(admin, page, **{"word.vip": "gold", "role.1": "king"})
    assert "1 rejected" in heading(page)
    assert kept(admin, folder, address(page)).choices.words == {}


def test_a_key_with_a_colon_is_text(admin: Browser, crm: TinyCRM) -> None:
    page = looked(admin, "email,source\na@example.com,7\n", new="shop")
    page = again(admin, page, **{"role.1": "param", "key.1": "utm:source", "kind.1": ""})
    again(admin, page, do="import")
    (person,) = crm.customers.find()
    assert person.memberships[0].params == {"utm:source": "7"}
