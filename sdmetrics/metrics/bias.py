"""Static and dynamic bias of layers and units, from the moments of their pairs (paper, Eqs. 1–3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import COUNTS, FACTORS, PERCENTS
from sdmetrics.metrics.estimators import ESTIMATORS, Stack, dead_units, layer_scores, percent, unit_scores
from sdmetrics.metrics.intervals import MIN_GROUPS, correlation_jackknife, jackknife, leave_one_out
from sdmetrics.metrics.moments import PairMoments

Floats = NDArray[np.float64]

Moments = PairMoments | Sequence[PairMoments]
"""Of all pairs of one factor, or one per group of clips."""

SCORE_RANGE = {"pearson": (-1, 1), "icc": (-1, 1), "reference": (-math.inf, math.inf)}
"""What a layer's score can be: with `reference` a unit may outweigh the pooled variance."""

RESERVED = tuple(name for name in (*PERCENTS, *COUNTS) if name not in FACTORS)
"""Names that a factor cannot have: they name other things in the results."""


@dataclass(frozen=True)
class LayerIntervals:
    """95 % intervals of a layer by factor: `(low, high)`, NaN where undefined."""

    scores: dict[str, tuple[float, float]]
    percent: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class LayerBias:
    """What `layer_bias` found.

    Attributes
    ----------
    scores
        S_F by factor; NaN below two pairs or where no unit is alive.
    percent
        Share of the layer's units that Eq. 1 gives to each factor and to `"identical"`; sums to 100, NaN
        where a score is.
    ci95
        Intervals of both; None unless the moments were given by group.
    units, dead
        Units of the layer, and how many of them are dead.
    pairs
        Number of pairs by factor.
    estimator
        What was asked for.
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
    """What `unit_bias` found.

    Attributes
    ----------
    scores
        By factor, float64 `(units,)`; NaN where dead or below two pairs.
    labels
        `(units,)` of str: the name of a factor, `"joint"` or `"residual"`.
    counts
        Units by label, and under `"dead"` how many of the residual ones are dead.
    ci95
        By factor both ends, `(units,)` each, NaN where undefined; None unless the moments were given by
        group.
    threshold, estimator
        What was asked for.
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
    """Return how far a layer is biased to each factor (Eq. 1).

    Parameters
    ----------
    factors
        The moments of each factor's pairs, by the factor's name. Given one `PairMoments` per group of clips,
        the same groups for every factor, intervals are found too; groups may be empty.
    estimator
        `"pearson"`: the mean over the layer's living units of Pearson's r (Eq. 2). `"icc"`: the mean of the
        intraclass correlation. `"reference"`: covariances summed over the units by variances pooled over
        factors and members and summed likewise, as in the authors' code.
    variance_from
        Moments of further pairs that enter the pooled variance of `"reference"` only; by group where the
        factors are.

    Raises
    ------
    InputError
        If a factor's name or the estimator is not allowed, or the moments are not of one layer and one set of
        groups.

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
    """Return what each unit of a layer encodes (Eqs. 2 and 3).

    A unit encodes a factor when its score is above the threshold. Encoding one factor it has that factor's
    label, several `"joint"`, none `"residual"`. A unit with an undefined score encodes nothing.

    Parameters
    ----------
    factors
        As in `layer_bias`.
    threshold
        λ of Eq. 3, from -1 to 1; a score equal to it is not above it.
    estimator
        `"pearson"`: Pearson's r (Eq. 2). `"icc"` and `"reference"`: the intraclass correlation.

    Raises
    ------
    InputError
        As in `layer_bias`, or if the threshold is out of range.

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
    if not -1 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}; allowed: -1 to 1, as scores are. The paper takes 0.5")
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
    """The checked input: every factor's moments, of all groups first, then without each inhabited group."""

    def __init__(self, factors: Mapping[str, Moments], estimator: str, variance_from: Sequence[Moments] = ()) -> None:
        if estimator not in ESTIMATORS:
            raise InputError(f"estimator is {estimator!r}; allowed: {', '.join(ESTIMATORS)}")
        if not factors:
            raise InputError("no factor is given; give the moments of at least one, such as {'static': moments}")
        for name in factors:
            if name in RESERVED:
                raise InputError(f"a factor is called {name!r}, which names something else; call it otherwise")
        given: list[tuple[str, Moments]] = [*factors.items()]
        given += [(f"variance_from[{i}]", moments) for i, moments in enumerate(variance_from)]
        groups = [_groups(name, moments) for name, moments in given]
        self.grouped = not isinstance(given[0][1], PairMoments)
        self.units = groups[0][0].units
        for (name, moments), parts in zip(given, groups, strict=True):
            if isinstance(moments, PairMoments) == self.grouped or len(parts) != len(groups[0]):
                raise InputError(
                    f"{name!r} has {_count(moments)}, {given[0][0]!r} {_count(given[0][1])}; give every "
                    "factor one PairMoments, or one per group, the same groups in the same order"
                )
            for part in parts:
                if part.units != self.units:
                    raise InputError(
                        f"{name!r} holds moments of {part.units} units, {given[0][0]!r} of {self.units}; "
                        "give those of one layer"
                    )
        inhabited = [i for i in range(len(groups[0])) if any(parts[i].n for parts in groups)]
        stacks = [_stack([parts[i] for i in inhabited] or parts[:1]) for parts in groups]
        self.factors = dict(zip(factors, stacks, strict=False))
        self.variance_from = stacks[len(factors) :]
        self.pairs = {name: int(stack.n[0, 0]) for name, stack in self.factors.items()}


def _groups(name: str, moments: Moments) -> Sequence[PairMoments]:
    """Return the moments by group, a single one as the only group."""
    parts = [moments] if isinstance(moments, PairMoments) else moments
    if not isinstance(parts, Sequence) or not parts or not all(isinstance(p, PairMoments) for p in parts):
        raise InputError(f"{name!r} is {moments!r:.60}; needed: a PairMoments, or a sequence of one for each group")
    return parts


def _count(moments: Moments) -> str:
    """Say in which form moments were given."""
    return "one PairMoments" if isinstance(moments, PairMoments) else f"a sequence of {len(moments)}"


def _stack(groups: Sequence[PairMoments]) -> Stack:
    """Return the moments of all groups and, where intervals are defined, those without each group."""
    whole = groups[0]
    for group in groups[1:]:
        whole = whole.merge(group)
    return Stack.of([whole, *(leave_one_out(groups) if len(groups) >= MIN_GROUPS else ())])


def _interval(replicates: Floats, lowest: float, highest: float) -> tuple[float, float]:
    """Return both ends of one number's interval, as far as the number can go."""
    low, high = np.clip(jackknife(replicates), lowest, highest)
    return float(low), float(high)
