"""Files as they come: encodings, delimiters, quotes, headers, and what is no CSV at all."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from typing import Any

import pytest

from tinycrm_core import InvalidInput, TinyCRM
from tinycrm_core.transfer import ImportReport, InvalidFile, content_disposition

PLAIN = "email,name\r\nzoe@example.com,Zoë Müller\r\n"


def take(content: bytes | str, **options: Any) -> tuple[TinyCRM, ImportReport]:
    crm = TinyCRM()
    stream = io.BytesIO(content) if isinstance(content, bytes) else io.StringIO(content, newline="")
    return crm, crm.import_csv(stream, project="p", **options)


def name_in(crm: TinyCRM, email: str = "zoe@example.com") -> str | None:
    customer = crm.customers.get(email)
    assert customer is not None
    return customer.name


@pytest.mark.parametrize(
    ("content", "options", "encoding"),
    [
        (PLAIN.encode(), {}, "utf-8-sig"),
        (PLAIN.encode("utf-8-sig"), {}, "utf-8-sig"),
        (PLAIN.encode("utf-16"), {}, "utf-16"),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), {}, "utf-16"),
        (PLAIN.encode("cp1252"), {"encoding": "cp1252"}, "cp1252"),
        (PLAIN.encode("latin-1"), {"encoding": "latin-1"}, "iso8859-1"),
        (PLAIN.encode("utf-16-le"), {"encoding": "utf-16-le"}, "utf-16-le"),
        (PLAIN.encode("utf-8-sig"), {"encoding": "UTF-8"}, "utf-8-sig"),
        (PLAIN, {}, "utf-8-sig"),
        ("\ufeff" + PLAIN, {}, "utf-8-sig"),
        (PLAIN.replace("\r\n", "\r").encode(), {}, "utf-8-sig"),
    ],
)
def test_encodings_are_read_i2(content: Any, options: dict[str, str], encoding: str) -> None:
    crm, report = take(content, **options)
    assert report.encoding == encoding
    assert name_in(crm) == "Zoë Müller"


class Pipe(io.RawIOBase):
    """A stream that cannot go back."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line", [2, 900, 5_000])
