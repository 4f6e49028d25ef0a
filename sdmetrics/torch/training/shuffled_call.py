"""The frame-shuffled copy of whatever a model is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput

Layout = str | ModelInput
"""The axes of an input by letter, as in `"NCTHW"`; T is time, N (the first) the clips."""


@dataclass(frozen=True)
class Call:
    """What a model is called with, and where time is in it.

    Attributes
    ----------
    args, kwargs
        The arguments; tensors may lie in lists, tuples and dicts.
    axes
        For each tensor, in the order in which they come, the axis of time, or `None` if it has none.
    clips
        Clips in the batch.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    axes: tuple[int | None, ...]
    clips: int

    def shuffled(self, rng: np.random.Generator, first: int, total: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with every clip's frames in another order; each input has orders of its own.

        This call holds the clips from `first` on of `total` that several processes share: whatever way they are
        shared, a clip gets the same order.
        """
        axes = iter(self.axes)

        def changed(tensor: Tensor) -> Tensor:
            axis = next(axes)
            if axis is None or tensor.shape[axis] < 2:
                return tensor
            orders = _orders(total, tensor.shape[axis], rng)[first : first + self.clips]
            shape = [self.clips if i == 0 else -1 if i == axis else 1 for i in range(tensor.ndim)]
            return torch.take_along_dim(tensor, torch.from_numpy(orders).to(tensor.device).reshape(shape), axis)

        return _with_tensors(self.args, changed), _with_tensors(dict(self.kwargs), changed)


def understand(args: tuple[Any, ...], kwargs: Mapping[str, Any], layout: Layout | Sequence[Layout]) -> Call:
    """Find out where time is in what a model is called with.

    Parameters
    ----------
    args, kwargs
        The arguments.
    layout
        One layout: that of every tensor with as many axes; all others have no time. Or one for each tensor, without
        T where it has no time.

    Raises
    ------
    InputError
        If no tensor fits, or none has two frames.

    Examples
    --------
    >>> call = understand((torch.zeros(4, 3, 8, 6, 6),), {"labels": torch.zeros(4)}, "NCTHW")
    >>> call.axes, call.clips
    ((2, None), 4)
    """
    tensors: list[Tensor] = []

    def found(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    _with_tensors((args, dict(kwargs)), found)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "no tensor"
    if isinstance(layout, str | ModelInput):
        axes = _letters(layout)
        layouts = [axes if tensor.ndim == len(axes) else None for tensor in tensors]
    else:
        layouts = [_letters(one) for one in layout]
        if [tensor.ndim for tensor in tensors] != [len(axes or "") for axes in layouts]:
            raise InputError(
                f"the model is called with {shapes}, and layout is {', '.join(map(str, layouts))}; give one layout for "
                "each tensor, or a single one for all that have a time axis"
            )
    times = tuple(axes.index("T") if axes and "T" in axes else None for axes in layouts)
    videos = [(tensor, axis) for tensor, axis in zip(tensors, times, strict=True) if axis is not None]
    if not any(tensor.shape[axis] > 1 for tensor, axis in videos):
        raise InputError(
            f"the model is called with {shapes}: with layout={layout!r}, no tensor has two frames or more to be "
            "shuffled. Say where time is, as in layout='NTCHW'"
        )
    clips = {len(tensor) for tensor, _ in videos}
    if len(clips) > 1:
        raise InputError(f"the model is called with {shapes}: the inputs hold different numbers of clips on axis 0")
    return Call(args, kwargs, times, clips.pop())


def _letters(layout: Layout) -> str:
    """Return a layout's axes."""
    axes = layout.layout if isinstance(layout, ModelInput) else layout
    if not axes.startswith("N") or len(set(axes)) < len(axes):
        raise InputError(f"layout is {axes!r}; write each axis once, N first, as in 'NCTHW' or 'NTCHW'")
    return axes


def _with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:  # noqa: ANN401  whatever models take
    """Return a value with its tensors changed, in new lists, tuples and dicts: models may write into theirs."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _with_tensors(entry, change) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        entries = [_with_tensors(entry, change) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    return value


def _orders(clips: int, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a random order of the frames for every clip, `(clips, frames)`, none of them that of before."""
    before = np.arange(frames)
    orders = np.tile(before, (clips, 1))
    while (same := (orders == before).all(1)).any():
        orders[same] = rng.permuted(orders[same], axis=1)
    return orders
