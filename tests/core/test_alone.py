"""The core needs Python and nothing else."""

from __future__ import annotations

from pathlib import Path

import tinycrm_core
from tests.sources import ROOT, SOURCES, import_quietly, name_of

# What SQL needs and what pytest needs must be asked for by name.
ASKED = ("tinycrm_core.sql", "tinycrm_core.testing")


def test_f13_the_core_imports_with_nothing_installed(core_alone: Path) -> None:
    core = [name for path in SOURCES if (name := name_of(path)).startswith("tinycrm_core")]
    assert "tinycrm_core.errors" in core
    names = [name for name in core if not name.startswith(ASKED)]
    import_quietly(names, "-I", "-S", folder=core_alone)


def test_the_public_names_are_the_ones_written_down() -> None:
    """A change of these names is a change of the promise: it is made in both places at once."""
    written = (ROOT / "tests" / "core" / "public_names.txt").read_text("utf-8").split()
    assert sorted(vars(tinycrm_core).get("__all__", [])) == written
    assert [name for name in written if not hasattr(tinycrm_core, name)] == []
