"""The product as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "tests.integrations.django.shop"
    label = "shop"
