"""A link from the index of Django's admin to the customers, where they are mounted."""

from django.contrib import admin

# Loaded by Django's own admin as it looks for registrations. A project with an index template of
# its own can include "tinycrm/admin_link.html".
if admin.site.index_template is None:
    admin.site.index_template = "tinycrm/admin_index.html"
