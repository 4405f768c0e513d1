"""Streams that can be read twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


@contextmanager
def rewindable(stream: IO[Any], *, wanted: bool) -> Iterator[tuple[IO[Any], int | None]]:
    """The stream and how many bytes it still holds; None if it cannot go back.

    With `wanted`, a stream that cannot go back is copied to a temporary file first.
    """
    size = _remaining(stream)
    if size is not None or not wanted:
        yield stream, size
        return
    is_text = isinstance(stream.read(0), str)
    mode = ("w+", "utf-8", "") if is_text else ("w+b", None, None)
    with tempfile.TemporaryFile(mode[0], encoding=mode[1], newline=mode[2]) as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy, _remaining(copy)


def _remaining(stream: Any) -> int | None:
    try:
        begin = stream.tell()
        stream.seek(0, 2)
        end = stream.tell()
        stream.seek(begin)
    except (AttributeError, OSError, ValueError):
        return None
    return max(0, int(end) - int(begin))
