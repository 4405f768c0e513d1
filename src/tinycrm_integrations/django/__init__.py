"""TinyCRM in a Django project: `INSTALLED_APPS += ["tinycrm_integrations.django"]`.

`crm` is the client that the setting `TINYCRM` describes; it opens when it is first used.
"""

from tinycrm_integrations.django.client import crm

__all__ = ["crm"]
