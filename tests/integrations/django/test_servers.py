"""Q4, Q7: the product under the servers that people run, with reloads and ends in the middle."""

from __future__ import annotations

import itertools
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.faults import Reply, accepted, refused, scripted
from tests.delivery.test_hosts import ask, free_port, hosted, wait_for
from tests.integrations.django.live import Shop
from tests.patience import eventually
from tests.programs import program
from tinycrm_core import TinyCRM

SITE = """
from django.core.{kind} import get_{kind}_application
application = get_{kind}_application()

from tinycrm_core import background
from tinycrm_integrations.django import crm
background.EXIT_SECONDS = {seconds}
crm.identify("loading@example.com")  # where a server loads it before it forks, in the parent
"""
PEOPLE = 24


def gunicorn(port: int, *options: str) -> list[str]:
    bound = f"127.0.0.1:{port}"
    return [program("gunicorn"), "site_wsgi:application", "-b", bound, "--no-control-socket",
            "--timeout", "120", "--graceful-timeout", "60", "-w", *options]  # fmt: skip


def uwsgi(port: int) -> list[str]:
    found = program("uwsgi")
    # As a script of Python it would reload into the Python that its environment was made from.
    is_script = Path(found).read_bytes()[:2] == b"#!"
    reloading = ["--binary-path", sys.executable] if is_script else []
    return [found, "--http-socket", f"127.0.0.1:{port}", "--module", "site_wsgi",
            "--master", "--processes", "3", "--need-app", "--die-on-term", "--enable-threads",
            "--py-call-uwsgi-fork-hooks", *reloading]  # fmt: skip


def uvicorn(port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "site_asgi:application", "--port", str(port),
            "--lifespan", "off"]  # fmt: skip


SERVERS = {
    "gunicorn, preload": lambda port: gunicorn(port, "4", "--preload", "-k", "sync"),
    "gunicorn, threads": lambda port: gunicorn(port, "2", "-k", "gthread"),
    "uwsgi": uwsgi,
    "uvicorn": uvicorn,
}
LOSING = {"uwsgi", "uvicorn"}
"""They end without Python: a worker in the middle of a request; by the signal, sent once more."""


class Receiver:
    """What a TinyCRM server has taken, by address and event id, and whether it is up."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.ids: dict[str, set[str]] = defaultdict(set)
        self.is_up = True

    def __call__(self, events: list[Any]) -> Reply:
        if not self.is_up:
            return refused(503)
        for event in events:
            self.taken[event["email"]] += 1
            self.ids[event["email"]].add(event["id"])
        return accepted(events)


@contextmanager
def served(
    shop: Shop, command: Callable[[int], list[str]], seconds: float = 2.0
) -> Iterator[tuple[int, Any]]:
    """The product under a server; its port and its process, whose end waits for so many seconds."""
    for kind in ("wsgi", "asgi"):
        (shop.folder / f"site_{kind}.py").write_text(SITE.format(kind=kind, seconds=seconds))
    port = free_port()
    with hosted(command(port), shop.folder, **shop.environment) as process:
        wait_for(port, shop.folder, "/")
        yield port, process


def joined(port: int, numbers: range) -> tuple[list[str], set[str]]:
    """Four visitors at a time sign up; who was welcomed, and by which processes."""

    def join(number: int) -> tuple[str, str]:
        email = f"p{number}@example.com"
        try:
            return email, ask(port, f"/join/?email={email}")
        except OSError:  # refused by a server that is about to change
            return email, ""

    with ThreadPoolExecutor(4) as visitors:
        answers = list(visitors.map(join, numbers))
    welcomed = [email for email, answer in answers if answer.isdecimal()]
    return welcomed, {answer for _, answer in answers if answer.isdecimal()}


@pytest.fixture
def make_site(make_shop: Callable[..., Shop], tmp_path: Path) -> Callable[..., Shop]:
    """A product whose transactions take turns, as its workers share one file."""

    def make(url: str, **tinycrm: Any) -> Shop:
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(tmp_path / "shop" / "shop.sqlite3"),
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 60},
        }
        given = {"PROJECT": None, "DATABASE": url, **tinycrm}
        return make_shop(databases={"default": database}, tinycrm=given)

    return make


@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", SERVERS)
def test_q4_every_sign_up_arrives_once(make_site: Callable[..., Shop], server: str) -> None:
    receiver = Receiver()
    with scripted(receiver) as remote:
        shop = make_site(remote.url)
        # A machine that is busy with tests takes longer for what is left.
        with served(shop, SERVERS[server], 30.0) as (port, _):
            welcomed, processes = joined(port, range(PEOPLE))
            assert len(welcomed) == PEOPLE, (shop.folder / "host.log").read_text()
            if server in LOSING:
                eventually(lambda: len(receiver.taken) > PEOPLE)
        arrived = receiver.taken.copy()
        loaded = arrived.pop("loading@example.com")
        assert arrived == Counter(welcomed), (shop.folder / "host.log").read_text()
        assert loaded == 1 if "--preload" in SERVERS[server](port) else loaded <= 4
        assert "preload" not in server or len(processes) > 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", ["gunicorn, threads", "uwsgi", "uvicorn"])
def test_q7_with_a_spool_no_reload_and_no_end_loses_anybody(
    make_site: Callable[..., Shop], tmp_path: Path, server: str
) -> None:
    """The server they report to is away, too, from the middle of it until after the end."""
    receiver = Receiver()
    spool = str(tmp_path / "spool.db")
    with scripted(receiver) as remote:
        with served(make_site(remote.url, SPOOL=spool), SERVERS[server]) as (port, process):
            welcomed, _ = joined(port, range(8))
            receiver.is_up = False
            if server != "uvicorn":  # which does not reload
                process.send_signal(signal.SIGHUP)
            more, _ = joined(port, range(8, 16))
            # Somebody gets in again, whatever the change of workers did to those before.
            others = itertools.count(PEOPLE)
            again = eventually(lambda: joined(port, range(n := next(others), n + 1))[0])
            last, _ = joined(port, range(16, PEOPLE))
            welcomed += more + again + last
        assert len(welcomed) >= PEOPLE // 2
        receiver.is_up = True
        with TinyCRM(remote.url, spool=spool) as crm:
            crm.identify("last@example.com")
            assert crm.flush(100), crm.stats()
        assert set(welcomed) <= set(receiver.ids)
        repeated = {who for who, ids in receiver.ids.items() if len(ids) > 1}
        assert repeated <= {"loading@example.com"}
