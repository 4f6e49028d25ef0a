"""Feeds: what a probe reads, checked; random clips; and what the model itself would read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import SOURCES, ModelInput

Feeds = Mapping[str, NDArray[Any]]


def order_name(model_input: ModelInput) -> str:
    """Return the name of the probe's input that says which frames a model input reads, in which order."""
    return f"{model_input.name}/order"


def check_sources(inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless the inputs are asked for in one size."""
    if not inputs:
        raise InputError("no model input is described; give at least one ModelInput")
    for item in inputs:
        if item.size != inputs[0].size:
            raise InputError(
                f"model inputs {inputs[0].name!r} and {item.name!r} read a clip in sizes {inputs[0].size} and "
                f"{item.size}; a clip has one size"
            )


def random_feeds(inputs: Sequence[ModelInput], clips: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random clips, coarse-grained so that pooled units differ, each with its own order of frames.

    The clips are by source, such as `"rgb"`, uint8 `(clips, T, H, W, 3)`, and the orders `"<input>/order"`, int64
    `(clips, T')`.
    """
    rng = np.random.default_rng(seed)
    total = max(item.frames for item in inputs) + 1
    sources = dict.fromkeys(item.source for item in inputs)
    found = {source: _random_source(source, (clips, total, *inputs[0].size), rng) for source in sources}
    orders = {
        order_name(item): np.stack([rng.permutation(total)[: item.frames] for _ in range(clips)]) for item in inputs
    }
    return found | orders


def _random_source(source: str, shape: tuple[int, int, int, int], rng: np.random.Generator) -> NDArray[Any]:
    """Return what one source of random clips holds: patches of one colour, or of one motion."""
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
    """Return what the model itself reads: frames put in order, scaled, shifted and transposed, float32.

    Vectors of flow are put in order and transposed.

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
        mean, std = np.array(item.mean, np.float32), np.array(item.std, np.float32)
        values = frames if item.source == "flow_vectors" else (frames / np.float32(255) - mean) / std
        axes = "NTHWC"
        if "T" not in item.layout:
            values, axes = values[:, 0], "NHWC"
        prepared[item.name] = np.ascontiguousarray(values.transpose([axes.index(axis) for axis in item.layout]))
    return prepared


CLIPS = 2


def example_feeds(inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return the clips that every check uses."""
    return random_feeds(inputs, CLIPS)


def one_by_one(feeds: Feeds) -> Iterator[Feeds]:
    """Yield the clips of `feeds`, each as a batch of its own."""
    for index in range(len(next(iter(feeds.values())))):
        yield select(feeds, slice(index, index + 1))


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
