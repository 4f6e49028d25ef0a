"""Overlap of a model's foreground with the annotation: of regions, and of the boxes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdmetrics.clips.clip import VOID, Masks
from sdmetrics.errors import InputError, require
from sdmetrics.metrics.arrays import Floats

REGION_THRESHOLD = 0.5
"""Default of the `"region"` protocol: foreground is more likely than not."""

MOCA_THRESHOLD = 0.2
"""The threshold of the paper's numbers on MoCA; Yang et al. (2021), who introduced the protocol, use 0.1."""

SUCCESS_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


class Box(NamedTuple):
    """A rectangle of whole pixels, from `left` and `top` (inclusive) to `right` and `bottom` (exclusive).

    Its area is `(right - left) * (bottom - top)`: a box around one pixel has the area 1.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Number of pixels; 0 if an end is before its beginning."""
        return max(self.right - self.left, 0) * max(self.bottom - self.top, 0)


def foreground(truth: Masks) -> NDArray[np.bool_]:
    """Return where any object is annotated.

    Examples
    --------
    >>> foreground(np.array([[0, 1, 7, 255]], np.uint8)).tolist()
    [[False, True, True, False]]
    """
    return np.asarray((truth != 0) & (truth != VOID))


def region_similarity(predicted: NDArray[np.bool_], truth: Masks) -> Floats:
    """Return the intersection over union of foreground and annotated objects, DAVIS's J, of every frame.

    Pixels that are not annotated count for neither.

    Parameters
    ----------
    predicted
        bool `(…, H, W)`: where the model predicts foreground.
    truth
        uint8 `(…, H, W)`: 0 background, 1 to 254 objects, 255 not annotated.

    Returns
    -------
    similarity
        float64 `(…)`, 0 to 1. It is 1, as in DAVIS, where neither the model nor the annotation has foreground, and NaN
        where no pixel is annotated.

    Raises
    ------
    InputError
        If the arrays are not of these types or differ in shape.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 255]], np.uint8)
    >>> float(region_similarity(np.array([[True, False, False, True]]), truth))
    0.5
    """
    if predicted.dtype != np.bool_ or truth.dtype != np.uint8 or predicted.shape != truth.shape or truth.ndim < 2:
        raise InputError(
            f"predicted is {predicted.dtype} of shape {predicted.shape}, truth {truth.dtype} of shape {truth.shape}; "
            "expected bool and uint8 of one shape (…, H, W). Resize a map to the truth's size, then compare it with a "
            "threshold"
        )
    known, expected, frame = truth != VOID, foreground(truth), (-2, -1)
    both = np.count_nonzero(predicted & expected, axis=frame)
    either = np.count_nonzero((predicted & known) | expected, axis=frame)
    nothing = np.where(known.any(axis=frame), 1.0, np.nan)
    return np.where(either > 0, both / np.maximum(either, 1), nothing)


def box_around(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box around all true pixels of `mask` `(H, W)`, or `None` if there are none.

    Examples
    --------
    >>> box_around(np.array([[False, False, False], [False, True, True]]))
    Box(left=1, top=1, right=3, bottom=2)
    """
    if not mask.any():
        return None
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0))
    return Box(left, top, right + 1, bottom + 1)


def box_overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1.

    Examples
    --------
    >>> box_overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2))
    0.3333333333333333
    """
    both = Box(*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:])).area
    either = one.area + other.area - both
    return both / either if either else 0.0


def prominent_box(probability: NDArray[np.floating[Any]], threshold: float = MOCA_THRESHOLD) -> Box | None:
    """Return the box around the most prominent object, as in the evaluation on MoCA.

    If more than half of the frame's border is more likely foreground than not, the map is assumed to show the
    background and is inverted. The thresholded map is split into 8-connected components; the box of the component whose
    bounding box contains the most foreground pixels is returned (ties: the topmost).

    Parameters
    ----------
    probability
        Probability of foreground, `(H, W)`, 0 to 1.
    threshold
        Probability above which a pixel counts as foreground.

    Returns
    -------
    box
        `None` where nothing exceeds the threshold.

    Notes
    -----
    Yang et al. (2021) use the component with the largest box. The authors' code on MoCA (Sec. 5.3) uses the box with
    the most foreground in it, which is robust to a few stray pixels; so does this function.

    Examples
    --------
    >>> marked = np.zeros((4, 6))
    >>> marked[1:3, 1:3] = marked[3, 5] = 0.9
    >>> prominent_box(marked)
    Box(left=1, top=1, right=3, bottom=3)
    >>> prominent_box(1 - marked)
    Box(left=1, top=1, right=3, bottom=3)
    """
    border = np.concatenate([probability[0], probability[1:, 0], probability[1:, -1], probability[-1, 1:-1]])
    if np.mean(border > 0.5) > 0.5:
        probability = 1 - probability
    above = (probability > threshold).astype(np.uint8)
    cv2 = require("cv2", extra="cpu")
    count, _, regions, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    if count < 2:
        return None
    left, top, width, height = regions[1:, :4].T
    sums = cv2.integral(above)
    right, bottom = left + width, top + height
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    best = int(np.argmax(inside))
    return Box(*(int(ends[best]) for ends in (left, top, right, bottom)))


def successes(overlaps: ArrayLike, thresholds: Sequence[float] = SUCCESS_THRESHOLDS) -> NDArray[np.bool_]:
    """Return whether the overlap of each frame exceeds each threshold, bool `(frames, thresholds)`.

    A tie does not exceed it. The means over frames are the success rates of Sec. 5.3; the mean of these is the success
    rate mean.

    Parameters
    ----------
    overlaps
        `(frames,)`, 0 to 1.
    thresholds
        Between 0 and 1.

    Examples
    --------
    >>> rates = successes([0.5, 0.55, 0.75, 1.0]).mean(axis=0)
    >>> rates.tolist(), float(rates.mean())
    ([0.75, 0.5, 0.5, 0.25, 0.25], 0.45)
    """
    return np.asarray(overlaps, np.float64)[:, None] > np.asarray(thresholds)
