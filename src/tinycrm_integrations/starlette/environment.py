"""A reporter from the environment, for applications that are set up by variables."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tinycrm_integrations import settings
from tinycrm_integrations.reporting import Reporter


def reporter_from_environment(environment: Mapping[str, str] | None = None) -> Reporter:
    """The reporter that the environment describes, with a client of its own.

    Raises InvalidInput for a variable that is missing or wrong. Connects to nothing.
    """
    found = settings.read_environment(os.environ if environment is None else environment)
    return settings.reporter(settings.open_client(found, via="fastapi"), found)
