"""What was measured: samples by measure, who, case and quantity; medians, ranges and ratios of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A median with its range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Sum up at least one sample."""
        return cls(statistics.median(samples), min(samples), max(samples))


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the least sample that at least this share of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


class Results:
    """All samples of a run, in the order in which they came, and what could not be measured."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str, str], dict[str, list[float]]] = {}
        self.troubles: dict[tuple[str, str, str], str] = {}

    def add(self, measure: str, who: str, case: str, quantities: dict[str, float]) -> None:
        """Take one sample of each of some quantities."""
        row = self._samples.setdefault((measure, who, case), {})
        for quantity, sample in quantities.items():
            row.setdefault(quantity, []).append(sample)

    def fail(self, measure: str, who: str, case: str, why: str) -> None:
        """Take down why something could not be measured; it is not tried again."""
        self.troubles[measure, who, case] = why

    def rows(self, measure: str) -> list[tuple[str, str, dict[str, list[float]]]]:
        """Return who, case and samples of a measure, in order."""
        return [
            (who, case, samples) for (name, who, case), samples in self._samples.items() if name == measure
        ]

    def samples(self, measure: str, who: str, case: str, quantity: str) -> list[float]:
        """Return the samples of one quantity, none when it was not measured."""
        return self._samples.get((measure, who, case), {}).get(quantity, [])

    def best(
        self, measure: str, who: str, quantity: str, cases: str, choose: Callable[..., float] = max
    ) -> str | None:
        """Return the case whose name begins like this that has the best median, None when there is none."""
        medians = {
            case: statistics.median(samples[quantity])
            for name, case, samples in self.rows(measure)
            if name == who and case.startswith(cases) and quantity in samples
        }
        if not medians:
            return None
        best = choose(medians.values())
        return next(case for case, median in medians.items() if median == best)

    def as_json(self) -> list[dict[str, Any]]:
        """Return everything."""
        measured: list[dict[str, Any]] = [
            {"measure": measure, "who": who, "case": case, "samples": samples}
            for (measure, who, case), samples in self._samples.items()
        ]
        failed = [
            {"measure": measure, "who": who, "case": case, "trouble": why}
            for (measure, who, case), why in self.troubles.items()
        ]
        return measured + failed


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Return ours by theirs, round by round, None when either is missing.

    Rounds run side by side, so that what slows the machine for a while falls out of their ratio.
    """
    pairs = [(our, their) for our, their in zip(ours, theirs, strict=False) if their > 0]
    return Spread.of([our / their for our, their in pairs]) if pairs else None
