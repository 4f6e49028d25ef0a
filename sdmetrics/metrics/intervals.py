"""95 % intervals by the delete-one-group jackknife.

Clips of one video resemble each other, and activations are far from Gaussian, so the error is estimated from the
data: the statistic is recomputed without each group of clips, and the spread of these replicates gives the error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import as_array, between, whole
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.moments import PairMoments

MIN_GROUPS = 5
"""Minimum number of groups. With fewer, intervals are undefined, as they would depend mostly on the grouping."""

LARGEST_R = 1 - 2.0**-53
"""The largest float below 1, where Fisher's z would be infinite."""


def leave_one_out(groups: Sequence[PairMoments]) -> list[PairMoments]:
    """Return, for each group, the moments of all others, merged rather than subtracted to avoid cancellation."""
    if not isinstance(groups, Sequence) or not groups or not all(isinstance(group, PairMoments) for group in groups):
        raise InputError("groups are not moments by group; expected: a sequence with a PairMoments for each")
    empty = PairMoments(groups[0].units)
    before = accumulate(groups[:-1], PairMoments.merge, initial=empty)
    after = accumulate(groups[:0:-1], lambda later, group: group.merge(later), initial=empty)
    return [b.merge(a) for b, a in zip(before, reversed(list(after)), strict=True)]


def mean_replicates(values: ArrayLike, groups: NDArray[np.integer[Any]]) -> Floats:
    """Return the replicates of a mean over clips, from which `jackknife` computes the mean's interval.

    Parameters
    ----------
    values
        `(clips, …)`.
    groups
        `(clips,)`: the group of each clip, from `groups.group_of` for the clip's video.

    Returns
    -------
    replicates
        `(1 + non-empty groups, …)`: the mean over all clips, then without each group; NaN if there are no clips.

    Examples
    --------
    >>> mean_replicates([1, 0, 0, 1], np.array([3, 3, 7, 8])).tolist()
    [0.5, 0.5, 0.6666666666666666, 0.3333333333333333]
    """
    values, (groups, _) = _numbers("values", values), as_array("groups", groups)
    if not values.ndim or groups.shape != values.shape[:1] or (groups.size and groups.dtype.kind not in "iu"):
        raise InputError(
            f"values has shape {values.shape}, groups {groups.shape} of {groups.dtype}; expected: a number for each row"
        )
    selections = [np.full(len(values), True), *(groups != group for group in np.unique(groups))]
    with np.errstate(invalid="ignore"):
        return np.stack([values[selected].sum(axis=0) / selected.sum() for selected in selections])


def jackknife(replicates: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % interval of a statistic.

    Parameters
    ----------
    replicates
        `(1 + groups, …)`: the statistic of all groups, then without each group.

    Returns
    -------
    low, high
        `(…)` each; NaN below five groups, or where a replicate is undefined.

    Notes
    -----
    The interval is Student's t. Its degrees of freedom follow from the kurtosis of the replicates (Satterthwaite), at
    most groups - 1: if a few groups dominate, the estimate of the variance is itself uncertain. On the side to which
    the replicates are skewed the interval is widened (Hall, "On the removal of skewness by transformation", 1992);
    the other side is never narrowed.

    Examples
    --------
    >>> low, high = jackknife(np.array([2.5, 2.0, 2.25, 2.5, 2.75, 3.0]))
    >>> round(float(low), 2), round(float(high), 2)
    (0.54, 4.46)
    """
    replicates = _numbers("replicates", replicates)
    if not replicates.ndim or not len(replicates):
        raise InputError(f"replicates has shape {replicates.shape}; expected: (1 + groups, …)")
    estimate, left_out = replicates[0], replicates[1:]
    groups = len(left_out)
    if groups < MIN_GROUPS:
        return np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    pull = left_out[0] - left_out  # relative to one replicate, so that equal replicates give exactly 0
    pull = (groups - 1) * (pull - pull.mean(axis=0))
    variance = (pull**2).mean(axis=0)
    error = np.sqrt(variance / (groups - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(variance > 0, pull / np.sqrt(variance), 0)
    freedom = 2 * groups / np.maximum((scaled**4).mean(axis=0) - 1, 2 * groups / (groups - 1))
    quantiles = np.array([np.nan] + [student_t(df) for df in range(1, groups)])
    t = quantiles[np.nan_to_num(freedom, nan=groups - 1).astype(int)]
    skewness = (scaled**3).mean(axis=0) / math.sqrt(groups)
    bend = np.maximum(np.abs(skewness), 1e-6)
    stretched = np.where(np.abs(skewness) > 1e-6, 3 / bend * (1 - np.cbrt(1 - bend * t)), t)
    return (
        estimate - error * np.where(skewness < 0, stretched, t),
        estimate + error * np.where(skewness > 0, stretched, t),
    )


def correlation_jackknife(replicates: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % interval of scores in [-1, 1], by a `jackknife` on Fisher's scale (atanh).

    Replicates are clipped to the floats next to ±1 and bounds there are returned as ±1: bounds are finite, and if all
    replicates are exactly 1, so are both bounds.
    """
    clipped = np.clip(_numbers("replicates", replicates), -LARGEST_R, LARGEST_R)
    ends = np.tanh(jackknife(np.arctanh(clipped)))
    low, high = np.where(np.abs(ends) >= LARGEST_R, np.sign(ends), ends)
    return low, high


def with_interval(replicates: Floats, most: float = math.inf) -> dict[str, Any]:
    """Return a value from 0 to `most` and its `jackknife` interval, clipped to that range.

    Parameters
    ----------
    replicates
        Replicates of the value, `(1 + groups,)`; see `jackknife`.
    most
        The largest possible value.

    Returns
    -------
    dict
        `"value"` and `"ci95"`, plain numbers; `None` if undefined.

    Examples
    --------
    >>> with_interval(np.array([0.5, 0.4, 0.6, 0.5]), most=1)
    {'value': 0.5, 'ci95': [None, None]}
    """
    replicates, most = _numbers("replicates", replicates), between("most", most, 0, math.inf, "")
    if replicates.ndim != 1:
        raise InputError(f"replicates has shape {replicates.shape}; expected: (1 + groups,)")
    ends = np.clip(jackknife(replicates), 0, most)
    value, *interval = (None if math.isnan(number) else float(number) for number in (replicates[0], *ends))
    return {"value": value, "ci95": interval}


def _numbers(name: str, values: ArrayLike) -> Floats:
    """Return an argument as float64."""
    array, _ = as_array(name, values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has dtype {array.dtype}; expected: numbers")
    return array.astype(np.float64)


def student_t(freedom: int, confidence: float = 0.95) -> float:
    """Return t such that a Student-distributed T satisfies |T| < t with the given confidence.

    Examples
    --------
    >>> round(student_t(19), 3)
    2.093
    """
    freedom = whole("freedom", freedom, least=1)
    return _quantile(freedom, between("confidence", confidence, 0, 1, "For 95 % pass 0.95"))


@cache
def _quantile(freedom: int, confidence: float) -> float:
    """Return `student_t`, computed once."""
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Return P(|T| < sqrt(freedom) · tan(angle)), by the finite series 26.7.3 and 26.7.4 of Abramowitz and Stegun."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        total += term
    series = math.sin(angle) * total
    return 2 / math.pi * (angle + series) if odd else series
