"""What the analysis is measured against: bare forwards, and the procedure of the authors' code, stated anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.views import PAIRS

Video = NDArray[np.float32]
"""Views as the model reads them: float32 `(N, 3, T, H, W)`, scaled and shifted."""

Forward = Callable[[Video], NDArray[np.float32]]
"""Runs the model; returns one layer's activations `(N, C, …)`."""


def plain_forwards(forward: Callable[[Video], object], views: Video, batch: int) -> None:
    """Run the model on every view, and nothing else."""
    for start in range(0, len(views), batch):
        forward(views[start : start + batch])


def reference_procedure(forwards: Sequence[Forward], views: Video, batch: int) -> list[dict[str, float]]:
    """Return each layer's scores as the authors' code finds them: layer by layer, pair by pair, features in lists.

    `views` holds three views per clip, already rendered, which the procedure is not charged for. For each layer the
    whole run is made again; both members of every pair are run; their pooled features are kept until the end.
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
