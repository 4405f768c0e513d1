"""Where a remote server is, and what a client that only reports cannot do."""

from __future__ import annotations

import ipaddress
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

from tinycrm_core.errors import InvalidInput, InvalidKey, NotSupported
from tinycrm_core.keys import check_key, redact
from tinycrm_core.state import KeyState
from tinycrm_core.store import Transaction

SCHEMES = ("http://", "https://")
ENVIRONMENT = "TINYCRM_URL"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """An API key that shows itself to nobody who prints it."""

    text: str

    def __repr__(self) -> str:
        return repr(redact(self.text))


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a server and the project key to report with."""

    secure: bool
    host: str
    port: int
    path: str
    key: Secret = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.secure else 80) else f":{self.port}"
        return f"http{'s' if self.secure else ''}://{host}{port}{self.path}"


def find_server(
    where: object, api_key: str | None, url: str | None, *, allow_http: bool
) -> Server | None:
    """The server that the arguments of a client name, or None if they name a database.

    `where` is `https://KEY@host`, or a key whose server is in TINYCRM_URL; or `url` and `api_key`
    say it apart. Raises InvalidInput or InvalidKey, neither of which holds the key.
    """
    if api_key is None and url is None:
        if isinstance(where, str) and where.startswith("tcrm_"):
            return _server(os.environ.get(ENVIRONMENT), where, allow_http)
        if isinstance(where, str) and where.lower().startswith(SCHEMES):
            return _server(where, None, allow_http)
        return None
    if where is not None:
        raise InvalidInput("where: either a database, or api_key and url", field="where")
    return _server(url or os.environ.get(ENVIRONMENT), api_key, allow_http)


def _server(url: str | None, key: str | None, allow_http: bool) -> Server:
    if not url:
        raise InvalidInput(
            f"url: say where the server is, as url='https://…' or in {ENVIRONMENT}", field="url"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts = None
        host = port = None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        raise InvalidInput("url: expected https://host", field="url")
    if parts.query or parts.fragment:
        raise InvalidInput("url: a query or fragment does not belong here", field="url")
    key = key or parts.username
    if not key or parts.password is not None:
        raise InvalidKey("the API key is missing: https://KEY@host, or api_key='tcrm_proj_…'")
    if check_key(key) != "proj":
        raise InvalidKey("an account key does not report; use the key of a project")
    secure = parts.scheme == "https"
    if not secure and not allow_http and not _is_loopback(host):
        raise InvalidInput(
            "url: http:// sends the key in the clear; use https://, or allow_http=True inside a "
            "network you trust",
            field="url",
        )
    ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    path = parts.path.rstrip("/")
    return Server(secure, ascii_host, port or (443 if secure else 80), path, Secret(key))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RemoteStore:
    """Stands where a database would be in a client that reports to a server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def begin(self, account: str, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Raises NotSupported."""
        self._refuse()

    def find_key(self, digest: bytes) -> tuple[str, KeyState] | None:
        """Raises NotSupported."""
        self._refuse()

    def accounts(self) -> list[str]:
        """Raises NotSupported."""
        self._refuse()

    def migrate(self) -> None:
        """Raises NotSupported."""
        self._refuse()

    def check(self) -> list[str]:
        """Raises NotSupported."""
        self._refuse()

    def close(self) -> None:
        """Nothing to give back here."""

    def _refuse(self) -> NoReturn:
        raise NotSupported(
            f"this client only reports to {self.server}, because the key of a project cannot "
            "read; ask the server's admin or its API with an account key"
        )