@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_another_encoding_is_refused_with_its_line_i2(line: int, newline: str, kind: Any) -> None:
    lines = [b"email,name"] + [f"p{i}@example.com,N".encode() for i in range(2, 5_010)]
    lines[line - 1] += b"\xfc"
    crm = TinyCRM()
    with pytest.raises(InvalidFile, match=f"line {line} is not UTF-8") as caught:
        crm.import_csv(kind(newline.encode().join(lines)), project="p")
    assert caught.value.line == line
    if kind is io.BytesIO:
        assert crm.customers.count() == 0
        assert crm.imports.list() == ()


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (PLAIN.encode("utf-16-le"), {}),
        (PLAIN.encode(), {"encoding": "rot13"}),
        (PLAIN.encode(), {"encoding": "base64"}),
        (PLAIN.encode(), {"encoding": "klingon"}),
        ("email,name\na@example.com,\ud800\n", {}),
    ],
)
def test_what_cannot_be_decoded_is_refused_i2(content: Any, options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        take(content, **options)
    assert caught.value.field == "encoding"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoted", [False, True])
def test_the_delimiter_is_that_of_the_header_i3(delimiter: str, quoted: bool) -> None:
    quote = '"' if quoted else ""
    others = "".join({",", ";", "\t", "|"} - {delimiter})
    header = delimiter.join(f"{quote}{each}{quote}" for each in ("Name", "E-Mail", "Notes"))
    row = delimiter.join(("Zoë", "zoe@example.com", f'"{others * 20}"'))
    crm, report = take(f"{header}\n{row}\n")
    assert report.delimiter == delimiter
    assert crm.customers.get("zoe@example.com").memberships[0].params == {"notes": others * 20}


@pytest.mark.parametrize("said", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n\n", "\nsep=;\n"])
def test_a_line_that_tells_the_delimiter_is_no_row_i3(said: str) -> None:
    _, report = take(f"{said}email;name,title\nzoe@example.com;Z\nnobody;N\n")
    assert (report.delimiter, report.created, report.rejected) == (";", 1, 1)
    assert report.rejects[0].line == f"{said}email\nzoe\n".count("\n") + 1
    with pytest.raises(InvalidInput, match="empty"):
        take(said)


def test_a_header_with_many_other_delimiters_inside_i3() -> None:
    _, report = take('"a,b,c,d,e,f";email\nx;zoe@example.com\n')
    assert report.delimiter == ";"
    _, report = take("first, middle, or last;email\nx;zoe@example.com\n")
    assert report.delimiter == ";"
    with pytest.raises(InvalidInput, match="delimiter"):
        take(PLAIN, delimiter="-")
    _, report = take("email;name\nzoe@example.com;Z\n", delimiter=";")
    assert report.delimiter == ";"


def test_ten_megabytes_in_one_cell_i3() -> None:
    def seconds(number: int) -> tuple[float, ImportReport]:
        start = time.process_time()
        cell = "x;," * number
        _, report = take(f'email,note\na@example.com,"{cell}"\nb@example.com,short\n'.encode())
        return time.process_time() - start, report

    some = min(seconds(350_000)[0] for _ in range(2))
    all_of_it, report = seconds(3_500_000)
    assert all_of_it < 40 * some, "ten times as much may not take a hundred times as long"
    assert (report.created, report.rejected) == (1, 1)
    assert "larger than" in report.rejects[0].reason
    with pytest.raises(InvalidFile, match="line 2 is longer"):
        take(b"email\n" + b"x" * (17 * 1024 * 1024))


def test_a_long_cell_is_only_limited_by_what_params_may_hold_i3() -> None:
    long = "x" * 60_000
    crm, report = take(f'email,long\na@example.com,"{long}"\n')
    assert crm.customers.get("a@example.com").memberships[0].params == {"long": long}
    _, report = take(f'email,note\na@example.com,"{"x" * 200_000}"\n', mapping={"note": "ignore"})
    assert report.created == 1, report.rejects


def test_an_unclosed_quote_rejects_its_row_and_no_other_i5() -> None:
    rows = [f"p{i}@example.com,Name {i},free" for i in range(1000)]
    rows[10] = 'p10@example.com,"Name 10,free'
    crm, report = take("email,name,status\n" + "\n".join(rows) + "\n")
    (reject,) = report.rejects
    assert (reject.row, reject.line, reject.email) == (11, 12, "p10@example.com")
    assert "line 12" in reject.reason
    assert report.rows == 1000
    assert crm.customers.count() == 999


def test_a_quote_open_at_the_end_i5() -> None:
    crm, report = take('email,name\na@example.com,"A\nb@example.com,B\n')
    assert [reject.line for reject in report.rejects] == [2]
    assert "never closed" in report.rejects[0].reason
    assert crm.customers.get("b@example.com") is not None


def test_a_quote_closed_by_another_row_i5() -> None:
    crm, report = take('email,name\na@example.com,"A\nb@example.com,"B"\nc@example.com,C\n')
    assert [reject.line for reject in report.rejects] == [2]
    assert crm.customers.count() == 2


def test_lines_inside_cells_keep_their_ends_and_count_as_lines() -> None:
    crm, report = take('email,note\na@example.com,"one\r\ntwo\nthree\rfour"\nbroken,x\n')
    assert crm.customers.get("a@example.com").memberships[0].params == {
        "note": "one\r\ntwo\nthree\rfour"
    }
    assert [(reject.row, reject.line) for reject in report.rejects] == [(2, 6)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("name,plan\nA,pro\n", "no column holds the email; the columns are 'name', 'plan'"),
        ("email,plan,plan\na@example.com,x,y\n", "columns 2 and 3 are both called 'plan'"),
        ("email,Total Spend,total_spend\na@example.com,1,2\n", "both params.total_spend"),
        ('email,"name\na@example.com\n', "never closed"),
    ],
)
def test_headers_that_are_refused_i8(content: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        take(content)


def test_rows_with_more_or_fewer_cells_i8() -> None:
    crm, report = take(
        "email,name\na@example.com,A,extra\nb@example.com\nc@example.com,C,,\n\n,\nd@example.com,D\n"
    )
    assert [reject.reason for reject in report.rejects] == [
        "row: has 3 cells where the header has 2",
        "row: has 1 cells where the header has 2",
    ]
    assert report.rows == 4, "blank rows do not count"
    assert crm.customers.count() == 2


def test_headers_without_a_name_and_reserved_words_i8() -> None:
    names = ["__proto__", "constructor", "None", "toString", "id", "=1+1"]
    crm, report = take(f"email,,{','.join(names)}\na@example.com,lost,{','.join('uvwxyz')}\n")
    assert report.notes == ["columns without a header are left out: 2"]
    params = crm.customers.get("a@example.com").memberships[0].params
    assert list(params.values()) == list("uvwxyz")
    assert {"__proto__", "constructor", "id"} <= params.keys()


def test_one_person_twice_the_later_row_wins_i8() -> None:
    crm, report = take("email,status\nA@example.com,paid\nb@example.com,\na@example.com,free\n")
    assert (report.created, report.updated) == (2, 1)
    assert crm.customers.get("a@example.com").memberships[0].status == "free"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(gzip.compress(b"email\n" * 1000, mtime=0), "gzip"), (b"\xd0\xcf\x11\xe0rest", "Excel")],
)
def test_packed_files_are_refused_i9(content: bytes, kind: str) -> None:
    with pytest.raises(InvalidFile, match=kind):
        take(content)


def test_a_workbook_is_refused_i9() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(InvalidFile, match="save it as CSV"):
        take(stream.getvalue())


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ("people.csv", "people.csv", "people.csv"),
        ('"\r\nX: y', "___X_ y", "___X_%20y"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\temp\\a.csv", "a.csv", "a.csv"),
        ("zoë.csv", "zo_.csv", "zo%C3%AB.csv"),
        ("a\u202egnp.csv", "a_gnp.csv", "a_gnp.csv"),
        ("..", "download", "download"),
        ("\ud800.csv", "_.csv", "_.csv"),
    ],
)
def test_a_file_name_cannot_leave_its_header_i9(name: str, plain: str, full: str) -> None:
    value = content_disposition(name)
    assert value == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"
    assert value.isascii()
    assert value.isprintable()


def test_a_file_without_a_header_is_given_one() -> None:
    """Rows and lines count from the first line, which is a row."""
    crm = TinyCRM()
    text = "ann@example.com,Ann,3\nnobody,Bob,4\n"
    report = crm.import_csv(
        io.StringIO(text),
        project="p",
        headers=["one", "two", "three"],
        mapping={"one": "email", "two": "name"},
    )
    assert (report.created, report.rejected) == (1, 1)
    assert (report.rejects[0].row, report.rejects[0].line) == (2, 2)
    person = crm.customers.get("ann@example.com")
    assert person is not None
    assert (person.name, person.memberships[0].params) == ("Ann", {"three": 3})
