"""The registry of params keys: counted while people are saved, written at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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


Known: TypeAlias = dict[tuple[int, int, str], list[Json]]
"""Samples that are stored already, by account, product and path."""


class Registry:
    """The changes of one transaction, by product and path.

    `known` outlives the transaction: where a key has all its samples, or this one already, a
    change of value does not touch its row.
    """

    def __init__(self, account_id: int, known: Known) -> None:
        self._account_id = account_id
        self._known = known
        self._learned: Known = {}
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
                if step > 0:
                    add_sample(delta.samples, value)

    def take(self) -> list[tuple[int, str, Delta]]:
        """What there is to write, in the order in which everybody locks the rows."""
        deltas, self._deltas = self._deltas, {}
        return [(*key, deltas[key]) for key in sorted(deltas) if self._matters(key, deltas[key])]

    def _matters(self, key: tuple[int, str], delta: Delta) -> bool:
        if delta.count or any(delta.kinds.values()):
            return True
        known = self._known.get((self._account_id, *key), ())
        return len(known) < MAX_SAMPLES and any(each not in known for each in delta.samples)

    def stored(self, project_id: int, path: str, samples: Sequence[Json]) -> None:
        """These samples are in the row now; none if it is gone."""
        self._learned[self._account_id, project_id, path] = list(samples)

    def committed(self) -> None:
        """What was stored will stay, so it is known from now on."""
        self._known.update(self._learned)


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
