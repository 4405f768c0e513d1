"""The import pages of the real server, read as a browser without JavaScript reads them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.admin.test_importing import fields
from tests.server.live import Answer, Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_core.transfer import Progress
from tinycrm_server.settings import Settings, read_settings

ROWS = "email,name\n" + "".join(f"p{n}@example.com,P {n}\n" for n in range(30))
REFRESH = re.compile(r'<noscript><meta http-equiv="refresh" content="(\d+)(?:;url=([^"]*))?">')
FORM = "application/x-www-form-urlencoded"


@contextmanager
def server(uploads: Path, **settings: Any) -> Iterator[tuple[Live, dict[str, str]]]:
    """A server that keeps uploads there, and the headers of somebody who is let in."""
    with TinyCRM("memory://") as crm:
        given = Settings(uploads_dir=str(uploads), **settings)
        with serving(crm, settings=given) as live:
            yield live, {**live.session(), "Sec-Fetch-Site": "same-origin"}


def post(live: Live, path: str, form: dict[str, str], inside: dict[str, str]) -> Answer:
    headers = {**inside, "Content-Type": FORM}
    return live.ask("POST", path, urlencode(form).encode(), headers=headers)


def upload(live: Live, content: str, inside: dict[str, str]) -> Answer:
    parts = (
        '--x\r\nContent-Disposition: form-data; name="new"\r\n\r\nshop\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{content}\r\n--x--\r\n"
    )
    headers = {**inside, "Content-Type": "multipart/form-data; boundary=x"}
    return live.ask("POST", "/import", parts.encode(), headers=headers)


def waited(live: Live, path: str, inside: dict[str, str]) -> tuple[Answer, int]:
    """Load what the page says to load until it says so no more; and how often that was."""
    for times in range(600):
        page = live.ask("GET", path, headers=inside)
        again = REFRESH.search(page.text)
        if again is None:
            return page, times
        assert int(again[1]) <= 5
        path = again[2] or path
        time.sleep(0.05)
    raise AssertionError("the page never stopped")


def test_progress_is_loaded_again_until_the_result_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    import_csv: Callable[..., Any] = TinyCRM.import_csv

    def held(
        self: TinyCRM, stream: Any, *, progress: Callable[[Progress], None], **rest: Any
    ) -> Any:
        def told(now: Progress) -> None:
            progress(now)
            go.wait(60)

        return import_csv(self, stream, progress=told, **rest)

    monkeypatch.setattr(TinyCRM, "import_csv", held)
    with server(tmp_path) as (live, inside):
        sent = upload(live, ROWS, inside)
        assert sent.status == 303
        path = sent.headers["location"]
        looking = live.ask("GET", path, headers=inside)
        assert REFRESH.search(looking.text)
        assert "30 rows so far" in looking.text
        assert f'<a href="{path}">Look now</a>' in looking.text
        go.set()
        looked, _ = waited(live, path, inside)
        assert "30 rows" in looked.text
        go.clear()
        assert post(live, path, {**fields(looked), "do": "import"}, inside).status == 303  # type: ignore[arg-type]
        importing = live.ask("GET", path, headers=inside)
        assert REFRESH.search(importing.text)
        assert "is going into" in importing.text
        again = live.ask("GET", path, headers=inside)
        assert REFRESH.search(again.text), "as long as it takes"
        go.set()
        done, _ = waited(live, path, inside)
        assert "are in" in done.text
        assert live.crm.customers.count() == 30
        undo = re.search(r'action="([^"]*/undo)"', done.text)
        assert undo
        parted = post(live, undo[1], {}, inside)
        gone, _ = waited(live, parted.headers["location"], inside)
        assert "30 removed" in gone.text
        assert live.crm.customers.count() == 0


def test_files_wait_where_the_setting_says_and_have_its_size(tmp_path: Path) -> None:
    folder = tmp_path / "wait here"
    with server(folder, max_upload=2048) as (live, inside):
        assert upload(live, ROWS, inside).status == 303
        (kept,) = folder.glob("*/*/data")
        assert kept.read_text() == ROWS
        large = upload(live, ROWS + "x" * 2048, inside)
        assert large.status == 422
        assert "Larger than" in large.text
        assert list(folder.glob("*/*/data")) == [kept]
        huge = upload(live, ROWS + "x" * 2_000_000, inside)
        assert huge.status == 413


def test_the_settings_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYCRM_UPLOADS_DIR", str(tmp_path))
    monkeypatch.setenv("TINYCRM_MAX_UPLOAD", "4096")
    settings = read_settings()
    assert (settings.uploads_dir, settings.max_upload) == (str(tmp_path), 4096)
    monkeypatch.setenv("TINYCRM_MAX_UPLOAD", "12 GB")
    with pytest.raises(InvalidInput, match="TINYCRM_MAX_UPLOAD"):
        read_settings()
