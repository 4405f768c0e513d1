"""The product's tables."""

from __future__ import annotations

from typing import ClassVar

import django.contrib.auth.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KEY = {"auto_created": True, "primary_key": True, "serialize": False}
MANAGERS = [("objects", django.contrib.auth.models.UserManager())]


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(**KEY)),
                ("password", models.CharField(max_length=128)),
                ("last_login", models.DateTimeField(blank=True, null=True)),
                ("handle", models.CharField(max_length=50, unique=True)),
                ("contact", models.EmailField(blank=True, max_length=254)),
            ],
        ),
        migrations.CreateModel(
            name="Teacher",
            fields=[
                (
                    "user_ptr",
                    models.OneToOneField(
                        "auth.User", django.db.models.deletion.CASCADE, parent_link=True, **KEY
                    ),
                ),
                ("subject", models.CharField(max_length=50)),
            ],
            bases=("auth.user",),
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            name="Person",
            fields=[],
            options={"proxy": True},
            bases=("auth.user",),
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(**KEY)),
                ("text", models.CharField(max_length=50)),
                (
                    "user",
                    models.ForeignKey(
                        "auth.User", django.db.models.deletion.CASCADE, related_name="notes"
                    ),
                ),
            ],
        ),
    ]
