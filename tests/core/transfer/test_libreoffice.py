"""What a spreadsheet makes of our CSV, asked of a real one."""

from __future__ import annotations

import io
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.programs import program
from tinycrm_core import TinyCRM

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
HOSTILE = ["=1+1", "+1+1", "-1+1", "@SUM(1,1)", "\t=1+1", "\r=1+1", "\uff1d1+1"]
HOSTILE += ['=HYPERLINK("http://a.example")']


def opened(text: str, folder: Path) -> list[ElementTree.Element]:
    """The cells as LibreOffice has them after reading the CSV, formulas looked for."""
    (folder / "people.csv").write_text(text, "utf-8", newline="")
    # Comma, double quote, UTF-8, from line 1; a formula is taken for one wherever it stands.
    reading = "CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"
    command = [program("soffice", "libreoffice"), "--headless", "--convert-to", "fods"]
    command += [f"-env:UserInstallation={(folder / 'profile').as_uri()}"]
    command += [f"--infilter={reading}", "--outdir", str(folder), str(folder / "people.csv")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (sheet,) = folder.glob("people*.fods")
    return list(ElementTree.parse(sheet).iter(f"{TABLE}table-cell"))


def exported(*, raw: bool) -> str:
    with TinyCRM("memory://", project="shop") as crm:
        for number, text in enumerate(HOSTILE):
            crm.identify(f"p{number}@example.com", name=text, params={text: text, "mrr": 29})
        out = io.StringIO()
        keys = [f'p."{text}"' for text in HOSTILE if '"' not in text]
        crm.export_csv(out, columns=["email", "name", "p.mrr", *keys], raw=raw)
        return out.getvalue()


@pytest.mark.timeout(180)
def test_a_spreadsheet_shows_text_i1(tmp_path: Path) -> None:
    """I1: no cell and no header of an export is a formula; the raw mode is for machines."""
    cells = opened(exported(raw=False), tmp_path)
    assert not [cell.attrib for cell in cells if f"{TABLE}formula" in cell.attrib]
    kinds = [cell.get(f"{OFFICE}value-type") for cell in cells]
    assert kinds.count("float") >= len(HOSTILE), "numbers stay numbers"
    (tmp_path / "raw").mkdir()
    raw = opened(exported(raw=True), tmp_path / "raw")
    assert [cell.attrib for cell in raw if f"{TABLE}formula" in cell.attrib]
