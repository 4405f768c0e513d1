"""The Django application: listens, checks, and makes its tables with `manage.py migrate`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


class TinyCRMConfig(AppConfig):
    """`INSTALLED_APPS += ["tinycrm_integrations.django"]`."""

    name = "tinycrm_integrations.django"
    label = "tinycrm"
    verbose_name = "TinyCRM"

    def ready(self) -> None:
        """Connect what listens; nothing is opened."""
        from django.apps import apps

        from tinycrm_integrations.django.checks import check_database, check_settings
        from tinycrm_integrations.django.migrate import migrate

        if apps.is_installed("django.contrib.auth"):
            from tinycrm_integrations.django import hooks

            hooks.connect()
        if apps.is_installed("django.contrib.admin"):
            from django.contrib import admin

            # A project with an index of its own includes "tinycrm/admin_link.html" there.
            if admin.site.index_template is None:
                admin.site.index_template = "tinycrm/admin_index.html"
        checks.register(check_settings)
        checks.register(check_database, checks.Tags.database)
        post_migrate.connect(migrate, sender=self, weak=False, dispatch_uid="tinycrm.migrate")


__all__ = ["TinyCRMConfig"]
