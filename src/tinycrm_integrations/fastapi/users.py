"""fastapi-users: what happens to users, told by the methods of its manager."""

from __future__ import annotations

from typing import Any

from tinycrm_core.email import canonical
from tinycrm_core.errors import InvalidInput
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.users import email_of


class ReportedUsers:
    """Put in front of a finished manager: `class Users(ReportedUsers, UserManager): …`.

    In front, so that a method of the manager that forgets its `super()` hides nothing. The class
    says `tinycrm = reporter`. Each method does what the manager does, with the same arguments,
    results and exceptions, and tells the reporter afterwards.
    """

    tinycrm: Reporter

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class that says no reporter: InvalidInput."""
        super().__init_subclass__(**kwargs)
        if not isinstance(getattr(cls, "tinycrm", None), Reporter):
            raise InvalidInput(f"{cls.__name__}.tinycrm: expected a Reporter", field="tinycrm")

    async def on_after_register(self, user: Any, *args: Any, **kwargs: Any) -> None:
        """A sign-up, stored by the time this is called."""
        await super().on_after_register(user, *args, **kwargs)  # type: ignore[misc]
        self.tinycrm.signed_up(self.tinycrm.person(user, "on_after_register"))

    async def on_after_login(self, user: Any, *args: Any, **kwargs: Any) -> None:
        """A login."""
        await super().on_after_login(user, *args, **kwargs)  # type: ignore[misc]
        self.tinycrm.logged_in(self.tinycrm.person(user, "on_after_login"))

    async def on_after_verify(self, user: Any, *args: Any, **kwargs: Any) -> None:
        """The user has shown to own the address."""
        await super().on_after_verify(user, *args, **kwargs)  # type: ignore[misc]
        self.tinycrm.logged_in(self.tinycrm.person(user, "on_after_verify"))

    async def delete(self, user: Any, *args: Any, **kwargs: Any) -> None:
        """A deletion; the address is read before, as a deleted model may not give it any more."""
        email = self._address(user, "delete")
        await super().delete(user, *args, **kwargs)  # type: ignore[misc]
        self.tinycrm.deleted(email)

    async def update(self, user_update: Any, user: Any, *args: Any, **kwargs: Any) -> Any:
        """A change by the user or by an administrator, perhaps of the address.

        Around the whole update, as `on_after_update` no longer knows the address of before.
        """
        old = self._address(user, "update")
        updated = await super().update(user_update, user, *args, **kwargs)  # type: ignore[misc]
        person = self.tinycrm.person(updated, "update")
        if person is not None and old is not None and old != person.email:
            # The new address is not verified yet, so it cannot claim anybody else's row.
            self.tinycrm.email_changed(old, person, may_merge=False)
        else:
            self.tinycrm.updated(person)
        return updated

    def _address(self, user: Any, hook: str) -> str | None:
        """What the user was reported as, even if the mapping has changed its mind since."""
        person = self.tinycrm.person(user, hook)
        if person is not None:
            return person.email
        with self.tinycrm.guard(hook):
            email = email_of(user)
            return None if email is None else canonical(email)
        return None
