"""A real server on a free port, and a plain client for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.serving import Answer, answering, ask
from tinycrm_core.client import TinyCRM
from tinycrm_server.app import create_app
from tinycrm_server.pages.entrance import Entrance
from tinycrm_server.pages.link import LinkDoor
from tinycrm_server.protocol import TimelyProtocol
from tinycrm_server.settings import Settings


@dataclass
class Live:
    """A running server and the keys it knows."""

    crm: TinyCRM
    entrance: Entrance
    port: int
    keys: dict[str, str] = field(default_factory=dict)
    announced: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; `body` is bytes, or a value sent as JSON; `key` names one of `keys`."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {self.keys.get(key, key)}")
        return ask(self.port, method, path, body, sent)

    def post(self, path: str, body: Any, key: str | None = "news", **options: Any) -> Answer:
        return self.ask("POST", path, body, key=key, **options)

    def session(self) -> dict[str, str]:
        """Headers of a browser that came through the link."""
        answer = self.ask("GET", f"/enter?code={self.entrance.new_code()}")
        assert answer.status == 303
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


@contextlib.contextmanager
def serving(
    crm: TinyCRM,
    root_path: str = "",
    app: Any = None,
    settings: Settings | None = None,
    proxies: str = "",
) -> Iterator[Live]:
    """Serve until the block ends: `app`, or the pages of the demo; `proxies` are trusted."""
    announced: list[str] = []
    entrance = Entrance(announced.append)
    app = app or create_app(crm, door=LinkDoor(entrance), settings=settings)
    options = {
        "http": TimelyProtocol,
        "server_header": False,
        "root_path": root_path,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": proxies,
    }
    with answering(app, **options) as port:
        yield Live(crm, entrance, port, announced=announced)
