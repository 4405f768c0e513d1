"""Every example in the README and the documentation runs, in the order of its page.

```python                  runs; the blocks of a page share their names and their folder
```python no-run=REASON    does not, for one of the REASONS below
```console run             runs each `$ tinycrm …` and compares what it prints
"""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.loops import aside
from tests.sources import ROOT

REASONS = {
    "server": "talks to a server that the reader runs elsewhere",
    "host": "belongs into a host application that the page does not show in full",
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```([\w{}-]+) *(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block that runs; `line` counts the lines of the page above its text."""

    language: str
    line: int
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that run, in order; ValueError for an attribute nobody knows."""
    for fence in FENCE.finditer(page):
        language, attributes, text = fence[2], fence[3].strip(), textwrap.dedent(fence[4])
        line = page.count("\n", 0, fence.start(4))
        runs = language == "python"
        if runs and attributes.startswith("no-run=") and attributes[7:] in REASONS:
            continue
        if language == "console" and attributes == "run":
            runs = True
        elif attributes and not language.startswith("{"):
            raise ValueError(f"line {line}: {attributes!r} is no attribute of {language}")
        if runs:
            yield Block(language, line, text)


def run_python(block: Block, page: str, names: dict[str, Any]) -> None:
    # The empty lines make a traceback show the line of the page.
    exec(compile("\n" * block.line + block.text, page, "exec"), names)


def run_console(block: Block, folder: Path) -> None:
    for example in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = example.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "tinycrm", f"only tinycrm runs here, not {program}"
        done = subprocess.run(
            [sys.executable, "-m", "tinycrm_server", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        same = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if expected.strip():
            assert doctest.OutputChecker().check_output(expected, done.stdout, same), done.stdout


def run(page: str, name: str, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, name, names)
        else:
            run_console(block, folder)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=str(path.relative_to(ROOT)),
        )
        for path in PAGES
    ],
)
def test_the_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    aside(run, path.read_text("utf-8"), str(path), tmp_path)


def test_the_blocks_of_a_page_share_their_names(tmp_path: Path) -> None:
    run("```python\na = 1\n```\n\n1. ok\n   ```python\n   assert a == 1\n   ```\n", "p", tmp_path)


def test_a_wrong_example_fails_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("Text\n\n```python\n1 / 1\n1 / 0\n```\n", "page.md", tmp_path)
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno) == ("page.md", 4)


@pytest.mark.parametrize("attributes", ["no-run", "no-run=lazy", "skip"])
def test_only_a_listed_reason_keeps_an_example_from_running(attributes: str) -> None:
    with pytest.raises(ValueError, match="no attribute of python"):
        list(blocks(f"```python {attributes}\nx\n```\n"))
    assert list(blocks("```python no-run=server\nx\n```\n")) == []


def test_a_console_example_runs_tinycrm_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="only tinycrm"):
        run("```console run\n$ rm file\n```\n", "p", tmp_path)
