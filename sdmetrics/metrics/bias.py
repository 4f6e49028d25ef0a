"""Static and dynamic bias of layers and units, from the moments of their pairs (paper, Eqs. 1–3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import between, one_of
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.classes import COUNTS, FACTORS, PERCENTS
from sdmetrics.metrics.estimators import ESTIMATORS, Stack, dead_units, layer_scores, percent, unit_scores
from sdmetrics.metrics.intervals import MIN_GROUPS, correlation_jackknife, jackknife, leave_one_out
from sdmetrics.metrics.moments import PairMoments

Moments = PairMoments | Sequence[PairMoments]
"""Moments of all pairs of one factor, or one `PairMoments` per group of clips."""

SCORE_RANGE = {"pearson": (-1, 1), "icc": (-1, 1), "reference": (-math.inf, math.inf)}
"""Range of a layer's score by estimator; with `reference` a unit may exceed the pooled variance."""

RESERVED = tuple(name for name in (*PERCENTS, *COUNTS) if name not in FACTORS)
"""Names that a factor cannot have, as they have other meanings in the results."""


@dataclass(frozen=True)
class LayerIntervals:
    """95 % intervals of a layer by factor: `(low, high)`, NaN where undefined."""

    scores: dict[str, tuple[float, float]]
    percent: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class LayerBias:
    """The result of `layer_bias`.

    Attributes
    ----------
    scores
        S_F by factor; NaN below two pairs, or if all units are dead.
    percent
        Percentage of the layer's units for each factor and for `"identical"` (Eq. 1). They sum to 100; NaN if a
        score is NaN.
    ci95
        Intervals of scores and percentages; None unless moments were passed by group.
    units, dead
        Number of units of the layer, and of dead units.
    pairs
        Number of pairs by factor.
    estimator
        Name of the estimator.
    """

    scores: dict[str, float]
    percent: dict[str, float]
    ci95: LayerIntervals | None
    units: int
    dead: int
    pairs: dict[str, int]
    estimator: str


@dataclass(frozen=True)
class UnitBias:
    """The result of `unit_bias`.

    Attributes
    ----------
    scores
        Scores by factor, float64 `(units,)`; NaN for dead units and below two pairs.
    labels
        `(units,)` of str: the name of a factor, `"joint"` or `"residual"`.
    counts
        Number of units by label; `"dead"` is the number of residual units that are dead.
    ci95
        Lower and upper bounds by factor, `(units,)` each, NaN where undefined; None unless moments were passed by
        group.
    threshold, estimator
        Threshold λ, and name of the estimator.
    """

    scores: dict[str, Floats]
    labels: NDArray[np.str_]
    counts: dict[str, int]
    ci95: dict[str, tuple[Floats, Floats]] | None
    threshold: float
    estimator: str


