"""`crm`: the client of the project, which waits for the commit of what it is called in."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack, cast

from django.db import DEFAULT_DB_ALIAS, transaction

from tinycrm_core.background import QUEUED
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.events import ChangeEmail, Event, Fields, Identify, Ping, When
from tinycrm_core.model import Result
from tinycrm_integrations.django import conf, opened
from tinycrm_integrations.django.opened import guard


class ProjectClient:
    """The client that the settings describe, opened when first used.

    `identify`, `ping` and `change_email` check their input at once. Inside a transaction of the
    database that the settings name, else the default one, they wait for its commit, and a rollback
    undoes them. Everything else is the `TinyCRM` itself.
    """

    def identify(self, email: str, **fields: Unpack[Fields]) -> Result:
        """As `TinyCRM.identify` in the background."""
        found = opened.current()
        event = Identify(email, **fields, limits=found.crm.limits)
        if self._waits(found, event):
            return QUEUED
        result = found.crm.identify(email, **fields)
        found.settle()
        return result

    def ping(self, email: str, at: When = None) -> bool:
        """As `TinyCRM.ping` in the background."""
        found = opened.current()
        if self._waits(found, Ping(email, at=at)):
            return True
        result = found.crm.ping(email, at)
        found.settle()
        return result

    def change_email(self, old: str, new: str, *, merge: bool = True, at: When = None) -> bool:
        """As `TinyCRM.change_email` in the background."""
        found = opened.current()
        if self._waits(found, ChangeEmail(old, new, merge=merge, at=at)):
            return True
        result = found.crm.change_email(old, new, merge=merge, at=at)
        found.settle()
        return result

    def _waits(self, found: opened.Opened, event: Event) -> bool:
        """Whether it is told once the transaction around is committed."""
        alias = conf.read().alias or DEFAULT_DB_ALIAS
        queue = found.crm.queue
        if queue is None or not transaction.get_connection(alias).in_atomic_block:
            return False
        tell = partial(_tell, found, found.crm.bound.slug, event)
        transaction.on_commit(guard("django.crm")(tell), using=alias, robust=True)
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(opened.client(), name)

    def __repr__(self) -> str:
        try:
            return repr(opened.client())
        except TinyCRMError:
            return "<TinyCRM of this Django project>"


def _tell(found: opened.Opened, project: str, event: Event) -> None:
    if found.crm.queue is not None:
        found.crm.queue.send(project, [event])
        found.settle()


crm = cast("TinyCRM", ProjectClient())
