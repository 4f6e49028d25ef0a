"""How the frames of a clip are scored, by protocol; and the scores that `ablate` watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.ablation.scoring import Outputs, Score
from sdmetrics.clips.clip import Clip, Masks
from sdmetrics.errors import InputError
from sdmetrics.evaluation.foreground_maps import MapReader, Maps, resized
from sdmetrics.evaluation.overlap import (
    MOCA_THRESHOLD,
    REGION_THRESHOLD,
    box_around,
    box_overlap,
    foreground,
    prominent_box,
    region_similarity,
)
from sdmetrics.metrics.intervals import Floats


def region_score(
    output: str | None = None, *, logits: bool | None = None, threshold: float = REGION_THRESHOLD
) -> Score:
    """Return the score that `ablate` takes to watch region similarity: each clip's mean over its annotated frames.

    Parameters
    ----------
    output, logits, threshold
        As in `evaluate_segmentation`.

    Examples
    --------
    >>> score = region_score()
    >>> frames, masks = np.zeros((1, 2, 2, 3), np.uint8), np.ones((1, 2, 2), np.uint8)
    >>> clip = Clip("bear", lambda: frames, load_masks=lambda: masks)
    >>> score({"mask": np.array([[[[0.9, 0.8], [0.7, 0.1]]]])}, [clip]).tolist()
    [0.75]
    """
    return _score("iou", PROTOCOLS["region"], output, logits, threshold)


def moca_score(output: str | None = None, *, logits: bool | None = None, threshold: float = MOCA_THRESHOLD) -> Score:
    """Return the score that `ablate` takes to watch the overlap of boxes, as on MoCA (Fig. 11, bottom).

    Parameters
    ----------
    output, logits, threshold
        As in `evaluate_segmentation`.

    Examples
    --------
    >>> score = moca_score()
    >>> frames, masks = np.zeros((1, 2, 2, 3), np.uint8), np.eye(2, dtype=np.uint8)[None]
    >>> clip = Clip("moth", lambda: frames, load_masks=lambda: masks)
    >>> score({"mask": np.array([[[[0.1, 0.8], [0.1, 0.1]]]])}, [clip]).tolist()
    [0.25]
    """
    return _score("box_iou", PROTOCOLS["moca"], output, logits, threshold)


def mask_score(protocol: str, output: str | None = None) -> Score:
    """Return the score of a protocol, `"region"` or `"moca"`, with its usual threshold.

    Raises
    ------
    InputError
        If there is no such protocol.

    Examples
    --------
    >>> mask_score("moca").__name__
    'box_iou'
    """
    scores = {"region": region_score, "moca": moca_score}
    if protocol not in scores:
        raise InputError(f"protocol is {protocol!r}; allowed: {', '.join(scores)}")
    return scores[protocol](output)


@dataclass(frozen=True)
class FrameProtocol:
    """How one frame is scored.

    Parameters
    ----------
    overlap
        Takes probabilities `(h, w)`, what is annotated, uint8 `(h, w)`, and the threshold; NaN where nothing is
        annotated.
    threshold
        The usual one: foreground is what exceeds it.
    """

    overlap: Callable[[NDArray[np.float32], Masks, float], float]
    threshold: float

    def overlaps(self, maps: Maps, truth: Masks, threshold: float, clip_id: str) -> Floats:
        """Return the overlap in every frame of a clip, `(T,)`, of maps `(T, H, W)` and masks `(T, h, w)`.

        Maps are resized to the masks' size, bilinearly.

        Raises
        ------
        InputError
            If there are not as many maps as masks.
        """
        if len(maps) != len(truth):
            raise InputError(
                f"the model's output has {len(maps)} map(s) of clip {clip_id!r}, which has {len(truth)} mask(s); give "
                "clips of as many frames as the model segments"
            )
        return np.array(
            [
                self.overlap(resized(one, wanted.shape), wanted, threshold)
                for one, wanted in zip(maps, truth, strict=True)
            ]
        )


def _region(probability: NDArray[np.float32], truth: Masks, threshold: float) -> float:
    """Score a frame as DAVIS does."""
    return float(region_similarity(probability > threshold, truth))


def _moca(probability: NDArray[np.float32], truth: Masks, threshold: float) -> float:
    """Score a frame as is done on MoCA, whose frames without a box are not scored."""
    wanted = box_around(foreground(truth))
    found = prominent_box(probability, threshold)
    return np.nan if wanted is None else box_overlap(found, wanted) if found else 0.0


PROTOCOLS: Mapping[str, FrameProtocol] = {
    "region": FrameProtocol(_region, REGION_THRESHOLD),
    "moca": FrameProtocol(_moca, MOCA_THRESHOLD),
}


def _score(name: str, protocol: FrameProtocol, output: str | None, logits: bool | None, threshold: float) -> Score:
    """Return a score of this name, which the curves of an ablation then have."""
    read = MapReader(output, logits)

    def score(outputs: Outputs, clips: Sequence[Clip]) -> Floats:
        maps = read(outputs, [clip.id for clip in clips])
        return np.array(
            [
                _mean(protocol.overlaps(one, clip.masks, threshold, clip.id))
                for one, clip in zip(maps, clips, strict=True)
            ]
        )

    score.__name__ = name
    return score


def _mean(overlaps: Floats) -> float:
    """Return the mean over the frames that are annotated."""
    known = overlaps[~np.isnan(overlaps)]
    return float(known.mean()) if len(known) else np.nan
