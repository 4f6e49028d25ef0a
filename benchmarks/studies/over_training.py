"""Study 3: after which share of the training are the final biases reached? (paper, Sec. 4.3, Fig. 10)."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean
from benchmarks.studies.models.recipe import SHARES, Recipe
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table
from sdmetrics.metrics.classes import FACTORS

LAST = {"i3d": ("pathway.stage4",), "slowfast": ("slow.stage4", "fast.stage4")}
"""The last layers of the networks that are measured during training."""
LABELS = ("motion", "appearance", "both")
NEAR, LEAST = 0.1, 0.5
"""The final value is reached once the curve stays within this share of its range, or so many points if that is more."""


def arm(network: str, labels: str, scale: Scale) -> list[Recipe]:
    """Return the recipes of one network, trained on one kind of label."""
    return [Recipe(network, labels, seed, tracked=True, budget=scale.budget) for seed in scale.seeds]


def recipes(scale: Scale) -> list[Recipe]:
    """Return the recipes of all networks that are measured during their training."""
    return [recipe for network in LAST for labels in LABELS for recipe in arm(network, labels, scale)]


def reached(shares: Sequence[float], values: Sequence[float]) -> float:
    """Return the first share of the training from which on all values are near the last one.

    >>> reached([0.0, 0.5, 1.0], [10.0, 30.0, 30.2])
    0.5
    """
    near = max(LEAST, NEAR * (max(values) - min(values)))
    far = [number for number, value in enumerate(values) if abs(value - values[-1]) > near]
    return shares[far[-1] + 1] if far else shares[0]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Find when the biases are reached."""
    points, rows, when = [], [], []
    for network, layers in LAST.items():
        for labels in LABELS:
            one = Arm(bank, arm(network, labels, scale))
            for layer in layers:
                row = [network, labels, layer]
                for factor in FACTORS:
                    by_share = {share: one.percent(layer, factor, share) for share in SHARES}
                    curves = zip(*by_share.values(), strict=True)
                    when.append(Mean.of([100 * reached(SHARES, curve) for curve in curves]))
                    row.append(str(when[-1]))
                    place = {"network": network, "labels": labels, "layer": layer, "factor": factor}
                    points += [{**place, "share": 100 * s, **Mean.of(v).json()} for s, v in by_share.items()]
                rows.append(tuple(row))
    early = sum(mean.half is not None and mean.value + mean.half <= 50 for mean in when)
    late = sum(mean.half is not None and mean.value - mean.half > 50 for mean in when)
    finding = Finding(
        "Static and dynamic information are largely learned during the first half of the training, in all cases.",
        f"of {len(when)} curves {early} surely reach their final value in the first half, {late} surely later; on "
        f"average after {Mean.of([mean.value for mean in when]).value:.0f} %",
        HOLDS if early == len(when) else FAILS if late else OPEN,
        "50 % of the training",
    )
    columns = ("network", "labels", "layer", *FACTORS)
    title = "Percent of the training after which the final percent of Eq. 1 is reached"
    return Study(
        "over_training",
        "When are the biases learned?",
        f"Measured at {len(SHARES)} moments of the training (one-cycle learning rate); {scale.budget.clips} clips, "
        f"{len(scale.seeds)} seeds. Reached: the curve stays within {NEAR:.0%} of its range, at least {LEAST} points, "
        "of its last value.",
        [finding],
        [Table(title, columns, rows)],
        points,
    )


PLAN = Plan("over_training", recipes, conclude)
