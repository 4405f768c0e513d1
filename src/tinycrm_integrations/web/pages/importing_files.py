"""Uploaded files between the steps of an import: in a private folder, under names of our own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from stat import S_ISDIR
from typing import IO, Any

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import NotFound
from tinycrm_core.transfer import InvalidFile
from tinycrm_integrations.web.pages.importing_jobs import Job, write_json

MAX_UPLOAD = 512 * 1024 * 1024
"""Bytes of one file."""
KEPT_SECONDS = 24 * 3600
"""How long a file is kept that nobody touches any more."""
LONGEST_NAME = 120
_BLOCK = 1 << 20
_is_ident = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_unprintable = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

GONE = "this import is over, or somebody else's; files are kept for a day"
NO_ROOM = "file: the server could not keep it; whoever runs it finds the reason in its log"


@dataclass(slots=True)
class Choices:
    """How a file is to be read. None stands for what was found; `words` is the status map."""

    project: str = ""
    delimiter: str | None = None
    encoding: str | None = None
    headed: bool = True
    date_format: str | None = None
    overwrite: bool = False
    roles: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Upload:
    """One file on its way in, or an undo. `check` and `run` are the names of jobs.

    `batch` is the import that is undone, where there is no file.
    """

    folder: Path
    account: str
    actor: str
    name: str
    size: int = 0
    batch: str | None = None
    choices: Choices = field(default_factory=Choices)
    check: str | None = None
    run: str | None = None

    @property
    def ident(self) -> str:
        """Its name in addresses, which cannot be guessed."""
        return self.folder.name

    @property
    def data(self) -> Path:
        """Where the bytes are."""
        return self.folder / "data"

    def job(self, name: str | None) -> Job | None:
        """One of its jobs."""
        return None if name is None else Job(self.folder, name)

    def save(self) -> None:
        """Keep what was chosen, for every worker process."""
        write_json(self.folder / "upload.json", asdict(self) | {"folder": ""})

    def is_checked_by(self, name: str) -> bool:
        """Whether this is still the dry run that the page waits for."""
        try:
            return bool(_load(self.folder).check == name)
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def remove(self) -> None:
        """Delete the file and everything about it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _load(folder: Path) -> Upload:
    kept: dict[str, Any] = json.loads((folder / "upload.json").read_bytes())
    return Upload(**kept | {"folder": folder, "choices": Choices(**kept["choices"])})


class Uploads:
    """Where an admin keeps files, for every worker process of one machine.

    By default that is a folder of this user's below the system's folder for temporary files.
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int = MAX_UPLOAD) -> None:
        self._folder = None if folder is None else Path(folder)
        self.max_bytes = max_bytes

    def add(self, crm: TinyCRM, actor: str, name: str, stream: IO[bytes]) -> Upload:
        """Copy a stream. Raises InvalidFile when it is too large; OSError when there is no room."""
        self.sweep()
        upload = self.begin(crm, actor, name)
        try:
            with _private_file(upload.data) as copy:
                while block := stream.read(_BLOCK):
                    upload.size += len(block)
                    if upload.size > self.max_bytes:
                        raise InvalidFile(f"file: larger than {_megabytes(self.max_bytes)}")
                    copy.write(block)
        except BaseException:
            upload.remove()
            raise
        upload.save()
        return upload

    def begin(self, crm: TinyCRM, actor: str, name: str) -> Upload:
        """A new folder without a file."""
        folder = self._of(crm) / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        upload = Upload(folder, crm.account_slug, actor, shown_name(name))
        upload.save()
        return upload

    def get(self, crm: TinyCRM, actor: str, ident: str) -> Upload:
        """The upload, if it is this actor's in this account. Raises NotFound."""
        if _is_ident(ident):
            try:
                found = _load(self._of(crm) / ident)
            except (OSError, ValueError, TypeError, KeyError):
                raise NotFound(GONE) from None
            if (found.account, found.actor) == (crm.account_slug, actor):
                return found
        raise NotFound(GONE)

    def sweep(self) -> None:
        """Delete what nobody has touched for a day and no job works on."""
        for folder in self._old(time.time() - KEPT_SECONDS):
            jobs = (Job(folder, each.stem) for each in folder.glob("*.lock"))
            if not any(job.is_alive() for job in jobs):
                shutil.rmtree(folder, ignore_errors=True)

    def _old(self, before: float) -> Iterator[Path]:
        for folder in self._base().glob("*/*"):
            try:
                if _is_ident(folder.name) and folder.stat().st_mtime < before:
                    yield folder
            except OSError:
                continue

    def _base(self) -> Path:
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._folder
        user = os.getuid() if hasattr(os, "getuid") else "all"
        return _private(Path(tempfile.gettempdir()) / f"tinycrm-uploads-{user}")

    def _of(self, crm: TinyCRM) -> Path:
        # Two applications of one machine may call their accounts the same.
        where = getattr(crm.store, "where", f"memory {os.getpid()} {id(crm.store)}")
        name = blake2b(f"{where}\n{crm.account_slug}".encode(), digest_size=10).hexdigest()
        return _private(self._base() / name)


def shown_name(given: str) -> str:
    """The last part of a file's name as a page may show it; it is never used as a path."""
    last = re.split(r"[/\\]", given)[-1]
    return _unprintable.sub("_", last).strip()[:LONGEST_NAME] or "file"


def file_options(upload: Upload) -> Mapping[str, Any]:
    """The options of an import that do not depend on the columns."""
    chosen = upload.choices
    return {
        "delimiter": chosen.delimiter,
        "encoding": chosen.encoding,
        "date_format": chosen.date_format,
        "overwrite": chosen.overwrite,
    }


def _private(folder: Path) -> Path:
    """A folder that only this user can look into. Raises OSError where it is somebody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    if not S_ISDIR(found.st_mode) or not mine:
        raise PermissionError(f"{folder} is open to others; uploads are not kept there")
    return folder


def _private_file(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _megabytes(size: int) -> str:
    return f"{size / 1048576:,.0f} MB" if size >= 1048576 else f"{size:,} bytes"
