"""How sure the percent of a layer's units in a class is.

A count does not follow the clips smoothly: without one of twenty groups often no unit changes its class, and the
jackknife of the count itself would then claim to be certain. So the units' scores are drawn at random, each group's
pull on them with a random sign, which has the covariance of the jackknife, over units and factors; and the classes are
counted in every draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.comparison.paired import Groups, layer_stacks
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.estimators import dead_units, unit_scores
from sdmetrics.metrics.intervals import LARGEST_R, MIN_GROUPS, jackknife, student_t

DRAWS = 500


@dataclass(frozen=True)
class ClassShares:
    """The percent of the units in a class: `draws` of it, `(DRAWS,)`, from this many `groups`.

    For dead units, which no draw of scores could bring to life, `draws` are jackknife replicates, `(1 + groups,)`.
    """

    draws: Floats
    groups: int
    are_replicates: bool

    def interval(self, value: float, baseline: ClassShares | None = None) -> tuple[float, float]:
        """Return the 95 % interval of the percent, or of its change from a baseline on the same clips.

        `value` is the percent or the change. The ends are NaN below five groups.
        """
        draws = self.draws - (0 if baseline is None else baseline.draws)
        if self.are_replicates:
            low, high = jackknife(draws)
            return float(low), float(high)
        if self.groups < MIN_GROUPS:
            return math.nan, math.nan
        half = student_t(self.groups - 1) * float(draws.std())
        return value - half, value + half


def class_shares(groups: Groups, layer: str, name: str, estimator: str, threshold: float) -> ClassShares:
    """Return the percent of a layer's units in the class `name` (Eq. 3), drawn with the error of the units' scores.

    The draws of two runs with the same groups belong together one by one.

    Examples
    --------
    >>> from sdmetrics.metrics.classes import FACTORS
    >>> from sdmetrics.metrics.moments import PairMoments
    >>> z = np.random.default_rng(0).normal(size=(6, 2, 9, 4))
    >>> groups = [[{"a": {factor: PairMoments.from_arrays(*pair) for factor in FACTORS}}] for pair in z]
    >>> class_shares(groups, "a", "joint", "pearson", -1.0).interval(100.0)
    (100.0, 100.0)
    """
    stacks = layer_stacks(groups, layer)
    if name == "dead":
        return ClassShares(100 * dead_units(stacks).mean(axis=1), len(groups), are_replicates=True)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, len(groups)))
    scores = unit_scores(stacks, estimator)
    encoded = {factor: _drawn(values, signs) > _on_scale(threshold) for factor, values in scores.items()}
    dynamic, static = encoded["dynamic"], encoded["static"]
    belongs = {
        "dynamic": dynamic & ~static,
        "static": static & ~dynamic,
        "joint": dynamic & static,
        "residual": ~dynamic & ~static,
    }[name]
    return ClassShares(100 * belongs.mean(axis=1), len(groups), are_replicates=False)


def _drawn(scores: Floats, signs: Floats) -> Floats:
    """Return draws of a factor's scores on Fisher's scale, `(DRAWS, units)`; NaN for dead units."""
    on_scale = _on_scale(scores)
    # A unit that is dead without a group encodes nothing there, as one that scores 0.
    left_out = np.nan_to_num(on_scale[1:])
    pull = left_out - left_out.mean(axis=0)
    return np.asarray(on_scale[0] + math.sqrt((len(pull) - 1) / len(pull)) * signs @ pull)


def _on_scale(scores: Floats | float) -> NDArray[np.float64]:
    """Return scores on Fisher's scale."""
    return np.asarray(np.arctanh(np.clip(scores, -LARGEST_R, LARGEST_R)))
