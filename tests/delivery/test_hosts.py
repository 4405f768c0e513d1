"""Real process models: gunicorn, uWSGI and Celery, each with its workers forked from a parent."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.faults import scripted
from tests.delivery.processes import environment
from tests.patience import eventually
from tests.programs import free_port, program

APP = """
import os
from tinycrm_core import TinyCRM, background

background.EXIT_SECONDS = 30  # a machine that is busy with tests takes longer for what is left
crm = TinyCRM(os.environ["WHERE"], project="shop")
crm.ping("loading@example.com")   # in the parent, before it forks


def app(environ, start_response):
    who = environ["PATH_INFO"].strip("/")
    crm.identify(f"{who}@example.com", params={"pid": os.getpid()})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


application = app
"""


@contextlib.contextmanager
def hosted(command: list[str], folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a host; it has to end by itself when it is told to. `more` is its environment."""
    with open(folder / "host.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**more), stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def wait_for(port: int, folder: Path, path: str = "/ready") -> None:
    end = time.monotonic() + 90
    while True:
        try:
            ask(port, path)
        except OSError:
            assert time.monotonic() < end, (folder / "host.log").read_text()
            time.sleep(0.1)
        else:
            return


def visited(port: int, count: int) -> set[str]:
    return {ask(port, f"/p{number}") for number in range(count)}


def check(emails: list[str], count: int) -> None:
    """Every request arrived once, and what the parent had queued did too."""
    seen = Counter(each for each in emails if not each.startswith("ready@"))
    assert seen == Counter(["loading@example.com", *(f"p{n}@example.com" for n in range(count))])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_q4_gunicorn_with_preload_and_four_workers(kind: str, tmp_path: Path) -> None:
    (tmp_path / "wsgi.py").write_text(APP)
    port = free_port()
    command = [program("gunicorn"), "wsgi:app", "--preload", "-w", "4", "-k", kind]
    command += ["-b", f"127.0.0.1:{port}", "--max-requests", "40", "--no-control-socket"]
    with scripted() as server:
        with hosted(command, tmp_path, WHERE=server.url):
            wait_for(port, tmp_path)
            workers = visited(port, 120)
        assert len(workers) >= 2
        check(server.emails, 120)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--enable-threads"], id="threads"),
        pytest.param(["--enable-threads", "--py-call-uwsgi-fork-hooks"], id="hooks"),
        pytest.param(["--enable-threads", "--lazy-apps"], id="lazy"),
    ],
)
def test_q4_uwsgi(options: list[str], tmp_path: Path) -> None:
    uwsgi = program("uwsgi")
    (tmp_path / "wsgi.py").write_text(APP)
    port = free_port()
    command = [uwsgi, "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "wsgi.py", "--master"]
    command += ["--processes", "3", "--need-app", "--die-on-term", *options]
    with scripted() as server:
        with hosted(command, tmp_path, WHERE=server.url) as process:
            wait_for(port, tmp_path)
            visited(port, 90)
            # Sent while the host lives: its interval is a fifth of a second.
            eventually(lambda: len(server.emails) >= 90, 30)
            process.send_signal(signal.SIGTERM)
        found = Counter(each for each in server.emails if each.startswith("p"))
        assert found == Counter(f"p{n}@example.com" for n in range(90))
        assert max(Counter(server.emails)["loading@example.com"], 1) <= 3


TASKS = """
import os
from celery import Celery
from tinycrm_core import TinyCRM, background

background.EXIT_SECONDS = 30  # a machine that is busy with tests takes longer for what is left
crm = TinyCRM(os.environ["WHERE"], project="shop")
app = Celery("tasks", broker_url="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
}
app.conf.worker_prefetch_multiplier = 1


@app.task
def report(number):
    crm.identify(f"p{number}@example.com", params={"pid": os.getpid()})
    open(f"done/{number}", "w").close()
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "count"), [(["-c", "4"], 200), (["-c", "2", "--max-tasks-per-child", "1"], 30)]
)
def test_q7_celery_prefork_with_a_warm_shutdown(
    options: list[str], count: int, tmp_path: Path
) -> None:
    """No recipe, no signal of Celery: a child sends what waits when it ends."""
    celery = program("celery")
    (tmp_path / "tasks.py").write_text(TASKS)
    for name in ("queue", "control", "done"):
        (tmp_path / name).mkdir()
    with scripted() as server:
        queue = f"from tasks import report\nfor number in range({count}): report.delay(number)\n"
        subprocess.run(
            [sys.executable, "-c", queue],
            cwd=tmp_path,
            env=environment(WHERE=server.url),
            check=True,
            timeout=60,
        )
        command = [celery, "-A", "tasks", "worker", "-P", "prefork"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat", *options]
        with hosted(command, tmp_path, WHERE=server.url):
            end = time.monotonic() + 100
            while len(os.listdir(tmp_path / "done")) < count and time.monotonic() < end:
                time.sleep(0.02)
        assert Counter(server.emails) == Counter(f"p{n}@example.com" for n in range(count)), (
            tmp_path / "host.log"
        ).read_text()
