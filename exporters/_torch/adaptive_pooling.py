"""Adaptive average pooling in ONNX: with equal kernels where the sizes divide, or else window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the translations of torch's operators, for `torch.onnx.export`.

    Its own of the 2-D operator gathers tensors by index, which hides their axes, and it has none of the 3-D operator.

    Examples
    --------
    >>> len(translations())
    2
    """
    import torch

    aten = torch.ops.aten
    return {aten._adaptive_avg_pool2d.default: _averaged, aten._adaptive_avg_pool3d.default: _averaged}


def windows(size: int, count: int) -> list[tuple[int, int]]:
    """Return where the windows begin and end in which an axis of `size` is averaged to one of `count`.

    Examples
    --------
    >>> windows(5, 3)
    [(0, 2), (1, 4), (3, 5)]
    """
    return [(index * size // count, -(-(index + 1) * size // count)) for index in range(count)]


def _averaged(self: Any, output_size: Sequence[int]) -> Any:  # noqa: ANN401 (values of onnxscript)
    """Average over boxes: over windows of one axis after the other."""
    from onnxscript import opset18

    op: Any = opset18
    sizes = [int(size) for size in self.shape[-len(output_size) :]]
    # Without an axis of clips there is no operator that pools.
    whole = len(self.shape) == len(sizes) + 2
    kernel = [
        size // count if whole and size % count == 0 else 1 for size, count in zip(sizes, output_size, strict=True)
    ]
    pooled = op.AveragePool(self, kernel_shape=kernel, strides=kernel) if max(kernel) > 1 else self
    for axis, (size, count, step) in enumerate(zip(sizes, output_size, kernel, strict=True), start=-len(sizes)):
        if size != count * step:
            slices = [op.Slice(pooled, [start], [end], [axis]) for start, end in windows(size, count)]
            pooled = op.Concat(*(op.ReduceMean(part, [axis]) for part in slices), axis=axis)
    return pooled
