"""Measure how often the intervals of runs that stop when they are sure enough contain the true value, in simulation.

A run looks after every round of shards whether its intervals are narrow enough: it stops the sooner, the narrower they
happen to be. `python -m benchmarks.stopping` prints how much that costs, with and without the widening that makes up
for it; the kinds of units are those of `benchmarks.coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import GROUPS, STATED, Floats, Kind, draw, true_r
from benchmarks.readme import main
from sdmetrics.analysis.shards import shard_sizes
from sdmetrics.analysis.until import LEAST_ROUNDS, WIDENING
from sdmetrics.metrics.classes import PERCENTS
from sdmetrics.metrics.estimators import Stack, layer_scores, percent, unit_scores
from sdmetrics.metrics.intervals import correlation_jackknife, jackknife

CLIPS = 1200
"""Clips of a run; those that are not sure enough by then use all of them."""

POINTS = (1.0, 2.0, 3.0)

UNITS = 4
"""Units of a layer, which are independent: so few that intervals are as wide as those of real layers."""

SIGNAL_R = {"dynamic": np.linspace(0.05, 0.9, UNITS), "static": np.linspace(0.9, 0.3, UNITS)}
"""Correlation of the Gaussian signals behind the members of a pair, unit by unit."""


@dataclass(frozen=True)
class Looks:
    """What one run sees after each of its rounds.

    `clips` is `(rounds,)`; `percents` and `units` are estimate, low and high, `(3, rounds, …)`, beside the true values.
    """

    clips: Floats
    percents: Floats
    true_percents: Floats
    units: Floats
    true_units: Floats

    def held(self, points: float, widening: float) -> dict[str, float]:
        """Return the clips of a run until it is sure, and how many of its intervals contain the true value then."""
        _, low, high = widened(self.percents, widening)
        sure = ((high - low) / 2 <= points).all(axis=1)
        sure[: LEAST_ROUNDS - 1] = False
        reached = bool(sure.any())
        stop = int(sure.argmax()) if reached else len(sure) - 1
        return {
            "percents": _share(self.percents[:, stop], self.true_percents, widening if reached else 1.0),
            "units": _share(self.units[:, stop], self.true_units, widening if reached else 1.0),
            "clips": float(self.clips[stop]),
            "reached": float(reached),
        }


def widened(interval: Floats, widening: float) -> Floats:
    """Return estimate, low and high with both bounds moved away from the estimate."""
    return np.asarray(interval[:1] + (interval - interval[:1]) * widening)


def _share(interval: Floats, truth: Floats, widening: float) -> float:
    """Return the share of the defined intervals that contain the true value."""
    _, low, high = widened(interval, widening)
    defined = np.isfinite(low)
    return float(((low <= truth) & (truth <= high))[defined].mean())


def looks(kind: Kind, rng: np.random.Generator) -> Looks:
    """Draw the clips of a run in rounds, and return what it sees after each."""
    video = np.arange(CLIPS) // kind.clips_per_video
    group = rng.integers(GROUPS, size=video.max() + 1)[video]
    place = np.argsort(rng.permutation(CLIPS))  # the order of hashes within a group
    members = [np.flatnonzero(group == g)[np.argsort(place[group == g])] for g in range(GROUPS)]
    ends = [[*accumulate(shard_sizes(len(clips)))] for clips in members]
    rounds = max(map(len, ends))
    ends = [[*own, *[len(clips)] * (rounds - len(own))] for own, clips in zip(ends, members, strict=True)]
    stacks = {factor: _stack(*draw(kind, r, video, rng), members, ends) for factor, r in SIGNAL_R.items()}
    shape = (GROUPS + 1, rounds)
    shares = percent(layer_scores(stacks, "pearson"))
    percents = np.stack([shares[name].reshape(shape) for name in PERCENTS], axis=-1)
    scores = unit_scores(stacks, "pearson")
    units = np.concatenate([scores[factor].reshape(*shape, -1) for factor in SIGNAL_R], axis=-1)
    true_units = {factor: true_r(kind, r) for factor, r in SIGNAL_R.items()}
    true_shares = percent({factor: np.array([r.mean()]) for factor, r in true_units.items()})
    return Looks(
        np.sum(ends, axis=0).astype(np.float64),
        np.stack([percents[0], *np.clip(jackknife(percents), 0, 100)]),
        np.concatenate([true_shares[name] for name in PERCENTS]),
        np.stack([units[0], *correlation_jackknife(units)]),
        np.concatenate([*true_units.values()]),
    )


def _stack(z1: Floats, z2: Floats, members: list[NDArray[np.intp]], ends: list[list[int]]) -> Stack:
    """Return the moments of all groups, then without each, after every round: `((1 + groups) · rounds, units)`."""
    terms = np.stack([z1, z2, z1 * z1, z2 * z2, z1 * z2])
    sums = np.stack(
        [terms[:, own].cumsum(axis=1)[:, np.array(end) - 1] for own, end in zip(members, ends, strict=True)]
    )
    counts = np.array(ends, np.float64)
    everything = np.concatenate([sums.sum(axis=0)[None], sums.sum(axis=0) - sums])
    n = np.concatenate([counts.sum(axis=0)[None], counts.sum(axis=0) - counts]).reshape(-1, 1)
    s1, s2, s11, s22, s12 = everything.transpose(1, 0, 2, 3).reshape(5, len(n), -1)
    return Stack(n, np.full_like(n, 2.0**-23), s1 / n, s2 / n, s11 - s1 * s1 / n, s22 - s2 * s2 / n, s12 - s1 * s2 / n)


def summary(runs: list[Looks], points: float, widening: float) -> dict[str, float]:
    """Return percentages: of intervals that contain the true value, of runs that stop; and the median of the clips."""
    held = [run.held(points, widening) for run in runs]
    return {
        **{what: 100 * float(np.mean([run[what] for run in held])) for what in ("percents", "units", "reached")},
        "clips": float(np.median([run["clips"] for run in held])),
    }


def table(repeats: int) -> str:
    """Return how often the intervals contain the true value at the stop, in percent, as Markdown."""
    rows = [
        "| units | ± points | layer percents, as they are | widened | unit scores, widened | clips, median | stopped |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, kind in STATED.items():
        rng = np.random.default_rng(0)
        runs = [looks(kind, rng) for _ in range(repeats)]
        for points in POINTS:
            bare, wide = (summary(runs, points, widening) for widening in (1.0, WIDENING))
            rows.append(
                f"| {name} | {points:g} | {bare['percents']:.1f} | {wide['percents']:.1f} | {wide['units']:.1f} | "
                f"{wide['clips']:.0f} | {wide['reached']:.0f} % |"
            )
    setting = (
        f"{repeats} runs of up to {CLIPS} clips in {GROUPS} groups, {UNITS} independent units; percent, nominal 95. "
        f"Widened: by {WIDENING:g}, in the rule and in the results."
    )
    return "\n".join([*rows, "", setting])


if __name__ == "__main__":
    main("stopping", __doc__, table, repeats=400)
