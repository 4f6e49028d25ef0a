"""Unit masks that remove units, to measure what the model loses without them (paper, Sec. 5.1)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import between, one_of, whole
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.bias import UnitBias
from sdmetrics.metrics.estimators import percent

METHODS = ("top", "random", "least")
RANKINGS = ("softmax", "score")

MARGIN = 0.05
"""Difference between the pool of `"least"` and the removed units, as a share of all units."""


def removal_mask(
    units: UnitBias,
    *,
    fraction: float,
    factor: str | None = None,
    method: str = "top",
    by: str = "softmax",
    seed: int = 0,
) -> Floats:
    """Return a mask that removes a fraction of a layer's units.

    Parameters
    ----------
    units
        The result of `unit_bias` for the layer.
    fraction
        Share of units to remove, 0 to 1. The number of units is rounded half up.
    factor
        Factor to rank the units by. Required by `"top"`; the default of `"least"` is the layer's dominant factor,
        the factor with the highest mean score.
    method
        `"top"`: the units most biased to `factor`. `"random"`: randomly drawn units. `"least"`: units drawn from the
        least-biased units; the pool is the removed fraction plus 5 % of the units, at most all of them. `"random"`
        and `"least"` are the paper's baselines.
    by
        Rank by the `"softmax"` over the unit's factors and `"identical"`, as the authors do, or by the
        `"score"` itself.
    seed
        Random seed of the draws and of the order of equally biased units. Units without a score are ranked last.

    Returns
    -------
    mask
        float64 `(units,)`: 0 removes a unit, 1 keeps it.

    Raises
    ------
    InputError
        If an argument is not allowed, or a ranking is required but no unit has a score.

    Examples
    --------
    >>> from sdmetrics.metrics.bias import unit_bias
    >>> from sdmetrics.metrics.moments import PairMoments
    >>> z1, z2 = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    >>> units = unit_bias({"static": PairMoments.from_arrays(z1, z2)})
    >>> removal_mask(units, factor="static", fraction=0.5).tolist()
    [0.0, 1.0]
    """
    one_of("method", method, METHODS)
    one_of("by", by, RANKINGS)
    fraction = between("fraction", fraction, 0, 1, "For 10 % pass 0.1")
    seed = whole("seed", seed, least=0)
    _check_units(units)
    total = len(units.labels)
    count = half_up(fraction * total)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(total)
    if method == "random":
        removed = shuffled[:count]
    else:
        bias = _bias(units, factor, method, by)[shuffled]
        if method == "top":
            removed = shuffled[np.argsort(-bias, kind="stable")][:count]
        else:
            pool = shuffled[np.argsort(bias, kind="stable")][: half_up((fraction + MARGIN) * total)]
            removed = rng.choice(pool, size=count, replace=False)
    mask = np.ones(total)
    mask[removed] = 0
    return mask


def dominant_factor(units: UnitBias) -> str:
    """Return the factor with the highest mean score over the units that have scores.

    Raises
    ------
    InputError
        If no unit has a score.

    Examples
    --------
    >>> scores = {"dynamic": np.array([0.9, np.nan]), "static": np.array([0.2, 1.0])}
    >>> dominant_factor(UnitBias(scores, np.array(["dynamic", "residual"]), {}, None, 0.5, "pearson"))
    'dynamic'
    """
    defined = _defined(units)
    if not defined.any():
        raise InputError(
            "no unit has a score: all are dead, or a factor has fewer than two pairs. Analyze more clips, or use "
            "method='random'"
        )
    return max(units.scores, key=lambda name: float(units.scores[name][defined].mean()))


def _bias(units: UnitBias, factor: str | None, method: str, by: str) -> Floats:
    """Return each unit's bias to the factor; NaN, which sorts last in either order, where undefined."""
    defined, dominant = _defined(units), dominant_factor(units)
    if factor is None and method == "least":
        factor = dominant
    one_of("factor", factor, tuple(units.scores))
    assert factor is not None
    ranked = percent(units.scores) if by == "softmax" else units.scores
    return np.where(defined, ranked[factor], np.nan)


def _check_units(units: UnitBias) -> None:
    """Raise an `InputError` unless the argument has a score of every factor for every unit."""
    if not isinstance(units, UnitBias):
        raise InputError(f"units is a {type(units).__name__}; expected: what unit_bias returns")
    total = len(units.labels)
    if not units.scores or any(np.shape(scores) != (total,) for scores in units.scores.values()):
        raise InputError(
            f"units has {total} labels and not as many scores for each factor; pass what unit_bias returns"
        )


def _defined(units: UnitBias) -> NDArray[np.bool_]:
    """Return a mask of the units that have a score for every factor."""
    return np.asarray(~np.isnan(list(units.scores.values())).any(axis=0))


def half_up(number: float) -> int:
    """Return the number rounded half up, after rounding to nine decimals, as 0.29 * 50 is slightly below 14.5.

    Examples
    --------
    >>> half_up(0.29 * 50)
    15
    """
    return math.floor(round(number, 9) + 0.5)
