"""Work that outlives a request: in a thread, with its state in a file every worker can read."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycrm_core.errors import StoreError, TinyCRMError
from tinycrm_core.keys import redact

log = logging.getLogger("tinycrm.admin")

TELL_SECONDS = 0.3
"""How often progress is written down, at most."""

CRASHED = "something went wrong here; it was logged"
NO_DATABASE = "the database cannot be used"

Body = Mapping[str, Any]
Tell = Callable[..., None]
Work = Callable[[Tell], Body]
"""Does the work; calls its argument with counts as keywords; gives what the page will show."""


class Superseded(Exception):
    """Nobody waits for this job any more."""


@dataclass(frozen=True, slots=True)
class State:
    """What a job says of itself: `running`, `done`, `failed`, or `stopped` with its process."""

    name: str
    body: Body


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. Its process holds the lock for as long as it is at it."""

    folder: Path
    name: str

    @property
    def rejects(self) -> Path:
        """Where the rejected rows go, as CSV."""
        return self.folder / f"{self.name}.csv"

    def is_alive(self) -> bool:
        """Whether a process is at it."""
        try:
            lock = os.open(self.folder / f"{self.name}.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            return not _locked(lock)
        finally:
            os.close(lock)

    def read(self) -> State:
        """How far it is."""
        alive = self.is_alive()  # First: it writes its last word before it lets the lock go.
        try:
            body: dict[str, Any] = json.loads((self.folder / f"{self.name}.json").read_bytes())
        except (OSError, ValueError):
            return State("stopped", {})
        name = body.pop("state")
        return State("stopped" if name == "running" and not alive else name, body)

    def remove(self) -> None:
        """Delete what it left behind."""
        for ending in ("json", "lock", "csv"):
            (self.folder / f"{self.name}.{ending}").unlink(missing_ok=True)

    def write(self, state: str, body: Body) -> None:
        """Let every worker know."""
        write_json(self.folder / f"{self.name}.json", {**body, "state": state})


def new_job(folder: Path) -> Job:
    """A job with a name of its own, that has not begun."""
    return Job(folder, secrets.token_hex(8))


def start(job: Job, work: Work) -> threading.Thread | None:
    """Begin the work in a thread that ends with the process; None if it is begun or done already.

    Of several calls at once, in whatever process, one begins.
    """
    lock = os.open(job.folder / f"{job.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _took(lock) or job.read().name == "done":
        os.close(lock)
        return None
    job.write("running", {})
    thread = threading.Thread(
        target=_go, args=(job, lock, work), name="tinycrm import", daemon=True
    )
    thread.start()
    return thread


def _took(lock: int) -> bool:
    """Whether the job is ours now; those who only look hold the lock for a moment too."""
    for _ in range(20):
        if _locked(lock):
            return True
        time.sleep(0.01)  # to wait inside flock would hold up the request behind a running job
    return False


def _go(job: Job, lock: int, work: Work) -> None:
    last = 0.0

    def tell(**counts: object) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            job.write("running", counts)

    try:
        job.write("done", work(tell))
    except Superseded:
        pass
    except StoreError as error:
        log.error("import: %s", redact(str(error)))
        _fail(job, NO_DATABASE)
    except TinyCRMError as error:
        _fail(job, error.message, error.field)
    except Exception:
        if job.folder.exists():
            log.exception("an import failed")
            _fail(job, CRASHED)
    finally:
        os.close(lock)


def _fail(job: Job, message: str, field: str | None = None) -> None:
    with suppress(OSError):
        job.write("failed", {"message": redact(message), "field": field})


def write_json(path: Path, body: Body) -> None:
    """Replace a file as a whole, so that nobody ever reads half of it."""
    draft = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(body, file)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


if sys.platform == "win32":
    import msvcrt

    def _locked(file: int) -> bool:
        """Take the lock of a file; False while somebody else has it."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(file: int) -> bool:
        """Take the lock of a file; False while somebody else has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
