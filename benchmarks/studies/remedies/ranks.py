"""Rank correlation, with an interval by the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two lists, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ranks(values: Values) -> NDArray[np.float64]:
    """Return the rank of each value from 1, along the last axis; equal values share the mean of theirs.

    >>> ranks(np.array([10.0, 30.0, 10.0])).tolist()
    [1.5, 3.0, 1.5]
    """
    below = (values[..., None, :] < values[..., None]).sum(-1)
    equal = (values[..., None, :] == values[..., None]).sum(-1)
    mean: NDArray[np.float64] = below + (equal + 1) / 2
    return mean


def spearman(x: Values, y: Values) -> NDArray[np.float64]:
    """Return Pearson's r of the ranks, along the last axis; 0 where a list has one value only.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])).item()
    1.0
    """
    a, b = (of - of.mean(-1, keepdims=True) for of in (ranks(x), ranks(y)))
    spread = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    r: NDArray[np.float64] = (a * b).sum(-1) / np.where(spread > 0, spread, np.inf)
    return r


def agreement(x: Sequence[float], y: Sequence[float], draws: int = DRAWS) -> Agreement:
    """Return Spearman's correlation with the percentiles of resampled pairs."""
    one, other, rng = np.asarray(x), np.asarray(y), np.random.default_rng(0)
    drawn = rng.integers(len(one), size=(draws, len(one)))
    low, high = np.percentile(spearman(one[drawn], other[drawn]), [2.5, 97.5])
    return Agreement(float(spearman(one, other)), float(low), float(high), len(one))
