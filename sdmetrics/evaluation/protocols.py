"""Protocols: how the frames of a clip are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import VOID, Masks
from sdmetrics.errors import InputError
from sdmetrics.evaluation.foreground_maps import Maps, resized
from sdmetrics.evaluation.overlap import (
    MOCA_THRESHOLD,
    REGION_THRESHOLD,
    box_around,
    box_overlap,
    foreground,
    prominent_box,
    region_similarity,
)
from sdmetrics.metrics.arrays import Floats


@dataclass(frozen=True)
class FrameProtocol:
    """How one frame is scored.

    Parameters
    ----------
    overlap
        Takes probabilities `(h, w)`, the annotation, uint8 `(h, w)`, and the threshold; returns NaN where nothing is
        annotated.
    threshold
        The default probability above which a pixel counts as foreground.
    scores
        Takes the annotation, uint8 `(h, w)`; returns whether there is anything in it to score.
    """

    overlap: Callable[[NDArray[np.float32], Masks, float], float]
    threshold: float
    scores: Callable[[Masks], bool]

    def overlaps(self, maps: Maps, truth: Masks, threshold: float, clip_id: str) -> Floats:
        """Return the overlap in every frame of a clip, `(T,)`, of maps `(T, H, W)` and masks `(T, h, w)`.

        Maps are resized to the masks' size, bilinearly.

        Raises
        ------
        InputError
            If the numbers of maps and masks differ.
        """
        if len(maps) != len(truth):
            raise InputError(
                f"the model's output has {len(maps)} map(s) for clip {clip_id!r}, which has {len(truth)} mask(s); use "
                "clips of as many frames as the model segments"
            )
        return np.array(
            [self.overlap(resized(each, mask.shape), mask, threshold) for each, mask in zip(maps, truth, strict=True)]
        )


def _region(probability: NDArray[np.float32], truth: Masks, threshold: float) -> float:
    """Score a frame as DAVIS does."""
    return float(region_similarity(probability > threshold, truth))


def _moca(probability: NDArray[np.float32], truth: Masks, threshold: float) -> float:
    """Score a frame as on MoCA, where frames without a box are not scored."""
    expected = box_around(foreground(truth))
    if expected is None:
        return np.nan
    predicted = prominent_box(probability, threshold)
    return box_overlap(predicted, expected) if predicted else 0.0


PROTOCOLS: Mapping[str, FrameProtocol] = {
    "region": FrameProtocol(_region, REGION_THRESHOLD, lambda truth: bool((truth != VOID).any())),
    "moca": FrameProtocol(_moca, MOCA_THRESHOLD, lambda truth: bool(foreground(truth).any())),
}
