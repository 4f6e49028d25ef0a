"""Strips: the frames of a view as a model reads them, as thumbnails with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.flow.colour import flow_to_rgb
from sdmetrics.clips.render import Shown
from sdmetrics.clips.views import View
from sdmetrics.errors import require
from sdmetrics.probes.inputs import ModelInput, reads_flow

MOST_FRAMES = 8
"""Of a strip; evenly spaced over those that the model reads."""

HIGHEST = 96
"""Height of a thumbnail, in pixels."""


def shown_input(inputs: Sequence[ModelInput], layer: str) -> ModelInput:
    """Return the model input whose frames show what a layer reads.

    It is the one whose name the layer's begins with, e.g. `slow` for `slow.res2`, else the one with most frames.

    Examples
    --------
    >>> inputs = [ModelInput("slow", frames=8), ModelInput("fast", frames=32)]
    >>> shown_input(inputs, "slow.res2").name, shown_input(inputs, "head").name
    ('slow', 'fast')
    """
    stream = layer.partition(".")[0]
    return next((item for item in inputs if item.name == stream), max(inputs, key=lambda item: item.frames))


def strip(
    view: View, shown: Shown, inputs: Sequence[ModelInput], item: ModelInput
) -> tuple[Frames, tuple[str, ...], list[int]]:
    """Return thumbnails of a view, uint8 `(frames, height, width, 3)`, their names, and their places among the frames.

    A name is the frame's number in the clip; for a model that reads optical flow, what the image is.
    """
    if reads_flow(inputs):
        each = [(one.source, shown[one.source][view.orders[one.name]]) for one in inputs]
        names = tuple("frame" if source == "rgb" else "flow" for source, frames in each for _ in frames)
        return np.concatenate([thumbnails(frames) for _, frames in each]), names, [0] * len(names)
    order = view.orders[item.name]
    places = np.unique(np.linspace(0, len(order) - 1, min(MOST_FRAMES, len(order))).round().astype(int)).tolist()
    chosen = order[places]
    return thumbnails(shown[item.source][chosen]), tuple(str(number + 1) for number in chosen), places


def thumbnails(frames: NDArray[Any], highest: int = HIGHEST) -> Frames:
    """Return frames, or flow as colours, scaled down to a height.

    Examples
    --------
    >>> thumbnails(np.zeros((2, 224, 448, 3), np.uint8)).shape
    (2, 96, 192, 3)
    """
    cv2 = require("cv2", extra="cpu")
    images = flow_to_rgb(frames) if frames.shape[-1] == 2 else frames
    height, width = images.shape[1:3]
    if height <= highest:
        return np.asarray(images)
    size = max(1, round(width * highest / height)), highest
    return np.stack([cv2.resize(np.ascontiguousarray(one), size, interpolation=cv2.INTER_AREA) for one in images])
