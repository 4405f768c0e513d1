"""The import pages without a browser: from the file to the people, and back."""

from __future__ import annotations

import gzip
import io
import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.admin.conftest import Answer, Browser
from tests.patience import eventually
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.http import Upload

SAMPLES = files("tinycrm_server") / "demo"
WAITLIST = "waitlist_spreadsheet.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def admin(crm: TinyCRM, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The admin with a folder of its own for uploads."""
    monkeypatch.setenv("TINYCRM_DEBUG", "1")
    admin = Admin(crm, uploads_dir=folder, max_upload=3_000_000)
    return Browser(crm, admin, prefix="/a b/crm")


def upload(admin: Browser, content: bytes | str, name: str = "people.csv", **form: str) -> Answer:
    data = content.encode() if isinstance(content, str) else content
    return admin.post("/import", form, uploads={"file": Upload(name, io.BytesIO(data))})


def looked(admin: Browser, content: bytes | str, name: str = "people.csv", **form: str) -> Answer:
    """The page after the dry run."""
    return settled(admin, upload(admin, content, name, **form).location)


def settled(admin: Browser, address: str) -> Answer:
    """The page once its job has ended."""

    def ended() -> Answer | None:
        page = admin.get(address)
        return None if 'class="wait"' in page.text else page

    found = eventually(ended, 30)
    assert found is not None
    return found


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


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "x.csv", "Is empty"),
        (b"\n\n \n", "x.csv", "Is empty"),
        (gzip.compress(b"email\n", mtime=0), "x.csv.gz", "This is gzip"),
        (b"PK\x03\x04rest", "x.xlsx", ".xlsx workbook"),
        (b"email\n" + b"x" * 3_000_000, "x.csv", "Larger than 3 MB"),
        (b"email," + b"x" * 17_000_000, "x.csv", "Larger than 3 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_beside_the_field_and_not_kept_i9(
    admin: Browser, folder: Path, content: bytes, name: str, message: str
) -> None:
    page = upload(admin, content, name, new="shop")
    assert page.status == 422
    assert re.search(rf'id="fault-file" role="alert">[^<]*{re.escape(message)}', page.text)
    assert 'aria-invalid="true" aria-describedby="fault-file"' in page.text
    assert 'name="new" value="shop"' in page.text
    assert list(folder.glob("*/*")) == []


def test_nothing_chosen_and_too_much_pasted(admin: Browser) -> None:
    page = admin.post("/import", {"new": "shop"})
    assert (page.status, "Choose a file, or paste rows" in page.text) == (422, True)
    page = admin.post("/import", {"text": "email\n" + "x" * 100_000})
    assert (page.status, "Paste up to 100,000 characters" in page.text) == (422, True)


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("E-Mail;Name\nJosé@example.com;Müller\n".encode("latin-1"), "encoding", "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "encoding", ""),
        ("email\na@example.com\n".encode("utf-16-le"), "encoding", "NUL bytes"),
        (b"email,plan,plan\na@example.com,x,y\n", "header", "both called"),
        (b'email,"name\na@example.com\n', "header", "never closed"),
        (b"name,plan\nA,pro\n", "mapping", "No column is the email yet"),
        (b"who,plan\na@example.com,pro\n", "mapping", "who looks like it"),
        (b"{'not': csv}\n", "mapping", "No column is the email yet"),
    ],
)
def test_what_choices_can_mend_is_said_beside_them_i2_i5_i8(
    admin: Browser, crm: TinyCRM, content: bytes, field: str, message: str
) -> None:
    page = upload(admin, content, new="shop")
    assert page.status == 422
    assert re.search(rf'id="fault-{field}" role="alert">[^<]*{re.escape(message)}', page.text)
    assert 'name="do" value="import"' not in page.text
    # Asking for the import all the same writes nothing.
    answer = admin.post(address(page), fields(page) | {"do": "import"})
    assert answer.status == 422
    assert crm.customers.count() == 0


def test_another_encoding_reads_the_file_again_i2(admin: Browser, crm: TinyCRM) -> None:
    data = "E-Mail;Name\njose@example.com;José Müller\n".encode("cp1252")
    page = upload(admin, data, new="shop")
    page = again(admin, page, encoding="cp1252")
    assert "1 row from people.csv goes into shop" in heading(page)
    again(admin, page, do="import")
    person = crm.customers.get("jose@example.com")
    assert person is not None
    assert person.name == "José Müller"


def test_a_wrong_byte_far_into_the_file_is_found_by_the_dry_run_i2(
    admin: Browser, crm: TinyCRM
) -> None:
    rows = b"".join(b"p%d@example.com,x\n" % number for number in range(9000))
    page = looked(admin, b"email,name\n" + rows + b"q@example.com,\xff\n", new="shop")
    assert re.search(r'id="fault-encoding" role="alert">[^<]*Line 9002', page.text)
    assert 'name="do" value="import"' not in page.text
    assert crm.customers.count() == 0


def test_a_file_without_rows_has_nothing_to_import(admin: Browser) -> None:
    page = looked(admin, "email,name\n", new="shop")
    assert "nothing to import" in heading(page)
    assert 'name="do" value="import"' not in page.text


def test_a_file_without_a_header_and_columns_by_hand(admin: Browser, crm: TinyCRM) -> None:
    page = upload(admin, "ann@example.com,Ann,3\nbob@example.com,Bob,4\n", new="shop")
    page = again(admin, page, headed="0")
    assert "Column 1 looks like it" in page.text
    page = again(admin, page, **{"role.0": "email", "role.1": "name"})
    page = again(admin, page, **{"key.2": "seats", "kind.2": "number"})
    assert heading(page).startswith("2 rows")
    again(admin, page, do="import")
    person = crm.customers.get("bob@example.com")
    assert person is not None
    assert (person.name, person.memberships[0].params) == ("Bob", {"seats": 4})


