"""Jitter of optical flow: hue rotated and saturation scaled, which changes the motion (paper, Sec. 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.flow.colour import (
    checked_image,
    checked_vectors,
    hsv_of,
    hues,
    lengths,
    rgb_of,
    to_bytes,
    vectors_of,
)
from sdmetrics.errors import InputError

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weight of each channel in the grey that saturation is relative to (ITU-R BT.601)."""


@dataclass(frozen=True)
class Jitter:
    """The changes to each of T frames of colour-coded flow.

    Parameters
    ----------
    turn
        float64 `(T,)`: added to the hue, in full turns.
    saturation
        float64 `(T,)`: factor for the distance of a colour from its own grey.
    hue_first
        bool `(T,)`: whether the hue is turned before the saturation is changed, instead of after.

    Examples
    --------
    >>> len(Jitter(np.zeros(8), np.ones(8), np.ones(8, bool)))
    8
    """

    turn: NDArray[np.float64]
    saturation: NDArray[np.float64]
    hue_first: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.turn)


def draw_jitter(frames: int, rng: np.random.Generator) -> Jitter:
    """Return a random jitter, drawn independently for every frame.

    The strengths of a frame are drawn first, h from 0.1 to 0.5 and s from 0.1 to 1, then the turn from -h to h and the
    saturation from 1 - s to 1 + s, all uniformly, as in the paper's code.

    Examples
    --------
    >>> jitter = draw_jitter(3, np.random.default_rng(0))
    >>> jitter.turn.round(2).tolist(), jitter.saturation.round(2).tolist(), jitter.hue_first.tolist()
    ([0.08, 0.1, 0.01], [1.1, 1.53, 0.08], [False, True, False])
    """
    hue, strength = rng.uniform(0.1, 0.5, frames), rng.uniform(0.1, 1, frames)
    turn, saturation = rng.uniform(-hue, hue), rng.uniform(1 - strength, 1 + strength)
    return Jitter(turn, saturation, rng.random(frames) < 0.5)


def jittered(image: NDArray[np.uint8], jitter: Jitter) -> NDArray[np.uint8]:
    """Return colour-coded flow with its hue and saturation changed; white (no motion) stays white.

    Saturation is changed by blending with the frame's luma: `factor · image + (1 - factor) · grey`, clipped to 0–255.

    Parameters
    ----------
    image
        uint8 `(T, H, W, 3)`, RGB.
    jitter
        A jitter of T frames.

    Returns
    -------
    image
        uint8 `(T, H, W, 3)`.

    Raises
    ------
    InputError
        If the image is not such an array, or the jitter has another number of frames.

    Examples
    --------
    >>> third = Jitter(np.array([1 / 3]), np.array([1.0]), np.array([True]))
    >>> jittered(np.array([[[[255, 0, 0], [255, 255, 255]]]], np.uint8), third).tolist()
    [[[[0, 255, 0], [255, 255, 255]]]]
    """
    changed = np.empty_like(checked_image(_checked_frames(image, jitter)))
    for frame, result, turn, factor, hue_first in zip(
        image, changed, jitter.turn, jitter.saturation, jitter.hue_first, strict=True
    ):
        colours = frame.astype(np.float32)
        colours = _blended(_turned(colours, turn), factor) if hue_first else _turned(_blended(colours, factor), turn)
        result[:] = to_bytes(colours)
    return changed


def jittered_vectors(flow: NDArray[Any], jitter: Jitter) -> NDArray[np.float32]:
    """Return flow changed as `jittered` changes its image: vectors are turned on the colour wheel and scaled.

    Directions and lengths agree with those of the jittered image except where the image is clipped: all hues between
    the last colour of the wheel and the first mean right, and an image cannot be more than fully saturated.

    Parameters
    ----------
    flow
        `(T, H, W, 2)`, pixels to the right and downwards.
    jitter
        A jitter of T frames. The order of the two changes does not matter for vectors.

    Returns
    -------
    flow
        float32 `(T, H, W, 2)`.

    Raises
    ------
    InputError
        If the flow is not such an array or not finite, or the jitter has another number of frames.

    Examples
    --------
    >>> third = Jitter(np.array([1 / 3]), np.array([0.5]), np.array([True]))
    >>> jittered_vectors(np.array([[[[2.0, 0.0]]]]), third).astype(float).round(2).tolist()
    [[[[-0.77, 0.64]]]]
    """
    vectors = checked_vectors(_checked_frames(flow, jitter))
    turn, factor = (part.astype(np.float32)[:, None, None] for part in (jitter.turn, jitter.saturation))
    return vectors_of((hues(vectors) + 360 * turn) % 360, lengths(vectors) * factor)


def _turned(colours: NDArray[np.float32], turn: float) -> NDArray[np.float32]:
    """Turn the hue of a frame."""
    hue, saturation, value = hsv_of(colours)
    return rgb_of((hue + np.float32(360 * turn)) % 360, saturation, value)


def _blended(colours: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Move the colours of a frame away from their grey, or towards their grey."""
    grey = (colours @ LUMA)[..., None]
    return np.clip(grey + np.float32(factor) * (colours - grey), 0, 255)


def _checked_frames(flow: NDArray[Any], jitter: Jitter) -> NDArray[Any]:
    """Return `flow` if it has four axes and as many frames as the jitter; otherwise raise an `InputError`."""
    if flow.ndim != 4 or len(flow) != len(jitter):
        raise InputError(
            f"flow of shape {flow.shape} cannot be changed by a jitter of {len(jitter)} frames; expected that many "
            "frames, (T, H, W, 2) or (T, H, W, 3). Draw the jitter with draw_jitter(len(flow), rng)"
        )
    return flow
