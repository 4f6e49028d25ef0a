"""The three estimators of a factor's score, for units (Eq. 2) and for layers (used in Eq. 1), from moments.

All functions take several replicates of the same moments at once, so a jackknife costs little more than an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.moments import PairMoments

ESTIMATORS = ("pearson", "icc", "reference")


@dataclass(frozen=True)
class Stack:
    """Replicates of one factor's moments: `n` and `eps` are `(replicates, 1)`, the rest `(replicates, units)`."""

    n: Floats
    eps: Floats
    mean1: Floats
    mean2: Floats
    m11: Floats
    m22: Floats
    m12: Floats

    @classmethod
    def of(cls, replicates: Sequence[PairMoments]) -> Stack:
        """Return the replicates stacked."""
        names = ("n", "eps", "mean1", "mean2", "m11", "m22", "m12")
        return cls(*(np.stack([np.atleast_1d(getattr(m, name)) for m in replicates]).astype(float) for name in names))


def dead_units(factors: Mapping[str, Stack]) -> NDArray[np.bool_]:
    """Return a mask, `(replicates, units)`, of the units that do not vary in some factor with at least two pairs.

    A variance not above `(4 · eps · |mean|)²` is rounding noise.
    """
    dead = np.zeros(np.broadcast_shapes(*(s.m11.shape for s in factors.values())), bool)
    for s in factors.values():
        still = (s.m11 <= s.n * (4 * s.eps * s.mean1) ** 2) | (s.m22 <= s.n * (4 * s.eps * s.mean2) ** 2)
        dead |= still & (s.n >= 2)
    return dead


def unit_scores(factors: Mapping[str, Stack], estimator: str) -> dict[str, Floats]:
    """Return each factor's score of each unit, `(replicates, units)`; NaN for dead units and below two pairs."""
    dead = dead_units(factors)
    score = _pearson if estimator == "pearson" else _icc
    with np.errstate(divide="ignore", invalid="ignore"):
        return {factor: np.where(dead | (s.n < 2), np.nan, score(s)) for factor, s in factors.items()}


def layer_scores(
    factors: Mapping[str, Stack], estimator: str, variance_from: Sequence[Stack] = ()
) -> dict[str, Floats]:
    """Return each factor's score of the layer, `(replicates,)`; NaN below two pairs or if all units are dead."""
    alive = ~dead_units(factors)
    living = np.where(alive.any(axis=1), alive.sum(axis=1), np.nan)
    if estimator != "reference":
        scores = unit_scores(factors, estimator)
        return {factor: np.where(alive, r, 0).sum(axis=1) / living for factor, r in scores.items()}
    undefined = np.isnan(living)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = _pooled_variance([*factors.values(), *variance_from]).sum(axis=1)
        return {
            factor: np.where(undefined | (s.n[:, 0] < 2), np.nan, _shared(s).sum(axis=1) / pooled)
            for factor, s in factors.items()
        }


def percent(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return 100 · softmax over the factors' scores and the score of `"identical"`, which is 1 (Eq. 1)."""
    powers = {factor: np.exp(score) for factor, score in scores.items()}
    powers["identical"] = np.full_like(next(iter(powers.values())), np.e)
    total = sum(powers.values())
    return {factor: 100 * power / total for factor, power in powers.items()}


def _pearson(s: Stack) -> Floats:
    """Return Pearson's r (Eq. 2)."""
    # Scaling by powers of two is exact and keeps the product in range. The root of a square is then exact, so
    # equal members score exactly 1.
    e1, e2 = np.frexp(s.m11)[1] // 2, np.frexp(s.m22)[1] // 2
    r = np.ldexp(s.m12, -e1 - e2) / np.sqrt(np.ldexp(s.m11, -2 * e1) * np.ldexp(s.m22, -2 * e2))
    return np.asarray(np.clip(r, -1, 1), np.float64)


def _icc(s: Stack) -> Floats:
    """Return Fisher's intraclass correlation, which compares members about their common mean."""
    quarter = (s.mean1 - s.mean2) ** 2 / 4
    icc = _shared(s) / ((s.m11 + s.m22) / (2 * s.n) + quarter)
    return np.asarray(np.clip(icc, -1, 1), np.float64)


def _shared(s: Stack) -> Floats:
    """Return the covariance of the members about their common mean."""
    return np.asarray(s.m12 / s.n - (s.mean1 - s.mean2) ** 2 / 4, np.float64)


def _pooled_variance(stacks: Sequence[Stack]) -> Floats:
    """Return the variance of all members of all pairs as one sample, `(replicates, units)`."""
    n = np.stack([s.n for s in stacks for _ in range(2)])
    mean = np.stack([m for s in stacks for m in (s.mean1, s.mean2)])
    second = np.stack([m for s in stacks for m in (s.m11, s.m22)])
    total = n.sum(axis=0)
    common = (n * mean).sum(axis=0) / total
    return np.asarray((second + n * (mean - common) ** 2).sum(axis=0) / total, np.float64)
