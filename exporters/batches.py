"""Models that read a fixed number of clips at once: any number is fed to them in batches of that size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

Arrays = Mapping[str, NDArray[Any]]


def fixed_batch(model: ModelProto) -> int | None:
    """Return the number of clips that a model's or a probe's inputs are fixed to, or None."""
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input if value.name not in weights]
    return next((shape[0].dim_value for shape in shapes if len(shape) > 1 and shape[0].dim_value), None)


def session_batch(session: InferenceSession) -> int | None:
    """Return the number of clips that an opened model or probe is fixed to, or None; masks have one axis."""
    shapes = [value.shape for value in session.get_inputs() if len(value.shape) > 1]
    return next((shape[0] for shape in shapes if isinstance(shape[0], int)), None)


def in_batches(call: Callable[[Arrays], Arrays], feeds: Arrays, batch: int) -> dict[str, NDArray[Any]]:
    """Call a model on `batch` clips at a time, the last ones filled up by repetition; return what the clips gave.

    Examples
    --------
    >>> doubled = in_batches(lambda fed: {"y": 2 * fed["x"]}, {"x": np.arange(6).reshape(3, 2)}, batch=2)
    >>> doubled["y"].tolist()
    [[0, 2], [4, 6], [8, 10]]
    """
    fed = {name: array for name, array in feeds.items() if array.ndim > 1}
    other = {name: array for name, array in feeds.items() if array.ndim == 1}
    clips = len(next(iter(fed.values())))
    parts: dict[str, list[NDArray[Any]]] = {}
    for start in range(0, clips, batch):
        chosen = np.minimum(np.arange(start, start + batch), clips - 1)
        used = min(batch, clips - start)
        for name, value in call({**other, **{name: array[chosen] for name, array in fed.items()}}).items():
            parts.setdefault(name, []).append(_of_clips(value, used, batch))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _of_clips(value: NDArray[Any], used: int, batch: int) -> NDArray[Any]:
    """Return an output's rows that belong to the first `used` clips of a batch; without any, all as one entry."""
    if value.ndim == 0 or len(value) % batch or (batch == 1 and len(value) != 1):
        return value[None]
    return value[: used * (len(value) // batch)]
