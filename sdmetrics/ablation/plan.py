"""The plan of an ablation: which units are removed from which layer, by ranking and draw (paper, Sec. 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdmetrics.metrics.bias import UnitBias
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.removal_mask import removal_mask
from sdmetrics.runners.protocols import UnitMasks

BASELINES = ("random", "least")
"""The paper's two baselines: any units, and units among those least biased to the layer's dominant factor."""


@dataclass(frozen=True)
class Removal:
    """Units that are removed from one layer.

    Parameters
    ----------
    layer, ranking, fraction
        The layer, the factor or baseline that the units are ranked by, and the share of the layer's units.
    seed
        The seed of the draw; `None` where every draw removes the same units.
    removed
        The number of units.
    mask
        The index of their mask in `Plan.masks`.
    """

    layer: str
    ranking: str
    fraction: float
    seed: int | None
    removed: int
    mask: int


@dataclass(frozen=True)
class Plan:
    """All removals, and the masks that they need, each distinct mask once.

    `masks[0]` is empty and removes nothing; every other holds the mask of one layer, layer by layer in the order of
    `units`, which has each layer's size.
    """

    removals: tuple[Removal, ...]
    masks: tuple[UnitMasks, ...]
    units: Mapping[str, int]


def plan_removals(
    layers: Mapping[str, UnitBias],
    *,
    factors: Sequence[str],
    fractions: Sequence[float],
    repeats: int,
    by: str = "softmax",
    seed: int = 0,
) -> Plan:
    """Plan the removals: per layer the units most biased to each factor, and both baselines.

    Every removal is drawn `repeats` times, with the seeds `seed`, `seed + 1`, …, and is in the plan once where all
    draws agree. In the ranking by a factor the seed only breaks ties, so there are several draws only at fractions that
    cut through equally biased units.

    Raises
    ------
    InputError
        See `removal_mask`.

    Examples
    --------
    >>> scores = {"dynamic": np.array([0.9, 0.1]), "static": np.array([0.2, 0.8])}
    >>> units = UnitBias(scores, np.array(["dynamic", "static"]), {}, None, 0.5, "pearson")
    >>> plan = plan_removals({"stage4": units}, factors=["static"], fractions=[0, 0.5], repeats=2)
    >>> [(r.fraction, r.seed, r.mask) for r in plan.removals if r.ranking == "static"], plan.masks[1]["stage4"]
    ([(0, None, 0), (0.5, None, 1)], array([1., 0.]))
    """
    removals = []
    masks: list[UnitMasks] = [{}]
    known: dict[tuple[str, bytes], int] = {}
    for layer, units in layers.items():
        for ranking in (*factors, *BASELINES):
            how: dict[str, str] = {"method": ranking} if ranking in BASELINES else {"factor": ranking}
            for fraction in fractions:
                seeds = range(seed, seed + repeats)
                drawn = [removal_mask(units, fraction=fraction, by=by, seed=s, **how) for s in seeds]
                agreed = all(np.array_equal(mask, drawn[0]) for mask in drawn)
                for one, mask in zip([None] if agreed else seeds, drawn, strict=False):
                    key = layer, mask.tobytes()
                    if not mask.all() and key not in known:
                        known[key] = len(masks)
                        masks.append({layer: mask})
                    count = int((mask == 0).sum())
                    removals.append(Removal(layer, ranking, fraction, one, count, known.get(key, 0)))
    return Plan(tuple(removals), tuple(masks), {layer: len(units.labels) for layer, units in layers.items()})


def stored_scores(units: Iterable[Mapping[str, Any]], threshold: float, estimator: str) -> UnitBias:
    """Return the `UnitBias` of one layer from its rows of `units.csv`.

    Examples
    --------
    >>> row = {"dynamic": None, "static": None, "label": "residual"}
    >>> stored_scores([row], 0.5, "pearson").scores["static"]
    array([nan])
    """
    rows = list(units)
    scores = {factor: np.array([row[factor] for row in rows], np.float64) for factor in FACTORS}
    return UnitBias(scores, np.array([row["label"] for row in rows]), {}, None, threshold, estimator)
