"""The product in a process of its own, and visitors who come by HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2

from tests.patience import eventually
from tests.sources import ROOT
from tinycrm_core.client import TinyCRM
from tinycrm_core.model import Customer

PASSWORD = "correct horse 42"
MODULE = "tests.integrations.django.shop"


@dataclass(frozen=True)
class Shop:
    """Where it is kept, and how it is configured."""

    folder: Path
    given: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TINYCRM")}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")])),
            "DJANGO_SETTINGS_MODULE": f"{MODULE}.settings",
            "SHOP": json.dumps(self.given),
            "SHOP_FOLDER": str(self.folder),
        }

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'shop.sqlite3'}"

    def python(self, *arguments: str, fail: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert (done.returncode != 0) == fail, done.stdout + done.stderr
        return done

    def manage(self, *arguments: str, fail: bool = False) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "django", *arguments, fail=fail)

    def run(self, code: str) -> str:
        """Run code inside the project."""
        return self.python("-c", f"import django; django.setup()\n{code}").stdout

    @contextmanager
    def serve(self, kind: str) -> Iterator[Site]:
        """The product served by WSGI or ASGI until the block ends."""
        announce = self.folder / f"port-{time.monotonic_ns()}"
        log = self.folder / "log"
        with log.open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{MODULE}.serve", kind, announce],
                cwd=self.folder,
                env=self.environment,
                stdout=errors,
                stderr=errors,
            )
        try:
            eventually(lambda: announce.exists() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            with TinyCRM(self.given.get("crm", self.database), project="shop") as crm:
                site = Site(self, int(announce.read_text()), crm, process)
                yield site
                for visitor in site.visitors:
                    visitor.http.close()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Site:
    """A running product."""

    shop: Shop
    port: int
    crm: TinyCRM
    process: subprocess.Popen[bytes]
    visitors: list[Visitor] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.shop.folder / "log").read_text()

    def visitor(self) -> Visitor:
        self.visitors.append(Visitor(self))
        return self.visitors[-1]

    def person(self, email: str) -> Customer:
        """Somebody who is known now or in a moment."""
        return eventually(lambda: self.crm.customers.get(email))

    def settled(self) -> None:
        """All that happened so far has been told: what is queued later has arrived."""
        marker = f"marker-{time.monotonic_ns()}@example.com"
        self.visitor().sign_up(marker)
        self.person(marker)


class Visitor:
    """A browser without JavaScript: cookies, redirects, and the forms it finds."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.http = httpx2.Client(base_url=site.url, follow_redirects=True, timeout=60)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.http.get(path, **options)

    def submit(self, path: str, **fields: str) -> httpx2.Response:
        """Load a page and send its form."""
        page = self.http.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        data = {"csrfmiddlewaretoken": token[1], **fields}
        answer = self.http.post(path, data=data, headers={"Referer": self.site.url})
        assert answer.status_code == 200, answer.text
        return answer

    def sign_up(self, email: str) -> None:
        name = email.partition("@")[0].replace(".", "_")
        answer = self.submit(
            "/accounts/signup/", email=email, username=name, password1=PASSWORD, password2=PASSWORD
        )
        assert answer.url.path == "/", answer.text

    def log_in(self, name: str) -> None:
        answer = self.submit("/accounts/login/", login=name, password=PASSWORD)
        assert answer.url.path == "/", answer.text

    def log_out(self) -> None:
        self.submit("/accounts/logout/")

    def mails(self, to: str) -> str:
        """What was sent to an address."""
        files = (self.site.shop.folder / "mails").glob("*")
        sent = (part for each in files for part in each.read_text().split("-" * 79 + "\n"))
        mails = (message_from_string(each, policy=default) for each in sent if each.strip())
        return "\n".join(each.get_content() for each in mails if each["To"] == to)


def copied(template: Shop, folder: Path, **given: Any) -> Shop:
    """A product with the tables of another, and with settings of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(template.folder / "shop.sqlite3", folder / "shop.sqlite3")
    return Shop(folder, given)
