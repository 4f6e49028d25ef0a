"""Estimation and resizing of optical flow: how far every point of a frame moves until the next frame.

Flow is a float32 array `(T, H, W, 2)`, pixels to the right and downwards, or a colour-coded uint8 image
`(T, H, W, 3)`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Flow, Frames
from sdmetrics.errors import InputError, require

LEAST = 32
"""Smallest side, in pixels, that the estimator supports; smaller frames make it fail or even end the process."""
KINDS = {(np.dtype(np.float32), 2), (np.dtype(np.uint8), 3)}
"""The types of flow, each with its number of channels."""


def estimator() -> str:
    """Return the name and version of the estimator, for fingerprints.

    Examples
    --------
    >>> estimator()  # doctest: +ELLIPSIS
    'DIS fast, OpenCV ...'
    """
    return f"DIS fast, OpenCV {require('cv2', extra='cpu').__version__}"


def estimate_flow(first: Frames, second: Frames) -> NDArray[np.float32]:
    """Estimate the optical flow from each frame of `first` to the frame of `second` with the same index.

    The method is dense inverse search (Kroeger et al., ECCV 2016; OpenCV's preset FAST) on the frames' luminance. The
    same frames give the same bits, whatever the number of threads. Frames with a side below 32 pixels are padded at
    their right and lower edges, since the estimator does not support smaller frames.

    Parameters
    ----------
    first, second
        uint8 `(…, H, W, 3)`, RGB.

    Returns
    -------
    flow
        float32 `(…, H, W, 2)`, pixels to the right and downwards, rounded to float16 precision.

    Raises
    ------
    InputError
        If the frames are not such arrays, or `first` and `second` differ in shape.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    >>> frame = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    >>> flow = estimate_flow(frame[None], np.roll(frame, 2, axis=1)[None])
    >>> flow.shape, flow[0, 16:48, 16:48].mean(axis=(0, 1)).round().tolist()
    ((1, 64, 64, 2), [2.0, 0.0])
    """
    cv2 = require("cv2", extra="cpu")
    for frames in (first, second):
        if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise InputError(
                f"frames are {frames.dtype} of shape {frames.shape}; expected uint8 of shape (…, H, W, 3), RGB, at "
                "least one frame"
            )
    if first.shape != second.shape:
        raise InputError(
            f"first has the shape {first.shape} and second the shape {second.shape}; expected two of the same shape"
        )
    height, width = first.shape[-3:-1]
    below, beside = max(LEAST - height, 0), max(LEAST - width, 0)

    def luminance(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.copyMakeBorder(grey, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)

    flow = np.empty((*first.shape[:-1], 2), np.float32)
    for place in np.ndindex(first.shape[:-3]):
        # A search object that is reused for other frames gives other bits.
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow[place] = search.calc(luminance(first[place]), luminance(second[place]), None)[:height, :width]
    # The precision of the cache on disk, so that runs with and without a cache give the same bits.
    return flow.astype(np.float16).astype(np.float32)


def resized_flow(flow: Flow, size: tuple[int, int]) -> Flow:
    """Return flow resized to another frame size, with its vectors scaled like the sides of the frame.

    Sides that shrink are averaged by area; sides that grow are interpolated linearly. A colour-coded image keeps its
    colours: their meaning depends on the scale of the image.

    Parameters
    ----------
    flow
        float32 `(…, H, W, 2)`, or colour-coded uint8 `(…, H, W, 3)`.
    size
        `(height, width)`, pixels.

    Returns
    -------
    flow
        The same type as the input, `(…, height, width, 2 or 3)`.

    Raises
    ------
    InputError
        If the flow is not such an array, or `size` is not at least 1 × 1.

    Examples
    --------
    >>> resized_flow(np.full((2, 4, 4, 2), 8, np.float32), (2, 8))[0, 0, 0].tolist()
    [16.0, 4.0]
    """
    cv2 = require("cv2", extra="cpu")
    if flow.ndim < 3 or 0 in flow.shape or (flow.dtype, flow.shape[-1]) not in KINDS:
        raise InputError(
            f"flow is {flow.dtype} of shape {flow.shape}; expected float32 (…, H, W, 2), or colour-coded uint8 "
            "(…, H, W, 3)"
        )
    if min(size) < 1:
        raise InputError(f"size is {size}; expected (height, width), each at least 1")
    resized = np.empty((*flow.shape[:-3], *size, flow.shape[-1]), flow.dtype)
    for place in np.ndindex(flow.shape[:-3]):
        frame = np.ascontiguousarray(flow[place])
        # Each axis separately: only an axis that shrinks must be averaged.
        for height, width in ((size[0], frame.shape[1]), size):
            shrinks = height < frame.shape[0] or width < frame.shape[1]
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        resized[place] = frame
    if flow.dtype == np.float32:
        resized *= np.array([size[1] / flow.shape[-2], size[0] / flow.shape[-3]], np.float32)
    return resized
