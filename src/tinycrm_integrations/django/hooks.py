"""What Django and django-allauth say about users, passed on once it is committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models.signals import post_delete, post_init, post_save
from django.dispatch import Signal
from django.utils import timezone

from tinycrm_core.events import Identify
from tinycrm_integrations.django import conf, opened
from tinycrm_integrations.django.opened import guard
from tinycrm_integrations.reporting import Reporter

_KNOWN_EMAIL = "_tinycrm_email"


def connect() -> None:
    """Listen; once, however often it is called."""
    _listen(user_logged_in, _logged_in)
    user_model = get_user_model()
    # By sender: a receiver for all models would slow down every deletion in the project.
    for model in apps.get_models():
        if issubclass(model, user_model):
            _listen(post_init, _loaded, model)
            _listen(post_save, _saved, model)
            _listen(post_delete, _deleted, model)
    if apps.is_installed("allauth.account"):
        from allauth.account import signals

        _listen(signals.user_signed_up, _signed_up)
        _listen(signals.email_confirmed, _email_confirmed)
        _listen(signals.email_changed, _email_changed)


def _listen(signal: Signal, receiver: Callable[..., None], sender: Any = None) -> None:
    name = "" if sender is None else sender._meta.label
    uid = f"tinycrm.{receiver.__name__}.{name}"
    signal.connect(receiver, sender=sender, weak=False, dispatch_uid=uid)


def _once_committed(
    hook: str,
    user: Any,
    tell: Callable[[Reporter, Identify], None],
    *,
    using: str | None = None,
) -> None:
    """Tell of a user when the transaction that they are part of is there to stay."""
    if not opened.is_recording():
        return

    @guard(hook)
    def committed() -> None:
        to = opened.reporter()
        person = to.person(user, hook)
        if person is not None:
            tell(to, person)
            opened.current().settle()

    state = getattr(user, "_state", None)
    if state is None:  # no model: there is nothing to commit
        committed()
    else:
        transaction.on_commit(committed, using=using or state.db, robust=True)


# Django -------------------------------------------------------------------------------------
def _logged_in(user: Any, **_: Any) -> None:
    hook = "django.user_logged_in"
    with guard(hook):

        def tell(to: Reporter, person: Identify) -> None:
            to.logged_in(person, hook)
            opened.current().ping_is_due(user)  # no longer, as a login is a visit

        _once_committed(hook, user, tell)


def _loaded(instance: Any, **_: Any) -> None:
    """Remember the address, so that a change is noticed without a question to the database."""
    values = instance.__dict__
    values[_KNOWN_EMAIL] = values.get(_email_field(instance))


def _saved(
    instance: Any, created: bool, raw: bool, using: str, update_fields: Any = None, **_: Any
) -> None:
    if raw:  # a fixture
        return
    hook = "django.user_created" if created else "django.email_changed"
    with guard(hook):
        field = _email_field(instance)
        if not created and update_fields is not None and field not in update_fields:
            return
        values = instance.__dict__
        old, new = values.get(_KNOWN_EMAIL), values.get(field)
        values[_KNOWN_EMAIL] = new
        if created:
            tell = _signup(hook)
        elif old and new and old != new:
            # Django asks for no proof that the new address is theirs.
            tell = _rename(hook, old, may_merge=False)
        else:
            return
        _once_committed(hook, instance, tell, using=using)


def _deleted(instance: Any, using: str, **_: Any) -> None:
    hook = "django.user_deleted"
    with guard(hook):
        if opened.is_recording():
            # Asked now, while what belongs to the user may still be there.
            person = opened.reporter().person(instance, hook)
            if person is not None:
                email = person.email

                @guard(hook)
                def committed() -> None:
                    opened.reporter().deleted(email, hook)
                    opened.current().settle()

                transaction.on_commit(committed, using=using, robust=True)


# django-allauth -----------------------------------------------------------------------------
def _signed_up(user: Any, **_: Any) -> None:
    hook = "allauth.user_signed_up"
    with guard(hook):
        _once_committed(hook, user, _signup(hook))


def _email_confirmed(email_address: Any, **_: Any) -> None:
    hook = "allauth.email_confirmed"
    with guard(hook):
        user = email_address.user
        joined = getattr(user, "date_joined", None)

        def tell(to: Reporter, person: Identify) -> None:
            if conf.read().skip_unverified and isinstance(joined, datetime):
                # For whoever waits for it, this is the sign-up. It has the time of the real one,
                # so that it undoes nothing that has become known about the person since.
                to.signed_up(replace(person, at=_aware(joined)), hook)
            else:
                to.updated(person, hook)

        _once_committed(hook, user, tell)


def _email_changed(user: Any, from_email_address: Any, to_email_address: Any, **_: Any) -> None:
    hook = "allauth.email_changed"
    with guard(hook):
        if from_email_address is not None:
            may_merge = bool(to_email_address.verified)
            _once_committed(
                hook, user, _rename(hook, from_email_address.email, may_merge=may_merge)
            )


def _signup(hook: str) -> Callable[[Reporter, Identify], None]:
    return lambda to, person: to.signed_up(person, hook)


def _rename(hook: str, old: str, *, may_merge: bool) -> Callable[[Reporter, Identify], None]:
    return lambda to, person: to.email_changed(old, person, hook, may_merge=may_merge)


def _email_field(user: Any) -> str:
    return str(getattr(user, "EMAIL_FIELD", "") or "email")


def _aware(moment: datetime) -> datetime:
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
