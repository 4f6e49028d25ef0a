"""Change the clips in the arguments of a model call: shuffle their frames, or show them in other looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import FLOWS, ModelInput
from sdmetrics.torch.training.looks import Looks
from sdmetrics.torch.training.processes import all_gather, rank

Layout = str | ModelInput
"""The axes of an input by letter, as in `"NCTHW"`: T is time; N, the first, is the clips."""


@dataclass(frozen=True)
class Call:
    """The arguments of a model call and the axes of their tensors.

    Attributes
    ----------
    args, kwargs
        The arguments. Tensors may be inside lists, tuples and dicts.
    layouts
        Axes of each tensor by letter, in the order in which they occur; `None` if they are not known.
    clips
        Number of clips in the batch.
    flows
        Whether each tensor is optical flow, which has no look.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    layouts: tuple[str | None, ...]
    clips: int
    flows: tuple[bool, ...]

    @property
    def axes(self) -> tuple[int | None, ...]:
        """Time axis of each tensor; `None` if it has no time."""
        return tuple(axes.index("T") if axes and "T" in axes else None for axes in self.layouts)

    def shuffled(self, rng: np.random.Generator, first: int, total: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with every clip's frames shuffled, each input independently.

        The call holds the clips from index `first` of a batch of `total` clips that is split among processes. The order
        of a clip does not depend on how the batch is split.
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

    def shuffled_in_step(
        self, seed: int, step: int, device: torch.device
    ) -> tuple[tuple[Any, ...], dict[str, Any], int]:
        """Return the arguments with the frames shuffled as in a training step, and the seed of its random draws.

        Both depend only on `seed` and the step, the draws on the process, too. All processes call it together; tensors
        that they exchange are on the device.
        """
        clips = [int(number) for number in all_gather(torch.tensor(self.clips, device=device))]
        orders, draws = (np.random.default_rng([seed, step, n]) for n in (0, 1 + rank()))
        args, kwargs = self.shuffled(orders, first=sum(clips[: rank()]), total=sum(clips))
        return args, kwargs, int(draws.integers(2**63))

    def has_looks(self) -> bool:
        """Return whether a tensor shows frames in three channels."""
        shows: list[bool] = []
        places = iter(zip(self.layouts, self.flows, strict=True))

        def collect(tensor: Tensor) -> Tensor:
            shows.append(_has_look(tensor, *next(places)))
            return tensor

        _with_tensors((self.args, dict(self.kwargs)), collect)
        return any(shows)

    def restyled(self, looks: Looks) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with every clip in a look, the same in all inputs, within the range of each input."""
        places = iter(zip(self.layouts, self.flows, strict=True))

        def changed(tensor: Tensor) -> Tensor:
            axes, is_flow = next(places)
            if axes is None or not _has_look(tensor, axes, is_flow):
                return tensor
            order = [axes.index(axis) for axis in "NTHWC"]
            low, high = tensor.aminmax()
            span = (high - low).clamp(min=torch.finfo(tensor.dtype).tiny)
            shown = looks(((tensor - low) / span).permute(*order).float())
            return shown.permute(*(order.index(axis) for axis in range(len(order)))).to(tensor.dtype) * span + low

        return _with_tensors(self.args, changed), _with_tensors(dict(self.kwargs), changed)


def parse_call(args: tuple[Any, ...], kwargs: Mapping[str, Any], layout: Layout | Sequence[Layout]) -> Call:
    """Find the time axes in the arguments of a model call.

    Parameters
    ----------
    args, kwargs
        The arguments.
    layout
        A single layout applies to every tensor with that number of axes; the other tensors have no time. Or a list of
        one layout per tensor, without T if it has no time.

    Raises
    ------
    InputError
        If the layouts do not fit the tensors, or no tensor has two frames.

    Examples
    --------
    >>> call = parse_call((torch.zeros(4, 3, 8, 6, 6),), {"labels": torch.zeros(4)}, "NCTHW")
    >>> call.axes, call.clips
    ((2, None), 4)
    """
    tensors: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    _with_tensors((args, dict(kwargs)), collect)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "no tensor"
    if isinstance(layout, str | ModelInput):
        axes = _letters(layout)
        layouts = [axes if tensor.ndim == len(axes) else None for tensor in tensors]
        flows = [_is_flow(layout)] * len(tensors)
    else:
        layouts, flows = [_letters(one) for one in layout], [_is_flow(one) for one in layout]
        if [tensor.ndim for tensor in tensors] != [len(axes or "") for axes in layouts]:
            raise InputError(
                f"the model is called with {shapes}, but layout is {', '.join(map(str, layouts))}; pass one layout per "
                "tensor, or a single layout for all tensors with a time axis"
            )
    times = tuple(axes.index("T") if axes and "T" in axes else None for axes in layouts)
    videos = [(tensor, axis) for tensor, axis in zip(tensors, times, strict=True) if axis is not None]
    if not any(tensor.shape[axis] > 1 for tensor, axis in videos):
        raise InputError(
            f"the model is called with {shapes}: with layout={layout!r}, no tensor has two or more frames to "
            "shuffle. Specify the time axis, e.g. layout='NTCHW'"
        )
    clips = {len(tensor) for tensor, _ in videos}
    if len(clips) > 1:
        raise InputError(
            f"the model is called with {shapes}, with different numbers of clips on axis 0; expected: one number"
        )
    return Call(args, kwargs, tuple(layouts), clips.pop(), tuple(flows))


def check_layout(layout: Layout | Sequence[Layout]) -> None:
    """Raise an `InputError` unless the argument may be the axes of inputs; `parse_call` reads them."""
    listed = [layout] if isinstance(layout, str | ModelInput) else layout
    if not isinstance(listed, Sequence) or not all(isinstance(one, str | ModelInput) for one in listed):
        raise InputError(f"layout is {layout!r:.60}; expected: axes, e.g. 'NCTHW', or a list with those of each input")


def _letters(layout: Layout) -> str:
    """Return the axes of a layout."""
    axes = layout.layout if isinstance(layout, ModelInput) else layout
    if not axes.startswith("N") or len(set(axes)) < len(axes):
        raise InputError(f"layout is {axes!r}; write each axis once, N first, as in 'NCTHW' or 'NTCHW'")
    return axes


def _is_flow(layout: Layout) -> bool:
    """Return whether an input is known to be optical flow."""
    return isinstance(layout, ModelInput) and layout.source in FLOWS


def _has_look(tensor: Tensor, axes: str | None, is_flow: bool) -> bool:
    """Return whether a tensor shows frames in three channels."""
    shown = axes is not None and set(axes) == set("NCTHW") and tensor.is_floating_point() and not is_flow
    return shown and tensor.shape[str(axes).index("C")] == 3


def _with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:  # noqa: ANN401  whatever models take
    """Return a value with its tensors changed, in new lists, tuples and dicts, as models may modify theirs."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _with_tensors(entry, change) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        entries = [_with_tensors(entry, change) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    return value


def _orders(clips: int, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a random order of the frames for every clip, `(clips, frames)`, none of them the original order."""
    original = np.arange(frames)
    orders = np.tile(original, (clips, 1))
    while (same := (orders == original).all(1)).any():
        orders[same] = rng.permuted(orders[same], axis=1)
    return orders
