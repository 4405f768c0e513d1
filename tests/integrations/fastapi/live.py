"""An ASGI application on a real port."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.types import ASGIApp

from tests.serving import answering


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve until the block ends, lifespan included; the base URL."""
    with answering(app, date_header=False) as port:
        yield f"http://127.0.0.1:{port}"
