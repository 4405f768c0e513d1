"""Where events go: straight into a store. One path, whoever calls."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from tinycrm_core import signals, times
from tinycrm_core.account import Account
from tinycrm_core.apply import Answer, Outcome, apply_events
from tinycrm_core.errors import InvalidInput, NotFound, TinyCRMError
from tinycrm_core.events import Event, from_json
from tinycrm_core.model import HUES
from tinycrm_core.state import ProjectState
from tinycrm_core.store import Transaction

_SLUG = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


class Transport(Protocol):
    """Something that takes events of a product. Safe to share between threads and over a fork."""

    most_events: int
    """Events that one `deliver` takes."""
    most_bytes: int
    """Bytes of text that one `deliver` takes."""

    def send(self, project: str, events: Sequence[Event], *, via: str = "call") -> list[Answer]:
        """The answer to each event, in order."""
        ...

    def destination(self, project: str) -> str:
        """Where events of a product go, as text without secrets: the same in every process."""
        ...

    def deliver(
        self, project: str, texts: Sequence[str], *, via: str = "call", timeout: float | None = None
    ) -> list[Answer]:
        """The same for events as JSON texts, each with a time and an id.

        Delivering a text again changes nothing. `timeout` bounds the seconds this may take, where
        a transport waits for others. Raises Undelivered or StoreError if nothing was taken.
        """
        ...

    def flush(self, timeout: float | None = None) -> bool:
        """True once everything sent so far is accepted by the other side."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class _RolledBack(Exception):
    """Leaves a transaction without a trace, carrying what it would have done."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class StoreTransport:
    """Applies events at once; a product is created when something is first stored for it."""

    most_events = 500
    most_bytes = 1024 * 1024

    def __init__(self, account: Account) -> None:
        self._account = account

    def send(
        self,
        project: str,
        events: Sequence[Event],
        *,
        via: str = "call",
        batch: UUID | None = None,
        create: bool = True,
    ) -> list[Answer]:
        """One transaction for the whole list; signals follow once it is stored.

        Without `create`, somebody who is not here is answered with NotFound, and a product that is
        not there raises it.
        """

        def work(tx: Transaction) -> Outcome:
            return self._apply(tx, project, events, via, batch, create=create)

        try:
            outcome = self._account.write(work)
        except _RolledBack as rolled_back:
            return rolled_back.outcome.answers
        self._tell(project, outcome)
        return outcome.answers

    def destination(self, project: str) -> str:
        """The account; a file of waiting events belongs to one database."""
        return f"account {self._account.slug}"

    def deliver(
        self, project: str, texts: Sequence[str], *, via: str = "call", timeout: float | None = None
    ) -> list[Answer]:
        """One transaction for all; texts that are no events answer with their error."""
        read = [self._read(text) for text in texts]
        good = [each for each in read if not isinstance(each, TinyCRMError)]
        done = iter(self.send(project, good, via=via) if good else ())
        return [each if isinstance(each, TinyCRMError) else next(done) for each in read]

    def _read(self, text: str) -> Event | TinyCRMError:
        try:
            return from_json(json.loads(text), limits=self._account.limits)
        except TinyCRMError as error:
            return error
        except ValueError:
            return InvalidInput("event: not JSON", field=None)

    def preview(self, project: str, events: Sequence[Event]) -> list[Answer]:
        """What `send` would answer; nothing is written."""

        def work(tx: Transaction) -> Outcome:
            raise _RolledBack(self._apply(tx, project, events, "preview", None))

        try:
            self._account.write(work)
        except _RolledBack as rolled_back:
            return rolled_back.outcome.answers
        raise AssertionError("a preview cannot end any other way")

    def flush(self, timeout: float | None = None) -> bool:
        return True

    def close(self) -> None:
        """Nothing to give back: the store belongs to the client."""

    def _apply(
        self,
        tx: Transaction,
        project: str,
        events: Sequence[Event],
        via: str,
        batch: UUID | None,
        *,
        create: bool = True,
    ) -> Outcome:
        now = times.now()
        # Looked up each time: an id kept from a transaction that then fails may be another's soon.
        known = next((each for each in tx.projects() if each.slug == project), None)
        if known is None and not create:
            raise NotFound("project: there is no such product", field="project")
        stored = known or ensure_project(tx, project, now)
        limits = self._account.limits
        outcome = apply_events(
            tx, stored.id, events, now=now, via=via, batch=batch, limits=limits, create=create
        )
        idle = all(each is False or isinstance(each, TinyCRMError) for each in outcome.answers)
        if known is None and idle:
            raise _RolledBack(outcome)  # pings and refusals leave no product behind
        return outcome

    def _tell(self, project: str, outcome: Outcome) -> None:
        for customer_id, email in outcome.created:
            signals.send(
                signals.customer_created,
                self._account.sender,
                customer_id=customer_id,
                email=email,
                project=project,
            )
        for merged in outcome.merged:
            signals.merged(self._account.sender, merged)
        for change in outcome.status_changes:
            signals.send(
                signals.status_changed,
                self._account.sender,
                customer_id=change.customer_id,
                email=change.email,
                project=project,
                old=change.old,
                new=change.new,
            )


def ensure_project(
    tx: Transaction, slug: str, now: int, name: str | None = None, hue: str | None = None
) -> ProjectState:
    """The product with this slug; a new one takes the first of the least used colours."""
    projects = tx.projects()
    for project in projects:
        if project.slug == slug:
            return project
    hue = hue or min(HUES, key=[project.hue for project in projects].count)
    return tx.add_project(ProjectState(0, clean_slug(slug), name or slug, hue, now))


def clean_slug(slug: object) -> str:
    """A product's name in keys, filters and URLs: lower-case letters, digits, `-` and `_`."""
    if isinstance(slug, str) and _SLUG.fullmatch(slug):
        return slug
    raise InvalidInput(
        "project: a slug has 1 to 64 lower-case letters, digits, hyphens or underscores, "
        "and starts with a letter or digit",
        field="project",
    )
