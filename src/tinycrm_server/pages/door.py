"""What stands between a browser and the pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

Menu: TypeAlias = tuple[tuple[str, str, str], ...]
"""Pages that the bar of the admin leads to: name, label and path."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is let in: the account they look at, and the name history gives them."""

    account: str
    actor: str


class Door(Protocol):
    """Lets people in, by a link or by a login; its routes come before those of the admin."""

    menu: Menu

    keep_rejected: Callable[..., None] | None
    """Takes what a page of the door shows of a call that was turned away; see `Setup`."""

    def routes(self) -> APIRouter:
        """The pages of the door itself."""
        ...

    def visitor(self, request: Request) -> Visitor | None:
        """Who is inside already."""
        ...

    def outside(self, request: Request) -> Response:
        """The answer for everybody else."""
        ...
