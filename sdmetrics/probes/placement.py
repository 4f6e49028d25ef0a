"""Placement: determine which axes of a layer's tensor hold clips, frames and channels, with two different clips."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.probes.metadata import Layer

CLEARLY = 10
"""How many times larger the error of the wrong fold has to be than that of the right one."""


def tolerance(dtype: np.dtype[Any]) -> float:
    """Return the largest difference, relative to a tensor's scale, that rounding in `dtype` may cause."""
    return 1e-3 if np.finfo(dtype).eps < 1e-4 else 3e-2


def relative_error(computed: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference divided by the largest expected value; infinite if shapes or infinities differ.

    Examples
    --------
    >>> relative_error(np.array([1.0, 2.5, np.inf]), np.array([1.0, 2.0, np.inf]))
    0.25
    """
    if computed.shape != expected.shape:
        return float("inf")
    computed, expected = computed.astype(np.float64), expected.astype(np.float64)
    same = (computed == expected) | (np.isnan(computed) & np.isnan(expected))
    difference = np.abs(computed[~same] - expected[~same]).max(initial=0)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    error = float(difference / scale if scale else difference)
    return error if np.isfinite(error) else float("inf")


def place_batch(layer: Layer, together: NDArray[Any], alone: Sequence[NDArray[Any]]) -> Layer:
    """Return `layer` with the batch axis, the fold and the units that its values prove.

    `together` is the layer's tensor for several clips in one batch, `alone` the tensor of each clip in its own batch.

    Raises
    ------
    InputError
        If the clips are not separate entries of the tensor.
    """
    _check_values(layer, together)
    single = alone[0].shape
    grown = [
        axis for axis in range(len(single)) if together.ndim == len(single) and together.shape[axis] != single[axis]
    ]
    if len(grown) != 1 or together.shape[grown[0]] != len(alone) * single[grown[0]]:
        raise InputError(
            f"layer {layer.name!r} has the shape {single} for one clip and {together.shape} for {len(alone)}: no axis "
            "holds the clips. Choose another layer, or export with a dynamic batch"
        )
    axis, channel = grown[0], _channel_of(layer, single)
    if channel == axis:
        raise InputError(
            f"layer {layer.name!r} of shape {single} has its clips in axis {axis} and cannot have its channels in axis "
            f"{layer.channel_axis}; pass another axis, {_option(layer, single, axis)}"
        )
    values = np.moveaxis(together, axis, 0)
    parts = [np.moveaxis(part, axis, 0) for part in alone]
    errors = {
        "batch-major": relative_error(values, np.concatenate(parts)),
        "time-major": relative_error(values, np.stack(parts, 1).reshape(values.shape)),
    }
    fold, other = sorted(errors, key=errors.__getitem__)
    folded = single[axis] > 1
    if errors[fold] > tolerance(together.dtype):
        raise InputError(
            f"layer {layer.name!r} returns other values for a clip alone than for the same clip in a batch: the model "
            "mixes the clips of a batch. Export it in evaluation mode, with a dynamic batch"
        )
    if folded and errors[other] <= CLEARLY * errors[fold]:
        raise InputError(
            f"layer {layer.name!r} returns the same values for every frame of every clip tried, so the order of clips "
            "and frames in its first axis cannot be determined; choose another layer"
        )
    return _placed(layer, single, axis, fold if folded else None)


def place_in_fixed_batch(layer: Layer, first: NDArray[Any], second: NDArray[Any], batch: int) -> Layer:
    """Return `layer` as `place_batch` does, for a model that reads a fixed number of clips.

    `first` is the layer's tensor for `batch` clips; `second` that for the same clips without the first, plus a new one
    at the end.

    Raises
    ------
    InputError
        If the clips are not separate entries of the tensor.
    """
    _check_values(layer, first)
    shape, channel = first.shape, _channel_of(layer, first.shape)
    others = [axis for axis in range(len(shape)) if axis != channel]
    if batch == 1 and others and relative_error(first, second):
        # With one clip all axes but the channels are averaged, whichever of them is the clip's.
        axis = next((axis for axis in others if shape[axis] == 1), others[0])
        return _placed(layer, shape, axis, "batch-major" if shape[axis] > 1 else None)
    errors: dict[tuple[int, str | None], float] = {}
    for axis in others if batch > 1 else ():
        rows, later = np.moveaxis(first, axis, 0), np.moveaxis(second, axis, 0)
        per_clip, rest = divmod(len(rows), batch)
        for fold in () if rest else (None,) if per_clip == 1 else ("batch-major", "time-major"):
            split, clips = ((-1, batch), 1) if fold == "time-major" else ((batch, -1), 0)
            one, two = (np.moveaxis(each.reshape(*split, *each.shape[1:]), clips, 0) for each in (rows, later))
            if relative_error(two[:-1], one[:-1]) > tolerance(first.dtype):
                errors[axis, fold] = relative_error(two[:-1], one[1:])
    axis_fold = min(errors, key=errors.__getitem__, default=None)
    if axis_fold is None or errors[axis_fold] > tolerance(first.dtype):
        raise InputError(
            f"layer {layer.name!r} of shape {shape} does not hold the {batch} clip(s) of the model's fixed batch as "
            "separate entries, or mixes them. Choose another layer, or export with a dynamic batch"
        )
    return _placed(layer, shape, *axis_fold)


def _check_values(layer: Layer, values: NDArray[Any]) -> None:
    """Raise an `InputError` unless a layer returns finite floating-point numbers."""
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"layer {layer.name!r} holds {values.dtype}; units are floating-point numbers. Choose another layer, "
            "or quantise the model in the QDQ format"
        )
    if not np.isfinite(values).all():
        raise InputError(
            f"layer {layer.name!r} returns values that are not finite for random clips; fix the model, or how it is fed"
        )


def _channel_of(layer: Layer, shape: tuple[int, ...]) -> int:
    """Return the layer's channel axis, counted from the first."""
    channel = layer.channel_axis
    if channel is None or not -len(shape) <= channel < len(shape):
        raise InputError(
            f"layer {layer.name!r} of shape {shape} cannot have its channels in axis {channel}; pass another axis, "
            f"{_option(layer, shape)}"
        )
    return channel % len(shape)


def _option(layer: Layer, shape: tuple[int, ...], clips: int | None = None) -> str:
    """Return how another axis is specified on the command line: the last one that does not hold the clips."""
    axis = max((axis for axis in range(len(shape)) if axis != clips), default=0)
    return f"e.g. --layer {shlex.quote(f'{layer.name} axis={axis}')}"


def _placed(layer: Layer, shape: tuple[int, ...], axis: int, fold: str | None) -> Layer:
    """Return the layer with its proven axes; `shape` is that of a single run."""
    channel = _channel_of(layer, shape)
    return dataclasses.replace(
        layer,
        shape=layer.shape or tuple("clips" if a == axis else size for a, size in enumerate(shape)),
        channel_axis=channel,
        units=shape[channel],
        batch_axis=axis,
        fold=fold,
        time_axis=None if fold or layer.time_axis == axis else layer.time_axis,
    )


def pool(values: NDArray[Any], layer: Layer, clips: int) -> NDArray[np.float64]:
    """Return a layer's tensor averaged over all but clips and channels, `(clips, units)`, as a probe must.

    Examples
    --------
    >>> frames_last = Layer("a", "a", ("2*n", 1), channel_axis=1, units=1, fold="time-major")
    >>> pool(np.array([[0.0], [10.0], [2.0], [30.0]]), frames_last, clips=2).tolist()
    [[1.0], [20.0]]
    """
    assert layer.channel_axis is not None
    values = np.moveaxis(values, (layer.batch_axis, layer.channel_axis), (0, -1))
    rows = values.reshape(values.shape[0], -1, values.shape[-1]).mean(1, dtype=np.float64)
    if layer.fold == "time-major":
        return np.asarray(rows.reshape(-1, clips, rows.shape[-1]).mean(0))
    return np.asarray(rows.reshape(clips, -1, rows.shape[-1]).mean(1))