def layer_bias(
    factors: Mapping[str, Moments], estimator: str = "pearson", variance_from: Sequence[Moments] = ()
) -> LayerBias:
    r"""Return the bias of a layer towards each factor (Eq. 1).

    Parameters
    ----------
    factors
        Moments of each factor's pairs, by the factor's name. To get intervals, pass one `PairMoments` per group of
        clips, with the same groups for every factor; groups may be empty.
    estimator
        `"pearson"`: mean of Pearson's r (Eq. 2) over the layer's units that are not dead. `"icc"`: mean of the
        intraclass correlation. `"reference"`: sum of the units' covariances divided by the sum of their variances,
        which are pooled over factors and members, as in the authors' released code.
    variance_from
        Moments of additional pairs, used only for the pooled variance of `"reference"`; by group if the factors
        are.

    Raises
    ------
    InputError
        If the name of a factor or the estimator is not allowed, or the moments are not from one layer and one set
        of groups.

    Notes
    -----
    The percentage of a factor :math:`F` is a softmax over the scores of all factors and of `"identical"`, which is 1:

    .. math:: N_F = 100 \, \frac{\exp S_F}{e + \sum_G \exp S_G}

    With `"pearson"` and `"icc"` the score :math:`S_F` is the mean of the units' scores, see `unit_bias`. With
    `"reference"` it is

    .. math:: S_F = \frac{\sum_i \operatorname{cov}_F(i)}{\sum_i \operatorname{var}(i)}

    where the covariance of unit :math:`i` is about the common mean of both members, and its variance is that of all
    members of all factors' pairs as one sample.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> content, noise, other = rng.standard_normal((3, 500, 4))
    >>> layer = layer_bias({
    ...     "dynamic": PairMoments.from_arrays(content, other),
    ...     "static": PairMoments.from_arrays(content, content + noise),
    ... })
    >>> round(layer.scores["static"], 1), round(layer.percent["identical"])
    (0.7, 47)
    """
    everything = _Replicates(factors, estimator, variance_from)
    scores = layer_scores(everything.factors, estimator, everything.variance_from)
    shares = percent(scores)
    ci95 = None
    if everything.grouped:
        ci95 = LayerIntervals(
            scores={factor: _interval(values, *SCORE_RANGE[estimator]) for factor, values in scores.items()},
            percent={factor: _interval(values, 0, 100) for factor, values in shares.items()},
        )
    return LayerBias(
        scores={factor: float(values[0]) for factor, values in scores.items()},
        percent={factor: float(values[0]) for factor, values in shares.items()},
        ci95=ci95,
        units=everything.units,
        dead=int(dead_units(everything.factors)[0].sum()),
        pairs=everything.pairs,
        estimator=estimator,
    )


def unit_bias(factors: Mapping[str, Moments], threshold: float = 0.5, estimator: str = "pearson") -> UnitBias:
    r"""Return what each unit of a layer encodes (Eqs. 2 and 3).

    A unit encodes a factor if its score is above the threshold. Its label is the factor's name if it encodes one
    factor, `"joint"` if it encodes several and `"residual"` if it encodes none. A unit with an undefined score encodes
    no factor.

    Parameters
    ----------
    factors
        As in `layer_bias`.
    threshold
        λ of Eq. 3, from -1 to 1. A unit whose score equals λ does not encode the factor.
    estimator
        `"pearson"`: Pearson's r (Eq. 2). `"icc"` and `"reference"`: the intraclass correlation.

    Raises
    ------
    InputError
        As in `layer_bias`, or if the threshold is out of range.

    Notes
    -----
    From :math:`n` pairs with the members :math:`z_1` and :math:`z_2`, Pearson's r of a unit is

    .. math::

        r = \frac{\sum (z_1 - \bar z_1)(z_2 - \bar z_2)}
                 {\sqrt{\sum (z_1 - \bar z_1)^2 \sum (z_2 - \bar z_2)^2}}

    and the intraclass correlation, about the common mean :math:`\bar z = (\bar z_1 + \bar z_2) / 2`, is

    .. math:: \mathrm{icc} = \frac{2 \sum (z_1 - \bar z)(z_2 - \bar z)}{\sum (z_1 - \bar z)^2 + \sum (z_2 - \bar z)^2}

    The unit encodes the factor if its score is above :math:`\lambda`.

    Examples
    --------
    >>> same, turned = [[0.0], [1.0], [2.0]], [[2.0], [1.0], [0.0]]
    >>> units = unit_bias({
    ...     "dynamic": PairMoments.from_arrays(same, same),
    ...     "static": PairMoments.from_arrays(same, turned),
    ... })
    >>> units.scores["static"].tolist(), units.labels.tolist(), units.counts["dynamic"]
    ([-1.0], ['dynamic'], 1)
    """
    threshold = between("threshold", threshold, -1, 1, "The paper uses 0.5")
    everything = _Replicates(factors, estimator)
    scores = unit_scores(everything.factors, estimator)
    now = {factor: values[0] for factor, values in scores.items()}
    encoded = np.array([values > threshold for values in now.values()])
    encoded &= ~np.isnan(list(now.values())).any(axis=0)
    names = [*now, "joint", "residual"]
    several, none = len(now), len(now) + 1
    which = np.select([encoded.sum(axis=0) > 1, encoded.any(axis=0)], [several, encoded.argmax(axis=0)], none)
    counts = {name: int((which == label).sum()) for label, name in enumerate(names)}
    counts["dead"] = int(dead_units(everything.factors)[0].sum())
    return UnitBias(
        scores=now,
        labels=np.array(names)[which],
        counts=counts,
        ci95={f: correlation_jackknife(values) for f, values in scores.items()} if everything.grouped else None,
        threshold=threshold,
        estimator=estimator,
    )


