"""Comparing things in one run: interleaved, so that a busy machine is busy for all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Work = Callable[[], object]


Clock = Callable[[], float]
CLOCK, PROCESSOR = time.perf_counter, time.process_time
"""Seconds that pass, and those in which this process computes, which others cannot take away."""


def interleaved(
    contenders: Mapping[str, Work],
    *,
    calls: int,
    rounds: int = 9,
    clock: Clock = PROCESSOR,
    before: Work = lambda: None,
) -> dict[str, float]:
    """Median seconds of one call of each; every round gives each of them `calls` calls.

    `before` each of these blocks something may be done that is not timed.
    """
    for work in contenders.values():
        work()
    blocks: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    for _ in range(rounds):
        for name, work in contenders.items():
            before()
            start = clock()
            for _ in range(calls):
                work()
            blocks[name].append((clock() - start) / calls)
    return {name: statistics.median(each) for name, each in blocks.items()}


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with its numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"\n{title}\n{'-' * len(title)}")
    for row in (heads, *rows):
        first, *rest = zip(row, widths, strict=True)
        cells = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]
        print("  ".join(cells).rstrip())


def micros(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs"


def ratios(title: str, times: Mapping[str, float], base: str, bars: Mapping[str, str]) -> None:
    """Print the time of each beside how many times that of `base` it is, and what was aimed at."""
    rows = [
        (name, micros(each), f"{each / times[base]:.1f}×", bars.get(name, ""))
        for name, each in times.items()
    ]
    table(title, ("", "one call", f"of {base}", "bar"), rows)
