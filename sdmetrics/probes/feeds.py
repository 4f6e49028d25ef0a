"""Feeds, the arrays that a probe reads: check them, draw random ones, and prepare what the model itself reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import SOURCES, ModelInput, check_agreement
from sdmetrics.probes.layouts import axes_of, lay_out

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name."""

Feeds = Arrays
"""Clips by source and the order of their frames by model input, as `random_feeds` returns them."""

EXAMPLE_CLIPS = 2
"""Number of the clips that `example_feeds` returns."""


class OverBudget(InputError):
    """A model takes more memory or time than is tried."""


def machine_memory() -> int:
    """Return the memory of this machine in bytes."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    known = hasattr(os, "sysconf") and all(name in os.sysconf_names for name in names)
    return prod(os.sysconf(name) for name in names) if known else 8 * 2**30


MOST_VALUES = max(150_000_000, machine_memory() // 64)
"""Values in the clips that a model reads at once while it is tried: 3 clips of 8 frames in full HD, or more where the
machine has the memory. It bounds what a file that states a huge input takes."""


def order_name(model_input: ModelInput) -> str:
    """Return the name of the probe input that selects and orders the frames of a model input."""
    return f"{model_input.name}/order"


def check_sources(inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless there are inputs, all of one clip's frames, and such a clip is not too large."""
    if not isinstance(inputs, Sequence) or not all(isinstance(item, ModelInput) for item in inputs):
        raise InputError(f"inputs is {inputs!r:.60}, which is not a list of ModelInput; pass [ModelInput('video', …)]")
    if not inputs:
        raise InputError("inputs is empty; pass at least one ModelInput")
    check_amount(inputs, 1)
    check_agreement(inputs)


def check_amount(inputs: Sequence[ModelInput], clips: int) -> None:
    """Raise `OverBudget` if so many clips are too large to be tried.

    Examples
    --------
    >>> check_amount([ModelInput("video", frames=10**8)], 1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sdmetrics.probes.feeds.OverBudget: input 'video' reads 1 clip(s) of 100,000,000 frames of 224 × 224, \
15,052,800,000,000 values; at most ... are tried. Check its frames and size, or export the model for fewer
    """
    for item in inputs:
        values = clips * item.frames * prod(item.size) * item.channels
        if values > MOST_VALUES:
            raise OverBudget(
                f"input {item.name!r} reads {clips:,} clip(s) of {item.frames:,} frames of {item.size[0]} × "
                f"{item.size[1]}, {values:,} values; at most {MOST_VALUES:,} are tried. Check its frames and size, or "
                "export the model for fewer"
            )


