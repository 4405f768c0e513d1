"""The registry of params keys: counted while people are saved, written at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinycrm_core.model import Json
from tinycrm_core.params import kind_of, param_instant, walk
from tinycrm_core.sql.columns import LONGEST_PATH

MAX_SAMPLES = 10
LONGEST_SAMPLE = 60


@dataclass(slots=True)
class Delta:
    """What changes about one key of one product."""

    count: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    samples: list[Json] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.count or self.samples or any(self.kinds.values()))


class Registry:
    """The changes of one transaction, by product and path.

    `full` holds keys that are known to have all their samples, so that a new value of a common
    key does not touch its row.
    """

    def __init__(self, account_id: int, full: set[tuple[int, int, str]]) -> None:
        self._account_id = account_id
        self._full = full
        self._deltas: dict[tuple[int, str], Delta] = {}

    def note(self, project_id: int, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
        """One membership's params went from `old` to `new`."""
        for step, params in ((-1, old), (1, new)):
            for path, value in walk(params):
                if len(path) > LONGEST_PATH // 4 and len(path.encode()) > LONGEST_PATH:
                    continue  # longer than an index takes, and than anybody would pick from a list
                delta = self._deltas.setdefault((project_id, path), Delta())
                delta.count += step
                for kind in kinds_of(value):
                    delta.kinds[kind] = delta.kinds.get(kind, 0) + step
                if step > 0 and (self._account_id, project_id, path) not in self._full:
                    add_sample(delta.samples, value)

    def take(self) -> list[tuple[int, str, Delta]]:
        """What there is to write, in the order in which everybody locks the rows."""
        found = [(*key, delta) for key, delta in sorted(self._deltas.items()) if delta]
        self._deltas = {}
        return found

    def filled(self, project_id: int, path: str) -> None:
        """This key needs no more samples."""
        self._full.add((self._account_id, project_id, path))

    def emptied(self, project_id: int, path: str) -> None:
        """This key is gone, and its samples with it."""
        self._full.discard((self._account_id, project_id, path))


def kinds_of(value: Json) -> Iterator[str]:
    """What a value counts as: text that is a date counts twice."""
    kind = kind_of(value)
    yield kind
    if kind == "text" and param_instant(value) is not None:
        yield "date"


def add_sample(samples: list[Json], value: Any) -> None:
    """Keep a short scalar that is not there yet, while there is room."""
    if (
        value is not None
        and not isinstance(value, dict | list)
        and len(samples) < MAX_SAMPLES
        and value not in samples
        and len(str(value)) <= LONGEST_SAMPLE
    ):
        samples.append(value)
