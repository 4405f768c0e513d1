"""The work behind the import pages: read by every worker, begun once, and repeatable."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_integrations.web.pages import importing_files
from tinycrm_integrations.web.pages.importing_files import Uploads
from tinycrm_integrations.web.pages.importing_jobs import Job, Tell, start

DYING = """
import sys, time
from pathlib import Path
from tinycrm_integrations.web.pages.importing_jobs import Job, start
def work(tell):
    tell(rows=7)
    print("at it", flush=True)
    time.sleep(60)  # until it is killed
start(Job(Path(sys.argv[1]), "run"), work).join()
"""


def test_a_job_whose_process_died_says_so_and_runs_again(tmp_path: Path) -> None:
    job = Job(tmp_path, "run")
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at it\n"
    assert (job.read().name, job.read().body) == ("running", {"rows": 7})
    assert start(job, lambda tell: {}) is None
    process.kill()
    process.communicate()
    assert job.read().name == "stopped"
    thread = start(job, lambda tell: {"rows": 9})
    assert thread is not None
    thread.join(10)
    assert (job.read().name, job.read().body) == ("done", {"rows": 9})
    assert start(job, lambda tell: {}) is None


def test_of_many_starts_one_begins(tmp_path: Path) -> None:
    go, begun = threading.Event(), []

    def work(tell: Tell) -> dict[str, int]:
        begun.append(1)
        go.wait(20)
        return {}

    job = Job(tmp_path, "run")
    started: list[threading.Thread | None] = []
    askers = [threading.Thread(target=lambda: started.append(start(job, work))) for _ in range(5)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    go.set()
    (thread,) = filter(None, started)
    thread.join(20)
    assert not job.is_alive()
    assert begun == [1]


@pytest.mark.parametrize(
    ("error", "message", "field"),
    [
        (InvalidInput("encoding: no", field="encoding"), "encoding: no", "encoding"),
        (RuntimeError("secret detail"), "something went wrong here; it was logged", None),
    ],
)
def test_what_fails_is_told_without_details(
    tmp_path: Path, error: Exception, message: str, field: str | None
) -> None:
    def work(tell: Tell) -> dict[str, int]:
        raise error

    job = Job(tmp_path, "run")
    thread = start(job, work)
    assert thread is not None
    thread.join(10)
    assert (job.read().name, job.read().body) == ("failed", {"message": message, "field": field})


def test_old_files_go_but_never_under_a_running_job(tmp_path: Path) -> None:
    crm, uploads = TinyCRM(), Uploads(tmp_path / "kept")
    old = uploads.add(crm, "mara", "old.csv", io.BytesIO(b"email\n"))
    busy = uploads.add(crm, "mara", "busy.csv", io.BytesIO(b"email\n"))
    go = threading.Event()

    def work(tell: Tell) -> dict[str, int]:
        go.wait(20)
        return {}

    thread = start(Job(busy.folder, "run"), work)
    past = time.time() - importing_files.KEPT_SECONDS - 60
    os.utime(old.folder, (past, past))
    os.utime(busy.folder, (past, past))
    new = uploads.add(crm, "mara", "new.csv", io.BytesIO(b"email\n"))
    go.set()
    assert thread is not None
    thread.join(10)
    assert [each.folder.exists() for each in (old, busy, new)] == [False, True, True]


def test_a_folder_that_others_can_look_into_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_files.tempfile, "gettempdir", lambda: str(tmp_path))
    crm, uploads = TinyCRM(), Uploads()
    uploads.add(crm, "mara", "a.csv", io.BytesIO(b"email\n"))
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="open to others"):
        uploads.add(crm, "mara", "a.csv", io.BytesIO(b"email\n"))


def test_an_upload_is_copied_in_pieces(tmp_path: Path) -> None:
    """I7: whatever its size, only a block of it is in memory."""
    sizes = []

    class Endless(io.RawIOBase):
        left = 40

        def read(self, size: int = -1) -> bytes:
            sizes.append(size)
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    upload = Uploads(tmp_path).add(TinyCRM(), "mara", "a.csv", Endless())  # type: ignore[arg-type]
    assert upload.size == 39 * 1024 * 1024
    assert set(sizes) == {1024 * 1024}
