"""A newsletter: Django with django-allauth."""
