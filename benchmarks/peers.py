"""What this package is measured against: vectorised NumPy, bare forwards, and the procedure of the authors' code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.views import PAIRS

Video = NDArray[np.float32]
"""Views as the model reads them: float32 `(N, 3, T, H, W)`, scaled and shifted."""

Forward = Callable[[Video], NDArray[np.float32]]
"""Runs the model; returns one layer's activations `(N, C, …)`."""

Floats = NDArray[np.float64]
Moments = tuple[Floats, Floats, Floats, Floats, Floats]
"""Of pairs of vectors, per unit: both means, and the sums of squares and of products about them."""


def numpy_moments(z1: NDArray[np.float32], z2: NDArray[np.float32]) -> Moments:
    """Return the moments of pairs `(pairs, units)`, in two passes in float64."""
    wide1, wide2 = np.asarray(z1, np.float64), np.asarray(z2, np.float64)
    mean1, mean2 = wide1.mean(axis=0), wide2.mean(axis=0)
    d1, d2 = wide1 - mean1, wide2 - mean2
    return (
        mean1,
        mean2,
        np.einsum("ij,ij->j", d1, d1),
        np.einsum("ij,ij->j", d2, d2),
        np.einsum("ij,ij->j", d1, d2),
    )


def add_moments(total: Moments, n: int, part: Moments, m: int) -> Moments:
    """Return the moments of `n` and `m` pairs taken together (Chan et al.)."""
    step1, step2 = part[0] - total[0], part[1] - total[1]
    weight = n * m / (n + m)
    return (
        total[0] + step1 * (m / (n + m)),
        total[1] + step2 * (m / (n + m)),
        total[2] + part[2] + weight * step1 * step1,
        total[3] + part[3] + weight * step2 * step2,
        total[4] + part[4] + weight * step1 * step2,
    )


def plain_forwards(forward: Callable[[Video], object], views: Video, batch: int) -> None:
    """Run the model on every view, and nothing else."""
    for start in range(0, len(views), batch):
        forward(views[start : start + batch])


def reference_procedure(forwards: Sequence[Forward], views: Video, batch: int) -> list[dict[str, float]]:
    """Return each layer's scores as the authors' code computes them: layer by layer, pair by pair, features in lists.

    `views` holds three views per clip; the time to render them does not count. The whole run is repeated for each
    layer, both members of every pair are run, and their pooled features are kept until the end.
    """
    first_of_clip = np.arange(0, len(views), 3)
    scores = []
    for forward in forwards:
        members: dict[str, tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]] = {}
        for factor, pair in PAIRS.items():
            members[factor] = ([], [])
            for start in range(0, len(first_of_clip), batch):
                for kept, member in zip(members[factor], pair, strict=True):
                    activations = forward(views[first_of_clip[start : start + batch] + member])
                    kept.append(activations.mean(axis=tuple(range(2, activations.ndim))))
        scores.append(pooled_scores({f: (np.concatenate(a), np.concatenate(b)) for f, (a, b) in members.items()}))
    return scores


def pooled_scores(members: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, float]:
    """Return for each factor the summed covariance over the variance pooled over all factors and members."""
    pooled = np.concatenate([z for pair in members.values() for z in pair]).var(axis=0, dtype=np.float64).sum()
    scores = {}
    for factor, (one, two) in members.items():
        mean = (one.mean(axis=0, dtype=np.float64) + two.mean(axis=0, dtype=np.float64)) / 2
        scores[factor] = float(((one - mean) * (two - mean)).mean(axis=0).sum() / pooled)
    return scores