class _Replicates:
    """The validated moments of every factor: first those of all groups, then without each non-empty group."""

    def __init__(self, factors: Mapping[str, Moments], estimator: str, variance_from: Sequence[Moments] = ()) -> None:
        one_of("estimator", estimator, ESTIMATORS)
        if not isinstance(factors, Mapping):
            raise InputError(f"factors is a {type(factors).__name__}; expected: moments by name, {{'static': moments}}")
        if not isinstance(variance_from, Sequence):
            raise InputError(f"variance_from is a {type(variance_from).__name__}; expected: a sequence of moments")
        if not factors:
            raise InputError("factors is empty; pass the moments of at least one factor, e.g. {'static': moments}")
        for name in factors:
            if not isinstance(name, str) or not name:
                raise InputError(f"a factor is called {name!r}; expected: a text, e.g. 'static'")
            if name in RESERVED:
                raise InputError(f"{name!r} is a reserved name and cannot be used for a factor; choose another")
        given: list[tuple[str, Moments]] = [*factors.items()]
        given += [(f"variance_from[{i}]", moments) for i, moments in enumerate(variance_from)]
        groups = [_groups(name, moments) for name, moments in given]
        self.grouped = not isinstance(given[0][1], PairMoments)
        self.units = groups[0][0].units
        for (name, moments), parts in zip(given, groups, strict=True):
            if isinstance(moments, PairMoments) == self.grouped or len(parts) != len(groups[0]):
                raise InputError(
                    f"{name!r} has {_count(moments)}, {given[0][0]!r} {_count(given[0][1])}; pass one "
                    "PairMoments for every factor, or one per group, with the same groups in the same order"
                )
            for part in parts:
                if part.units != self.units:
                    raise InputError(
                        f"{name!r} has moments of {part.units} units, {given[0][0]!r} of {self.units}; "
                        "pass the moments of one layer"
                    )
        filled = [i for i in range(len(groups[0])) if any(parts[i].n for parts in groups)]
        stacks = [_stack([parts[i] for i in filled] or parts[:1]) for parts in groups]
        self.factors = dict(zip(factors, stacks, strict=False))
        self.variance_from = stacks[len(factors) :]
        self.pairs = {name: int(stack.n[0, 0]) for name, stack in self.factors.items()}


def _groups(name: str, moments: Moments) -> Sequence[PairMoments]:
    """Return the moments by group; a single `PairMoments` is one group."""
    parts = [moments] if isinstance(moments, PairMoments) else moments
    if not isinstance(parts, Sequence) or not parts or not all(isinstance(p, PairMoments) for p in parts):
        raise InputError(f"{name!r} is {moments!r:.60}; expected: a PairMoments, or a sequence with one per group")
    return parts


def _count(moments: Moments) -> str:
    """Describe the form in which moments were passed."""
    return "one PairMoments" if isinstance(moments, PairMoments) else f"a sequence of {len(moments)}"


def _stack(groups: Sequence[PairMoments]) -> Stack:
    """Return the moments of all groups and, if intervals are defined, those without each group."""
    whole = groups[0]
    for group in groups[1:]:
        whole = whole.merge(group)
    return Stack.of([whole, *(leave_one_out(groups) if len(groups) >= MIN_GROUPS else ())])


def _interval(replicates: Floats, lowest: float, highest: float) -> tuple[float, float]:
    """Return the interval of one number, clipped to its range."""
    low, high = np.clip(jackknife(replicates), lowest, highest)
    return float(low), float(high)
