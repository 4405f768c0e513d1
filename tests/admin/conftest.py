"""The admin without any web framework: what it answers to a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.http import Request, Response, Upload

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def body(self) -> bytes:
        body = self.response.body
        return body if isinstance(body, bytes) else b"".join(body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.response.header("Location") or ""

    def header(self, name: str) -> str | None:
        return self.response.header(name)


@dataclass
class Browser:
    """Asks an admin, as somebody whose browser tells where its forms come from."""

    crm: TinyCRM
    admin: Admin
    prefix: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    csrf: tuple[str, str] | None = None
    actor: str = "mara"

    def get(self, address: str, *, method: str = "GET") -> Answer:
        """The page at a path with its query, with or without the prefix."""
        return self._ask(method, address, ())

    def post(
        self,
        address: str,
        form: Fields = (),
        *,
        site: str | None = "same-origin",
        uploads: Mapping[str, Upload] | None = None,
    ) -> Answer:
        """Send a form. `site` is the Sec-Fetch-Site of the browser; None sends none."""
        pairs = tuple(form.items() if isinstance(form, Mapping) else form)
        sent = {} if site is None else {"sec-fetch-site": site}
        return self._ask("POST", address, pairs, sent, uploads)

    def follow(self, answer: Answer) -> Answer:
        """The page a redirect leads to."""
        assert answer.status == 303, (answer.status, answer.text[:2000])
        assert unquote(answer.location).startswith(f"{self.prefix}/")
        return self.get(answer.location)

    def _ask(
        self,
        method: str,
        address: str,
        form: tuple[tuple[str, str], ...],
        headers: Mapping[str, str] | None = None,
        uploads: Mapping[str, Upload] | None = None,
    ) -> Answer:
        parts = urlsplit(address)
        request = Request(
            method,
            unquote(parts.path).removeprefix(self.prefix),
            prefix=self.prefix,
            origin="http://crm.example",
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            form=form,
            uploads=uploads or {},
            headers={**self.headers, **(headers or {})},
            actor=self.actor,
            csrf=self.csrf,
        )
        return Answer(self.admin.handle(request))


@pytest.fixture(params=["memory", "sqlite"])
def crm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TinyCRM]:
    """An empty account, on each backend that needs no server."""
    where = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/crm.db"
    with TinyCRM(where, auto_migrate=True) as crm:
        yield crm


@pytest.fixture
def admin(crm: TinyCRM, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The admin over `crm`, at a prefix; what goes wrong in it is raised."""
    monkeypatch.setenv("TINYCRM_DEBUG", "1")
    return Browser(crm, Admin(crm), prefix="/a b/crm")
