"""Programs that tests run, beside the Python ones that pip installs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def program(*names: str) -> str:
    """The path of the first that is installed; without one the test is skipped, on CI it fails."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name in names:
        if found := shutil.which(name, path=places):
            return found
    missing = f"not installed: {' or '.join(names)}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