def random_feeds(inputs: Sequence[ModelInput], clips: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random clips, coarse-grained so that pooled units differ, each with its own order of frames.

    The clips are stored under their source, e.g. `"rgb"`, uint8 `(clips, T, H, W, 3)`, and the orders under
    `"<input>/order"`, int64 `(clips, T')`.

    Raises
    ------
    OverBudget
        If that is more than `MOST_VALUES`.
    """
    check_amount(inputs, clips)
    rng = np.random.default_rng(seed)
    total = max(item.frames for item in inputs) + 1
    sources = dict.fromkeys(item.source for item in inputs)
    drawn = {source: _random_source(source, (clips, total, *inputs[0].size), rng) for source in sources}
    orders = {
        order_name(item): np.stack([rng.permutation(total)[: item.frames] for _ in range(clips)]) for item in inputs
    }
    return drawn | orders


def _random_source(source: str, shape: tuple[int, int, int, int], rng: np.random.Generator) -> NDArray[Any]:
    """Return one source of random clips: patches of one colour, or of one motion."""
    grain = 8
    clips, total, height, width = shape
    coarse = (clips, total, -(-height // grain), -(-width // grain), SOURCES[source])
    values: NDArray[Any] = (
        rng.normal(scale=4, size=coarse).astype(np.float32)
        if source == "flow_vectors"
        else rng.integers(0, 256, coarse, dtype=np.uint8)
    )
    return np.ascontiguousarray(values.repeat(grain, 2).repeat(grain, 3)[:, :, :height, :width])


def select(feeds: Feeds, clips: slice) -> dict[str, NDArray[Any]]:
    """Return some of the clips of `feeds`."""
    return {name: array[clips] for name, array in feeds.items()}


def prepare(feeds: Feeds, inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return what the model itself reads: frames in order, scaled, shifted and laid out, float32.

    Raises
    ------
    InputError
        If a model that reads one clip at a time is fed several.

    Examples
    --------
    >>> video = ModelInput("video", frames=2, size=(4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> feeds = {"rgb": np.full((1, 3, 4, 4, 3), 255, np.uint8), "video/order": np.array([[2, 0]])}
    >>> array = prepare(feeds, [video])["video"]
    >>> array.shape, array.max()
    ((1, 3, 2, 4, 4), np.float32(1.0))
    """
    prepared = {}
    for item in inputs:
        order = feeds[order_name(item)].astype(np.int64)
        frames = np.take_along_axis(feeds[item.source], order[:, :, None, None, None], axis=1)
        prepared[item.name] = np.ascontiguousarray(lay_out(scaled(frames, item), item.layout))
    return prepared


def scaled(frames: NDArray[Any], item: ModelInput) -> NDArray[np.float32]:
    """Return frames or flow vectors `(…, channels)` as the numbers that a model input reads, float32.

    Examples
    --------
    >>> flow = ModelInput("flow", "flow_vectors", limit=20)
    >>> scaled(np.array([[-40, 10]], np.float32), flow).tolist()
    [[-1.0, 0.5]]
    """
    mean, std = np.array(item.mean, np.float32), np.array(item.std, np.float32)
    if item.source != "flow_vectors":
        values = frames[..., ::-1] if item.colours == "bgr" else frames
        result: NDArray[np.float32] = np.asarray(values / np.float32(255))
        # In place: for large clips each copy counts.
        result -= mean
        result /= std
        return result
    if item.limit is not None:
        frames = np.clip(frames, -item.limit, item.limit) / np.float32(item.limit)
    return np.asarray((frames - mean) / std, np.float32)


def example_feeds(inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return the clips that every check uses."""
    return random_feeds(inputs, EXAMPLE_CLIPS)


def one_by_one(feeds: Feeds) -> Iterator[Feeds]:
    """Yield the clips of `feeds` as batches of one clip."""
    for index in range(len(next(iter(feeds.values())))):
        yield select(feeds, slice(index, index + 1))


def check_feeds(feeds: Mapping[str, NDArray[Any]], inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return the feeds as contiguous arrays.

    Raises
    ------
    InputError
        If a feed is missing, unknown, or of another type, shape or range than `inputs` require.

    Examples
    --------
    >>> check_feeds({"rgb": np.zeros((1, 8, 4, 4, 3))}, [ModelInput("video", size=(4, 4))])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: feeds are ['rgb']; expected ['rgb', 'video/order']
    """
    sources = list(dict.fromkeys(item.source for item in inputs))
    expected = [*sources, *(f"{item.name}/order" for item in inputs)]
    if sorted(feeds) != sorted(expected):
        raise InputError(f"feeds are {list(feeds)}; expected {expected}")
    for item in inputs:
        frames = feeds[item.source]
        kind = np.dtype(np.float32 if item.source == "flow_vectors" else np.uint8)
        shape = (*item.size, item.channels)
        if frames.dtype != kind or frames.ndim != 5 or frames.shape[2:] != shape or 0 in frames.shape:
            raise InputError(
                f"{item.source} is {frames.dtype} of shape {frames.shape}; expected {kind} of shape (N, T, "
                f"{', '.join(map(str, shape))}), at least one clip and one frame"
            )
        name, order = f"{item.name}/order", feeds[f"{item.name}/order"]
        if order.dtype != np.int64 or order.shape != (len(frames), item.frames):
            raise InputError(
                f"{name} is {order.dtype} of shape {order.shape}; expected int64 of shape "
                f"({len(frames)}, {item.frames})"
            )
        if order.min() < 0 or order.max() >= frames.shape[1]:
            raise InputError(
                f"{name} names frames {order.min()} to {order.max()}; expected 0 to {frames.shape[1] - 1}, as "
                f"{item.source} has {frames.shape[1]} frames"
            )
    counts = {source: len(feeds[source]) for source in sources}
    if len(set(counts.values())) > 1:
        raise InputError(f"sources have different numbers of clips: {counts}; feed every clip from every source")
    return {name: np.ascontiguousarray(array) for name, array in feeds.items()}


def clips_in(feeds: Mapping[str, NDArray[Any]]) -> int:
    """Return the number of clips, or views, in `feeds`."""
    return len(next(iter(feeds.values())))


def unfold_frames(outputs: Arrays, inputs: Sequence[ModelInput], clips: int) -> dict[str, NDArray[Any]]:
    """Return a model's outputs; where its batch holds the frames of all clips, with frames in an axis of their own.

    Examples
    --------
    >>> frames = ModelInput("frames", frames=3, layout="NT,C,H,W")
    >>> unfold_frames({"logits": np.zeros((6, 5))}, [frames], clips=2)["logits"].shape
    (2, 3, 5)
    """
    folded = [(item.frames, axis) for item in inputs for axis in axes_of(item.layout) if {"N", "T"} <= set(axis)]
    frames, axis = folded[0] if folded else (1, "N")

    def unfolded(values: NDArray[Any]) -> NDArray[Any]:
        if frames == 1 or values.ndim < 2 or len(values) != clips * frames:
            return values
        if axis.index("N") < axis.index("T"):
            return values.reshape(clips, frames, *values.shape[1:])
        return values.reshape(frames, clips, *values.shape[1:]).swapaxes(0, 1)

    return {name: unfolded(values) for name, values in outputs.items()}


def check_masks(masks: Mapping[str, NDArray[Any]], units: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    """Return the masks as float32; `units` is the number of units of every layer.

    Raises
    ------
    InputError
        If a layer is unknown, or a mask is not one finite number per unit.
    """
    for layer, mask in masks.items():
        if layer not in units:
            raise InputError(f"there is no layer {layer!r} to mask; expected one of {', '.join(units)}")
        if np.shape(mask) != (units[layer],) or not np.isfinite(mask).all():
            raise InputError(
                f"the mask of layer {layer!r} has the shape {np.shape(mask)}; expected one finite number for each of "
                f"its {units[layer]} units"
            )
    return {layer: np.ascontiguousarray(mask, np.float32) for layer, mask in masks.items()}
