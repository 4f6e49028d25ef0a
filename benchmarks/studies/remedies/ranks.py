"""Rank correlation, with an interval by the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two lists, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ranks(values: Sequence[float] | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the rank of each value from 1; equal values share the mean of theirs.

    >>> ranks([10.0, 30.0, 10.0]).tolist()
    [1.5, 3.0, 1.5]
    """
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return mean


def spearman(x: Sequence[float] | NDArray[np.floating[Any]], y: Sequence[float] | NDArray[np.floating[Any]]) -> float:
    """Return Pearson's r of the ranks; 0 where a list has one value only.

    >>> round(spearman([1.0, 2.0, 3.0], [1.0, 4.0, 9.0]), 6)
    1.0
    """
    a, b = (of - of.mean() for of in (ranks(x), ranks(y)))
    spread = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / spread) if spread else 0.0


def agreement(x: Sequence[float], y: Sequence[float], draws: int = DRAWS) -> Agreement:
    """Return Spearman's correlation with the percentiles of resampled pairs."""
    one, other, rng = np.asarray(x), np.asarray(y), np.random.default_rng(0)
    drawn = rng.integers(len(one), size=(draws, len(one)))
    low, high = np.percentile([spearman(one[rows], other[rows]) for rows in drawn], [2.5, 97.5])
    return Agreement(spearman(x, y), float(low), float(high), len(one))
