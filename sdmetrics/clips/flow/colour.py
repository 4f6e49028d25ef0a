"""Optical flow as an image: hue encodes the direction of a vector, saturation its length.

The usual colour wheel (Baker et al., A database and evaluation methodology for optical flow, IJCV 2011): red is right,
yellow down, cyan left, violet up, and white no motion. Every colour of the wheel is fully saturated, so the coding is
HSV with a value of 1 and a hue that increases piecewise linearly with the direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require

Floats = NDArray[np.floating[Any]]

WHEEL = (0, 15, 21, 25, 36, 49, 55)
"""Positions of red, yellow, green, cyan, blue, magenta and red again on the wheel of 55 colours."""

TURN = 54
"""Steps of a full turn: the usual code ends at the last colour, so the last ten degrees of hue are not used."""

HUES = tuple(range(0, 361, 60))
"""The hues, in degrees, of the colours at the positions in `WHEEL`."""

LARGEST = 1e9
"""In the usual file formats, components from this value on mean "unknown"; such flow cannot be drawn."""

STILL = 1e-5
"""A frame whose longest vector is shorter than this, in pixels, is drawn as a frame without motion."""


def flow_to_rgb(flow: NDArray[Any], scale: float | None = None) -> NDArray[np.uint8]:
    """Return optical flow as a colour-coded image.

    Parameters
    ----------
    flow
        `(…, H, W, 2)`, pixels to the right and downwards.
    scale
        The length, in pixels, that is drawn fully saturated; longer vectors are drawn as if they had this length.
        Default: the length of the longest vector of each frame, as in the usual tools; a frame without motion is white.

    Returns
    -------
    image
        uint8 `(…, H, W, 3)`, RGB. Within two levels (of 255) of the output of the usual tools.

    Raises
    ------
    InputError
        If the flow is not such an array or not finite, or `scale` is out of range.

    Examples
    --------
    >>> right, left, up, still = [2, 0], [-2, 0], [0, -2], [0, 0]
    >>> flow_to_rgb(np.array([[right, left, up, still]], np.float32)).tolist()[0]
    [[255, 0, 0], [0, 209, 255], [88, 0, 255], [255, 255, 255]]
    """
    vectors = checked_vectors(flow)
    length = lengths(vectors)
    if scale is None:
        full = np.maximum(length.max(axis=(-2, -1), keepdims=True), np.float32(STILL))
    else:
        full = np.float32(_checked_scale(scale))
    saturation = np.minimum(length / full, 1)
    return to_bytes(rgb_of(hues(vectors), saturation, np.full_like(saturation, 255)))


def rgb_to_flow(image: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Return the optical flow that a colour-coded image shows.

    Vectors drawn by `flow_to_rgb` at the same scale are recovered with an error of at most 0.8 % of the scale, unless
    they were longer than the scale. The length is read from the chroma (largest channel minus smallest), so any grey
    means no motion, however dark it is.

    Parameters
    ----------
    image
        uint8 `(…, H, W, 3)`, RGB.
    scale
        The length, in pixels, of fully saturated colours.

    Returns
    -------
    flow
        float32 `(…, H, W, 2)`, pixels to the right and downwards.

    Raises
    ------
    InputError
        If the image is not such an array, or `scale` is out of range.

    Examples
    --------
    >>> rgb_to_flow(np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8), scale=10).tolist()
    [[[10.0, 0.0], [0.0, 0.0]]]
    """
    hue, saturation, value = hsv_of(checked_image(image))
    return vectors_of(hue, saturation * value * np.float32(_checked_scale(scale) / 255))


def hues(vectors: Floats) -> NDArray[np.float32]:
    """Return the hue `(…)`, in degrees, of every vector `(…, 2)`.

    Examples
    --------
    >>> hues(np.array([[1.0, 0.0], [-1.0, 0.0]])).round().tolist()
    [0.0, 191.0]
    """
    # Adding 0 turns -0 into 0: vectors to the right have one colour, not two.
    angle = np.arctan2(-(vectors[..., 1] + 0), -(vectors[..., 0] + 0))
    return np.interp((angle / np.pi + 1) / 2 * TURN, WHEEL, HUES).astype(np.float32)


def vectors_of(hue: Floats, length: Floats) -> NDArray[np.float32]:
    """Return the vectors `(…, 2)` of the given hues `(…)`, in degrees from 0 to 360, and lengths `(…)`.

    Examples
    --------
    >>> vectors_of(np.array([0.0, 359.0]), np.array([2.0, 3.0])).round(3).tolist()
    [[2.0, 0.0], [3.0, 0.0]]
    """
    turns = np.minimum(np.interp(hue, HUES, WHEEL), TURN) / TURN
    angle, length = (2 * np.pi * turns).astype(np.float32), length.astype(np.float32)
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1)


def lengths(vectors: Floats) -> Floats:
    """Return the length `(…)` of every vector `(…, 2)`.

    Examples
    --------
    >>> lengths(np.array([[3.0, 4.0]])).tolist()
    [5.0]
    """
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]))


def hsv_of(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return hue (degrees), saturation (0 to 1) and value (0 to 255), each `(…)`, of RGB values `(…, 3)`, 0 to 255."""
    cv2 = require("cv2", extra="cpu")
    flat = np.ascontiguousarray(image, np.float32).reshape(1, -1, 3)
    converted = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2HSV), np.float32)
    return np.moveaxis(converted.reshape(image.shape), -1, 0)


def rgb_of(hue: Floats, saturation: Floats, value: Floats) -> NDArray[np.float32]:
    """Return RGB `(…, 3)`, 0 to 255, of hue (degrees, 0 to 360), saturation (0 to 1) and value (0 to 255)."""
    cv2 = require("cv2", extra="cpu")
    hsv = np.stack([hue, saturation, value], axis=-1, dtype=np.float32, casting="same_kind")
    converted = np.asarray(cv2.cvtColor(hsv.reshape(1, -1, 3), cv2.COLOR_HSV2RGB), np.float32)
    return converted.reshape(hsv.shape)


def to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round the values of an image and clip them to 0–255."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def checked_vectors(flow: NDArray[Any]) -> Floats:
    """Return `flow` as float32 if it is finite and `(…, H, W, 2)`; otherwise raise an `InputError`."""
    if flow.ndim < 3 or flow.shape[-1] != 2 or 0 in flow.shape or flow.dtype.kind not in "fiu":
        raise InputError(
            f"flow is {flow.dtype} of shape {flow.shape}; expected numbers of shape (…, H, W, 2), pixels to the right "
            "and downwards"
        )
    vectors: Floats = flow.astype(np.float32)
    if not (np.abs(vectors) < LARGEST).all():
        raise InputError(
            f"flow has components that are not finite or not below {LARGEST:g} pixels; set unknown vectors to 0"
        )
    return vectors


def checked_image(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return `image` if it is uint8 `(…, H, W, 3)`; otherwise raise an `InputError`."""
    if image.ndim < 3 or image.shape[-1] != 3 or 0 in image.shape or image.dtype != np.uint8:
        raise InputError(
            f"a flow image is {image.dtype} of shape {image.shape}; expected uint8 of shape (…, H, W, 3), RGB"
        )
    return image


def _checked_scale(scale: float) -> float:
    """Return `scale` if it is in range; otherwise raise an `InputError`."""
    if not STILL <= scale < LARGEST:
        raise InputError(
            f"scale is {scale}; allowed: from {STILL:g} to below {LARGEST:g} pixels. Pass the length that is drawn "
            "fully saturated"
        )
    return scale
