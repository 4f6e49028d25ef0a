"""Segmentation scores for `ablate`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdmetrics.ablation.scoring import Score
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError
from sdmetrics.evaluation.foreground_maps import MapReader
from sdmetrics.evaluation.overlap import MOCA_THRESHOLD, REGION_THRESHOLD
from sdmetrics.evaluation.protocols import PROTOCOLS, FrameProtocol
from sdmetrics.metrics.arrays import Floats
from sdmetrics.runners.protocols import Outputs


def region_score(
    output: str | None = None, *, logits: bool | None = None, threshold: float = REGION_THRESHOLD
) -> Score:
    """Return a score for `ablate`: region similarity, averaged over each clip's annotated frames.

    Every clip counts the same. A clip without an annotated frame is skipped, and listed with the reason.

    Parameters
    ----------
    output, logits, threshold
        See `evaluate_segmentation`.

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
    """Return a score for `ablate`: the overlap of boxes, as on MoCA (Fig. 11, bottom).

    Every clip counts the same. A clip without an annotated object is skipped, and listed with the reason.

    Parameters
    ----------
    output, logits, threshold
        See `evaluate_segmentation`.

    Examples
    --------
    >>> score = moca_score()
    >>> frames, masks = np.zeros((1, 2, 2, 3), np.uint8), np.eye(2, dtype=np.uint8)[None]
    >>> clip = Clip("moth", lambda: frames, load_masks=lambda: masks)
    >>> score({"mask": np.array([[[[0.1, 0.8], [0.1, 0.1]]]])}, [clip]).tolist()
    [0.25]
    """
    return _score("box_iou", PROTOCOLS["moca"], output, logits, threshold)


def mask_score(protocol: str, output: str | None = None, logits: bool | None = None) -> Score:
    """Return the score of a protocol, `"region"` or `"moca"`, with its default threshold.

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
    return scores[protocol](output, logits=logits)


def _score(name: str, protocol: FrameProtocol, output: str | None, logits: bool | None, threshold: float) -> Score:
    """Return a score of this name, which identifies it in an ablation."""
    read = MapReader(output, logits)

    def score(outputs: Outputs, clips: Sequence[Clip]) -> Floats:
        maps = read(outputs, [clip.id for clip in clips])
        return np.array(
            [
                _mean(protocol.overlaps(of_clip, clip.masks, threshold, clip.id))
                for of_clip, clip in zip(maps, clips, strict=True)
            ]
        )

    def check(clip: Clip) -> None:
        if not any(protocol.scores(mask) for mask in clip.masks):
            raise InputError("no frame has anything to score: none is annotated, or all count in other clips")

    score.__name__ = name
    # What decides it besides its name, for the identity of an ablation.
    vars(score)["identity"] = {"output": output, "logits": logits, "threshold": threshold}
    vars(score)["check"] = check
    return score


def _mean(overlaps: Floats) -> float:
    """Return the mean over the annotated frames."""
    known = overlaps[~np.isnan(overlaps)]
    return float(known.mean()) if len(known) else np.nan
