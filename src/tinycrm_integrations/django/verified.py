"""Who has confirmed their address, where django-allauth keeps account of it."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from tinycrm_core.events import Identify
from tinycrm_integrations.django.conf import Settings
from tinycrm_integrations.users import UserMapping, default_mapping, identify_user


def mapping_of(settings: Settings) -> UserMapping:
    """The mapping of the settings, else the default one with their choices."""
    if settings.user is not None:
        return settings.user
    if not settings.skip_unverified or not apps.is_installed("allauth.account"):
        return default_mapping(
            skip_staff=settings.skip_staff, skip_unverified=settings.skip_unverified
        )

    def mapping(user: Any) -> Identify | None:
        person = identify_user(user, skip_staff=settings.skip_staff)
        return person if person is not None and is_verified(user, person.email) else None

    return mapping


def is_verified(user: Any, email: str) -> bool:
    """Whether allauth knows that this address is the user's; one query."""
    addresses = apps.get_model("account", "EmailAddress")._default_manager
    found: bool = addresses.filter(user_id=user.pk, email__iexact=email, verified=True).exists()
    return found
