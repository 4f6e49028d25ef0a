"""Measure how often the 95 % intervals contain the true value, on simulated clips whose correlations are known.

`python -m benchmarks.coverage` prints the table at full scale; the tests run a quick form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.readme import main
from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.moments import PairMoments

Floats = NDArray[np.float64]

CLIPS, GROUPS, UNITS = 300, 20, 32

SIGNAL_R = {"dynamic": np.linspace(0.05, 0.9, UNITS), "static": np.linspace(0.9, 0.3, UNITS)}
"""Correlation of the Gaussian signals behind the members of a pair, unit by unit."""

MAGNITUDE_R = 0.5


@dataclass(frozen=True)
class Kind:
    """A kind of unit: the activation of a Gaussian signal, times a log-normal magnitude of spread `sigma`."""

    activation: Callable[[Floats], Floats]
    sigma: float = 0.0
    clips_per_video: int = 1


def linear(signal: Floats) -> Floats:
    """Return the signal: Gaussian units."""
    return signal


def rectified(share: float) -> Callable[[Floats], Floats]:
    """Return an activation that fires in a share of the clips, with the excess over a threshold as its value."""
    threshold = NormalDist().inv_cdf(1 - share)
    return lambda signal: np.maximum(signal - threshold, 0)


def firing(share: float) -> Callable[[Floats], Floats]:
    """Return an activation that is 1 in a share of the clips, else 0."""
    threshold = NormalDist().inv_cdf(1 - share)
    return lambda signal: np.asarray(signal > threshold, np.float64)


STATED = {
    "Gaussian": Kind(linear),
    "sparse: fires in 20 %, log-normal magnitude": Kind(firing(0.2), sigma=0.5),
    "sparse: fires in 10 %, log-normal magnitude": Kind(firing(0.1), sigma=0.5),
    "sparse: ReLU, fires in 20 %": Kind(rectified(0.2)),
    "clustered: 4 clips per video": Kind(linear, clips_per_video=4),
}
"""Kinds for which the intervals should contain the true value in 93–97 % of runs."""

HARDER = {
    "ReLU, fires in 20 %, 4 clips per video": Kind(rectified(0.2), clips_per_video=4),
    "ReLU, fires in 10 %": Kind(rectified(0.1)),
    "ReLU, fires in 5 %": Kind(rectified(0.05)),
    "log-normal, sigma 1": Kind(np.exp),
    "fires in 10 %, log-normal magnitude, sigma 1": Kind(firing(0.1), sigma=1.0),
}
"""Kinds for which 300 clips are too few: only a handful of them decide the result."""


def coverage(kind: Kind, repeats: int, seed: int = 0) -> dict[str, float]:
    """Return the percentage of intervals that contain the true value.

    `"units"`: for unit scores, where defined; `"undefined"`: the percentage of undefined unit scores. `"scores"`,
    `"percent"`: for those of the layer. Each repeat draws 300 clips, whose videos go to the 20 groups at random.
    """
    rng = np.random.default_rng(seed)
    truth = {factor: true_r(kind, r) for factor, r in SIGNAL_R.items()}
    scores = {factor: r.mean() for factor, r in truth.items()}
    powers = {**{factor: np.exp(score) for factor, score in scores.items()}, "identical": np.e}
    percent = {factor: 100 * power / sum(powers.values()) for factor, power in powers.items()}
    held: dict[str, list[bool]] = {"units": [], "undefined": [], "scores": [], "percent": []}
    video = np.arange(CLIPS) // kind.clips_per_video
    for _ in range(repeats):
        group = rng.integers(GROUPS, size=video.max() + 1)[video]
        factors = {}
        for factor, r in SIGNAL_R.items():
            z1, z2 = draw(kind, r, video, rng)
            factors[factor] = [PairMoments.from_arrays(z1[group == g], z2[group == g]) for g in range(GROUPS)]
        units, layer = unit_bias(factors).ci95, layer_bias(factors).ci95
        assert units is not None
        assert layer is not None
        for factor, (low, high) in units.items():
            defined = np.isfinite(low)
            held["units"] += list(((low <= truth[factor]) & (truth[factor] <= high))[defined])
            held["undefined"] += list(~defined)
        held["scores"] += [low <= scores[factor] <= high for factor, (low, high) in layer.scores.items()]
        held["percent"] += [low <= percent[factor] <= high for factor, (low, high) in layer.percent.items()]
    return {what: 100 * float(np.mean(values)) for what, values in held.items()}


def draw(kind: Kind, r: Floats, video: NDArray[np.int64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return both members of every clip's pair, `(clips, units)`; clips of a video share half of the variance."""

    def gaussian() -> Floats:
        own = rng.standard_normal((len(video), len(r)))
        if kind.clips_per_video == 1:
            return own
        return np.asarray((own + rng.standard_normal((video.max() + 1, len(r)))[video]) / np.sqrt(2))

    signal, magnitude = gaussian(), gaussian()

    def member() -> Floats:
        mine = np.sqrt(MAGNITUDE_R) * magnitude + np.sqrt(1 - MAGNITUDE_R) * gaussian()
        fires = kind.activation(np.sqrt(r) * signal + np.sqrt(1 - r) * gaussian())
        return np.asarray(fires * np.exp(kind.sigma * mine))

    return member(), member()


def true_r(kind: Kind, signal_r: Floats) -> Floats:
    """Return the correlation of the two members in the population, `(units,)`, by numerical integration."""
    common, own = np.linspace(-6, 6, 121), np.linspace(-6, 6, 1201)
    common_weight, own_weight = (np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum() for z in (common, own))
    magnitude = np.exp(kind.sigma**2 * np.array([1 / 2, 2, 1 + MAGNITUDE_R]))
    result = []
    for r in signal_r:
        fires = kind.activation(np.sqrt(r) * common[:, None] + np.sqrt(1 - r) * own)
        given = fires @ own_weight  # given the common part, the members are independent and identically distributed
        moments = np.array([given @ common_weight, fires**2 @ own_weight @ common_weight, given**2 @ common_weight])
        mean, square, product = moments * magnitude
        result.append((product - mean**2) / (square - mean**2))
    return np.array(result)


def table(repeats: int) -> str:
    """Return how often the intervals contain the true value, in percent, as Markdown."""
    rows = [
        "| units | unit scores | layer scores | layer percents |",
        "|---|---|---|---|",
    ]
    for name, kind in {**STATED, **HARDER}.items():
        held = coverage(kind, repeats)
        rows.append(f"| {name} | {held['units']:.1f} | {held['scores']:.1f} | {held['percent']:.1f} |")
    setting = f"{repeats} runs of {CLIPS} clips in {GROUPS} groups, {UNITS} independent units; percent, nominal 95."
    return "\n".join([*rows, "", setting])


if __name__ == "__main__":
    main("coverage", __doc__, table, repeats=400)
