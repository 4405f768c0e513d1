"""A user model of the product's own, and one that only adds to Django's."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import User
from django.db import models


class Members(BaseUserManager["Member"]):
    """Makes members."""

    def create_user(self, handle: str, contact: str, password: str | None = None) -> Member:
        member = self.model(handle=handle, contact=contact)
        member.set_password(password)
        member.save(using=self._db)
        return member


class Member(AbstractBaseUser):
    """Logs in by a handle, and keeps the address in a field of another name."""

    handle = models.CharField(max_length=50, unique=True)
    contact = models.EmailField(blank=True)
    objects: ClassVar[Any] = Members()
    EMAIL_FIELD = "contact"
    USERNAME_FIELD = "handle"


# What builds on Django's own user cannot be there without it.
if settings.AUTH_USER_MODEL == "auth.User":

    class Teacher(User):
        """A user with more columns; saving one says nothing of a user."""

        subject = models.CharField(max_length=50)

    class Person(User):
        """A user under another name."""

        class Meta:
            proxy = True

    class Note(models.Model):
        """Belongs to a user, and is nothing to us."""

        user = models.ForeignKey(User, models.CASCADE, related_name="notes")
        text = models.CharField(max_length=50)
