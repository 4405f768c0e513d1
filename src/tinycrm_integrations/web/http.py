"""Requests and responses as plain data, the same under every framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import IO
from urllib.parse import urlsplit

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form: the name its sender gave it, which is not to be trusted, and its bytes."""

    filename: str
    stream: IO[bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as the admin looks at it.

    `path` is what follows the mount, decoded, with a leading slash; an empty one means the bare
    mount. `prefix` is the decoded path of the mount without a slash at its end, and `origin` the
    scheme and authority the host believes it is reached at. `query` and `form` keep their order
    and repeated names. `headers` have lower-case names. `actor` names who is logged in, and
    `csrf` is the hidden field that the host demands in forms: its name and value.
    """

    method: str
    path: str
    prefix: str = ""
    origin: str = ""
    query: Pairs = ()
    form: Pairs = ()
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    actor: str = ""
    csrf: tuple[str, str] | None = None

    def value(self, name: str, default: str = "") -> str:
        """The last value of a form field."""
        return dict(self.form).get(name, default)

    def values(self, name: str) -> list[str]:
        """Every value of a form field, in order."""
        return [value for each, value in self.form if each == name]

    def cookie(self, name: str) -> str | None:
        """The value of a cookie; None when there is none, or none that can be read."""
        try:
            cookies = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return None
        return cookies[name].value if name in cookies else None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; a body that is no `bytes` is sent piece by piece as it is made."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Pairs = ()

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case."""
        return {key.lower(): value for key, value in self.headers}.get(name.lower())


def redirect(path: str, *, status: int = 303) -> Response:
    """To another page of the admin; `path` is a path with its mount, as `Links` builds it."""
    return Response(status, b"", (("Location", path),))


def same_origin(request: Request) -> bool:
    """Whether a page of this very site sent the request, going by what browsers say of it.

    `Sec-Fetch-Site` decides where it is sent, which is on HTTPS and on loopback; elsewhere
    `Origin` has to name the host. A request that carries neither is refused: every browser sends
    one of them with a form, so it comes from something else, or through something that drops them.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    hosts = (
        urlsplit(request.origin).netloc,
        request.headers.get("host", ""),
        request.headers.get("x-forwarded-host", ""),
    )
    return origin.scheme in ("http", "https") and origin.netloc.lower() in {
        each.lower() for each in hosts if each
    }
