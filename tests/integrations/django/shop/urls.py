"""The pages of the product."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.integrations.django.shop import views
from tinycrm_integrations.django import crm
from tinycrm_integrations.django.mount import admin_urls

urlpatterns = [
    path("", views.front),
    path("me/", views.me),
    path("ame/", views.ame),
    path("delete/", views.delete),
    path("join/", views.join),
    path("broken-signup/", views.broken_signup),
    path("savepoint-signup/", views.savepoint_signup),
    path("plain-email/", views.plain_email),
    path("stream/", views.stream),
    path("astream/", views.astream),
    path("events/", views.events),
    path("file/", views.file),
    path("upload/", views.upload),
    path("raw/", views.raw),
    path("slow-me/", views.slow_me),
    path("buy/", views.buy),
    path("closed/", views.closed),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("crm/", include(admin_urls(crm))),
]
