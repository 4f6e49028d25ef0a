"""Means over seeds with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sdmetrics.metrics.intervals import student_t


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and the half width of its 95 % t-interval; undefined below two seeds."""

    value: float
    half: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Return the mean of one value per seed."""
        n = len(values)
        half = student_t(n - 1) * stdev(values) / math.sqrt(n) if n > 1 else None
        return cls(fmean(values), half, n)

    def __str__(self) -> str:
        return f"{self.value:.1f}" if self.half is None else f"{self.value:.1f} ± {self.half:.1f}"

    @property
    def above(self) -> bool:
        """Whether the interval lies above zero."""
        return self.half is not None and self.value - self.half > 0

    @property
    def below(self) -> bool:
        """Whether the interval lies below zero."""
        return self.half is not None and self.value + self.half < 0

    def json(self) -> dict[str, float | int | None]:
        """Return it for a JSON file."""
        return {"mean": self.value, "half_width": self.half, "seeds": self.seeds}


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Mean:
    """Return the mean difference between two arms that share their seeds."""
    return Mean.of([a - b for a, b in zip(ours, theirs, strict=True)])


def relative(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ours in percent of theirs, by seed; 100 where there is nothing to lose.

    >>> relative([20.0, 0.0], [40.0, 0.0])
    [50.0, 100.0]
    """
    return [100 * a / b if b else 100.0 for a, b in zip(ours, theirs, strict=True)]
