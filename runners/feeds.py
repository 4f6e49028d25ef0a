"""What every runner asks of what it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.views import ModelInput
from sdmetrics.errors import InputError


def check_feeds(feeds: Mapping[str, NDArray[Any]], inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return the feeds as contiguous arrays.

    Raises
    ------
    InputError
        If one is missing, unknown, or of another type, shape or range than `inputs` want.

    Examples
    --------
    >>> check_feeds({"rgb": np.zeros((1, 8, 4, 4, 3))}, [ModelInput("video", size=(4, 4))])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: feeds are ['rgb']; needed: ['rgb', 'video/order']
    """
    sources = list(dict.fromkeys(item.source for item in inputs))
    needed = [*sources, *(f"{item.name}/order" for item in inputs)]
    if sorted(feeds) != sorted(needed):
        raise InputError(f"feeds are {list(feeds)}; needed: {needed}")
    for item in inputs:
        frames = feeds[item.source]
        kind = np.dtype(np.float32 if item.source == "flow_vectors" else np.uint8)
        shape = (*item.size, item.channels)
        if frames.dtype != kind or frames.ndim != 5 or frames.shape[2:] != shape or 0 in frames.shape:
            raise InputError(
                f"{item.source} is {frames.dtype} of shape {frames.shape}; needed: {kind} of shape (N, T, "
                f"{', '.join(map(str, shape))}), at least one clip and one frame"
            )
        name, order = f"{item.name}/order", feeds[f"{item.name}/order"]
        if order.dtype != np.int64 or order.shape != (len(frames), item.frames):
            raise InputError(
                f"{name} is {order.dtype} of shape {order.shape}; needed: int64 of shape ({len(frames)}, {item.frames})"
            )
        if order.min() < 0 or order.max() >= frames.shape[1]:
            raise InputError(
                f"{name} names frames {order.min()} to {order.max()}; allowed: 0 to {frames.shape[1] - 1}, as "
                f"{item.source} has {frames.shape[1]} frames"
            )
    counts = {source: len(feeds[source]) for source in sources}
    if len(set(counts.values())) > 1:
        raise InputError(f"sources hold other numbers of clips: {counts}; feed every clip from each")
    return {name: np.ascontiguousarray(array) for name, array in feeds.items()}


def clips_in(feeds: Mapping[str, NDArray[Any]]) -> int:
    """Return the number of clips, or views, that are fed."""
    return len(next(iter(feeds.values())))


def check_masks(masks: Mapping[str, NDArray[Any]], units: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    """Return the masks as float32; `units` gives the number of units of every layer.

    Raises
    ------
    InputError
        If a layer is unknown, or a mask is not one finite number per unit.
    """
    for layer, mask in masks.items():
        if layer not in units:
            raise InputError(f"there is no layer {layer!r} to mask; allowed: {', '.join(units)}")
        if np.shape(mask) != (units[layer],) or not np.isfinite(mask).all():
            raise InputError(
                f"the mask of layer {layer!r} has the shape {np.shape(mask)}; needed: one finite number for each of "
                f"its {units[layer]} units"
            )
    return {layer: np.ascontiguousarray(mask, np.float32) for layer, mask in masks.items()}
