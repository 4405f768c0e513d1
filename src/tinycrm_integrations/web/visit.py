"""What a page is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from tinycrm_core.client import TinyCRM
from tinycrm_core.filters import Filter
from tinycrm_core.model import Project
from tinycrm_integrations.web.http import Request
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.pages.importing_files import Uploads


@dataclass(frozen=True, slots=True)
class View:
    """A page before it is HTML: the template, what it shows, and the status of the answer.

    `filter` is the question on screen, for the segments; `products` are the slugs that the spine
    along the top shows, by default those of the filter or else all.
    """

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    filter: Filter | None = None
    products: Set[str] | None = None


@dataclass(frozen=True)
class Visit:
    """One request to the admin with what it may read and write.

    `crm` writes in the name of the actor: history tells so.
    """

    crm: TinyCRM
    request: Request
    links: Links
    now: datetime
    uploads: Uploads = field(default_factory=Uploads)

    @cached_property
    def projects(self) -> tuple[Project, ...]:
        """The products of the account, in the order of the Projects page."""
        return self.crm.projects.list()

    @property
    def slugs(self) -> list[str]:
        """Their slugs."""
        return [each.slug for each in self.projects]