def test_columns_cannot_play_one_role_twice(admin: Browser) -> None:
    page = looked(admin, "email,Full Name,plan,level\na@example.com,A,pro,3\n", new="shop")
    page = again(admin, page, **{"role.2": "name"})
    assert page.status == 422
    assert 'id="fault-column-2" role="alert">Full Name is name already' in page.text
    page = again(admin, page, **{"role.2": "param", "key.2": "level"})
    page = again(admin, page, **{"key.3": "level"})
    assert 'id="fault-column-3" role="alert">plan is level already' in page.text


def test_secrets_are_left_out_until_asked_for(admin: Browser, crm: TinyCRM) -> None:
    page = looked(admin, "email,password,api token\na@example.com,hunter2,abc\n", new="shop")
    assert page.text.count("left out: it looks like a secret") == 2
    again(admin, page, do="import")
    person = crm.customers.get("a@example.com")
    assert person is not None
    assert person.memberships[0].params == {}


def test_an_import_with_other_choices_is_looked_at_first(admin: Browser, crm: TinyCRM) -> None:
    page = looked(admin, "email,plan\na@example.com,pro\n", new="shop")
    page = again(admin, page, do="import", **{"role.1": "ignore"})
    assert "The choices changed" in page.text
    assert crm.customers.count() == 0
    again(admin, page, do="import")
    assert crm.customers.count() == 1


def test_the_product_is_asked_for_and_its_name_checked(admin: Browser, crm: TinyCRM) -> None:
    page = upload(admin, "email\na@example.com\n")
    assert page.status == 422
    assert 'id="fault-project" role="alert">Choose the product' in page.text
    page = again(admin, page, new="My Shop!")
    assert 'id="fault-project" role="alert">A slug has' in page.text
    assert 'value="My Shop!"' in page.text
    page = again(admin, page, new="shop")
    again(admin, page, do="import")
    assert [each.slug for each in crm.projects.list()] == ["shop"]


def test_rejects_are_listed_and_downloaded_without_formulas_i1_i4(admin: Browser) -> None:
    rows = "".join(f"=cmd()|'{n},x\n" for n in range(30))
    page = looked(admin, "email,name\nok@example.com,Ok\n" + rows, 'evil".csv', new="shop")
    assert "30 rejected" in heading(page)
    assert "10 more rejected rows are in the CSV" in page.text
    found = re.search(r'href="([^"]*rejects.csv)"', page.text)
    assert found
    file = admin.get(found[1])
    assert file.header("Content-Type") == "text/csv; charset=utf-8"
    assert file.header("Content-Disposition") == (
        "attachment; filename=\"evil_-rejects.csv\"; filename*=UTF-8''evil_-rejects.csv"
    )
    lines = file.body.decode("utf-8-sig").splitlines()
    assert len(lines) == 31
    assert all(",'=cmd()" in line for line in lines[1:])


def test_d1_hostile_cells_headers_and_names_are_only_text(admin: Browser) -> None:
    evil = '"><script>alert(1)</script>'
    quoted = '"' + evil.replace('"', '""') + '"'
    text = f"email,{quoted},status\na@example.com,{quoted},{quoted}\n{quoted},x,free\n"
    page = looked(admin, text, f"../../{evil}\u202e.csv", new="shop")
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "\u202e" not in page.text
    page = again(admin, page, **{"word." + evil: "free"})
    assert "<script>alert" not in page.text


def test_only_whoever_brought_a_file_can_see_it_a1(
    admin: Browser, crm: TinyCRM, folder: Path
) -> None:
    page = looked(admin, "email\na@example.com\nb\n", new="shop")
    where = address(page)
    bob = Browser(crm, admin.admin, admin.prefix, actor="bob")
    other = crm.account("other")
    stranger = Browser(other, Admin(other, uploads_dir=folder), admin.prefix)
    for browser in (bob, stranger):
        for path in (where, f"{where}/rejects.csv"):
            answer = browser.get(path)
            assert (answer.status, "people.csv" in answer.text) == (404, False)
        for path in (where, f"{where}/discard"):
            assert browser.post(path, {"do": "import"}).status == 404
    for ident in ("0" * 32, "..", "%2e%2e%2f", "A" * 32, "x" * 5000):
        assert admin.get(f"/import/{ident}").status == 404
    for batch in ("x", "0190d6c8-0000-7000-8000-000000000001"):
        assert admin.post(f"/import/batches/{batch}/undo").status == 404
    assert admin.get(where).status == 200


def test_the_file_is_private_and_goes_when_it_is_done_with(admin: Browser, folder: Path) -> None:
    page = looked(admin, "email\na@example.com\n", "../../../etc/passwd", new="shop")
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert files
    assert all(each.stat().st_mode & 0o077 == 0 for each in files)
    assert all(each.parent.stat().st_mode & 0o077 == 0 for each in files)
    assert [each.name for each in files if "passwd" in each.name] == []
    assert "passwd" in page.text
    assert admin.post(f"{address(page)}/discard").location.endswith("/import")
    assert [each for each in folder.rglob("*") if each.is_file()] == []
    page = looked(admin, "email\na@example.com\n", new="shop")
    again(admin, page, do="import")
    assert list(folder.rglob("data")) == []
