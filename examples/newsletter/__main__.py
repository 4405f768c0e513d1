"""`python -m examples.newsletter`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from examples.serving import main, serve_wsgi


def create_app(folder: Path) -> Any:
    os.environ["NEWSLETTER_FOLDER"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "examples.newsletter.settings"
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()
    call_command("migrate", verbosity=0)
    return app


main("newsletter", create_app, serve_wsgi)
