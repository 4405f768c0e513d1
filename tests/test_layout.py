"""What the code promises about its shape: who imports whom, and that an import does nothing."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import tinycrm_core
from tests.sources import ROOT, SOURCES, import_quietly, name_of

# From the outside in: each package may import itself and those after it.
PACKAGES = ("tinycrm_server", "tinycrm_integrations", "tinycrm_core")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every import in a file, inside functions too."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            yield node.lineno, importlib.util.resolve_name(name, package)


def importing(paths: list[Path], forbidden: set[str]) -> list[str]:
    """Each import in these files of something that is forbidden there, for a person to find."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if name.partition(".")[0] in forbidden
    ]


def test_imports_point_from_server_to_integrations_to_core() -> None:
    for position, package in enumerate(PACKAGES):
        own = [path for path in SOURCES if path.is_relative_to(ROOT / "src" / package)]
        assert own
        assert not importing(own, set(PACKAGES[:position]))


def test_only_the_sql_package_of_the_core_knows_sqlalchemy() -> None:
    core = ROOT / "src" / "tinycrm_core"
    outside = [
        path
        for path in SOURCES
        if path.is_relative_to(core) and not path.is_relative_to(core / "sql")
    ]
    assert not importing(outside, {"sqlalchemy", "alembic", "psycopg"})


def test_importing_starts_nothing() -> None:
    names = [name_of(path) for path in SOURCES if path.name != "__main__.py"]
    import_quietly(names)


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert not {str(path): length for path, length in lengths.items() if length > 450}


def test_tox_tests_the_installed_package() -> None:
    installed = not Path(tinycrm_core.__file__).is_relative_to(ROOT / "src")
    assert installed or "TOX_ENV_NAME" not in os.environ


def test_no_file_names_a_machine_or_a_registry() -> None:
    homes = r"(?<![\w.<])/(?:home|root|Users|work)/\w"
    # Spelled so that this file does not name them either.
    hosts = r"pypi[.]org|python[h]osted|registry[.]npm|deb[.]debian"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        for match in re.finditer(f"{homes}|{hosts}", text):
            found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}")
    assert not found
