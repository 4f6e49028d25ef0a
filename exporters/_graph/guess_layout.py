"""Guess the layout of a model input from its shape, and find out by a run whether its batch holds frames."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._graph.nodes import Shape, fed_inputs
from sdmetrics.probes.feeds import OverBudget
from sdmetrics.probes.graph_walk import with_inner
from sdmetrics.probes.layouts import axes_of
from sdmetrics.probes.onnx_file import all_reads
from sdmetrics.probes.trial import open_trial, run_once

if TYPE_CHECKING:
    from onnx import ModelProto

LAYOUTS = ("NCTHW", "NTCHW", "NTHWC", "TNCHW", "NCHW", "NHWC", "N1CTHW", "N1TCHW", "CTHW")
SINGLE_FRAMES = {"NCHW": ("NT,C,H,W", "TCHW"), "NHWC": ("NT,H,W,C", "THWC")}
"""For layouts of images: how the same axes are read if the first holds frames, with and without an axis of clips."""

TRIED = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 25, 32, 64)
"""Numbers of images that are tried where the file leaves the number open."""

FINDING = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}
"""Operators that return as many rows as they find."""


def guess_layout(shape: Shape, channels: int = 3) -> str | None:
    """Return the only usual layout with this number of channels and as many axes as `shape`, or None.

    Examples
    --------
    >>> guess_layout(("n", 3, 8, 224, 224)), guess_layout(("n", 3, 3, 224, 224)), guess_layout((3, 8, 224, 224))
    ('NCTHW', None, 'CTHW')
    """
    fitting = [layout for layout in LAYOUTS if _fits(layout, shape, channels)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(layout: str, shape: Shape, channels: int) -> bool:
    """Return whether a shape can have a layout."""
    axes = axes_of(layout)
    if len(axes) != len(shape) or shape[axes.index("C")] != channels:
        return False
    # An open number is more likely that of the clips, unless there is one clip.
    time_first = isinstance(shape[0], int) and shape[0] > 1 and len(shape) == len("NTCHW") and isinstance(shape[1], str)
    if layout[:2] in ("NT", "TN") and time_first != (layout[0] == "T"):
        return False
    ones = all(size == 1 or isinstance(size, str) for axis, size in zip(axes, shape, strict=True) if not axis)
    # What has no axis of clips has no open size in its place.
    return ones and ("N" in axes or isinstance(shape[0], int))


def frames_in_batch(model: ModelProto, shape: Shape, layout: str) -> tuple[str, int] | None:
    """Return the layout and the frames of a model whose batch of images holds the frames of a clip; None for images.

    The model is run: if it returns one row for several images, it joins them. Only models with one input are tried, and
    only outputs are looked at whose number of rows does not depend on the values, as that of detections does.
    """
    values = fed_inputs(model.graph)
    if layout not in SINGLE_FRAMES or len(values) != 1 or not all(isinstance(size, int) for size in shape[1:]):
        return None
    onnx = require("onnx", extra="cpu")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(values[0].type.tensor_type.elem_type)
    found = _found_in_values(model)
    tensors = [output for output in model.graph.output if output.type.HasField("tensor_type")]
    outputs = [output.name for output in tensors if output.name not in found]
    fixed = shape[0] if isinstance(shape[0], int) else None
    trial = open_trial(model, prod(map(int, shape[1:])), fold=False, batch=fixed)
    for images in TRIED if fixed is None else (fixed,):
        zeros = np.zeros((images, *map(int, shape[1:])), dtype)
        try:
            returned = [value.shape for value in run_once(trial, {values[0].name: zeros}, outputs).values()]
        except OverBudget:
            raise
        except InputError:
            continue
        rows = max((size[0] if len(size) > 1 or size[0] == images else 1 for size in returned if size), default=images)
        if not rows or rows >= images or images % rows:
            return None
        folded, without_clips = SINGLE_FRAMES[layout]
        return (folded if any(len(size) > 1 for size in returned) else without_clips), images // rows
    return None


def _found_in_values(model: ModelProto) -> set[str]:
    """Return the tensors that have as many rows as something is found in an image, or are computed from such."""
    found: set[str] = set()
    for node in model.graph.node:
        kinds = {inner.op_type for inner in with_inner([node])}
        if not kinds.isdisjoint(FINDING) or not found.isdisjoint(all_reads(node)):
            found.update(filter(None, node.output))
    return found
