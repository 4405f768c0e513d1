"""The registry of params keys: counted while people are saved, written at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

from tinycrm_core.model import Json

MAX_SAMPLES = 10
LONGEST_SAMPLE = 60


@dataclass(slots=True)
class Delta:
    """What changes about one key of one product."""

    number: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    samples: list[Json] = field(default_factory=list)

    def count(self, kinds: tuple[str, ...], step: int, value: Json) -> None:
        """One value more (`step` 1) or less (-1)."""
        self.number += step
        for kind in kinds:
            self.kinds[kind] = self.kinds.get(kind, 0) + step
        samples = self.samples
        if step > 0 and len(samples) < MAX_SAMPLES and value not in samples:
            add_sample(samples, value)


def _nothing() -> defaultdict[int, defaultdict[str, Delta]]:
    return defaultdict(lambda: defaultdict(Delta))


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
        self._deltas = _nothing()

    def deltas(self, project_id: int) -> defaultdict[str, Delta]:
        """The changes of one product, by path."""
        return self._deltas[project_id]

    def take(self) -> list[tuple[int, str, Delta]]:
        """What there is to write, in the order in which everybody locks the rows."""
        deltas, self._deltas = self._deltas, _nothing()
        return [
            (project_id, path, delta)
            for project_id in sorted(deltas)
            for path, delta in sorted(deltas[project_id].items(), key=itemgetter(0))
            if self._matters(project_id, path, delta)
        ]

    def _matters(self, project_id: int, path: str, delta: Delta) -> bool:
        if delta.number or any(delta.kinds.values()):
            return True
        known = self._known.get((self._account_id, project_id, path), ())
        return len(known) < MAX_SAMPLES and any(each not in known for each in delta.samples)

    def stored(self, project_id: int, path: str, samples: Sequence[Json]) -> None:
        """These samples are in the row now; none if it is gone."""
        self._learned[self._account_id, project_id, path] = list(samples)

    def committed(self) -> None:
        """What was stored will stay, so it is known from now on."""
        self._known.update(self._learned)


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
