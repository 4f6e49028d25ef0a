"""Foreground maps: the outputs of a segmenter, read as probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.evaluation.outputs import only_output

Maps = NDArray[np.float32]
"""Probabilities of foreground, float32 `(N, T, H, W)`."""

ROUNDING = 1e-3
"""How far outside 0 to 1 rounding may take a probability. Logits are further outside."""


class MapReader:
    """Reads a model's outputs as probabilities of foreground.

    Parameters
    ----------
    output
        The name of the output; default: the only one that is a map.
    logits
        Whether the output is logits. Default: detected from the first batch, by whether a value is outside 0 to 1; a
        later batch that contradicts it is an error.

    Examples
    --------
    >>> MapReader()({"mask": np.array([[[0.0, 100.0]]]), "class": np.ones((1, 5))}, ["bear"]).tolist()
    [[[[0.5, 1.0]]]]
    """

    def __init__(self, output: str | None = None, logits: bool | None = None) -> None:
        self.output = output
        self.logits = logits
        self._decided_here = logits is None

    def __call__(self, outputs: Mapping[str, NDArray[Any]], ids: Sequence[str]) -> Maps:
        """Return the maps of the clips with these ids.

        Raises
        ------
        InputError
            If there is no such output, it contains NaN, or it contradicts previous batches.
        """
        maps = map_output(outputs, self.output).astype(np.float32)
        undefined = np.isnan(maps).any(axis=(1, 2, 3))
        if undefined.any():
            raise InputError(
                f"clip {ids[int(np.argmax(undefined))]!r}: the model's output has NaN, which is neither foreground nor "
                "background. Check the model's weights and its input's mean and std (half precision may overflow)"
            )
        outside = (maps < -ROUNDING).any(axis=(1, 2, 3)) | (maps > 1 + ROUNDING).any(axis=(1, 2, 3))
        if self.logits is None:
            self.logits = bool(outside.any())
        if self._decided_here and not self.logits and outside.any():
            raise InputError(
                f"clip {ids[int(np.argmax(outside))]!r}: the model's output is outside 0 to 1, although that of the "
                "previous clips was read as probabilities. Specify which it is: logits=True or logits=False"
            )
        return np.asarray((np.tanh(maps / 2) + 1) / 2, np.float32) if self.logits else maps


def map_output(outputs: Mapping[str, NDArray[Any]], name: str | None = None) -> NDArray[Any]:
    """Return the foreground map of a model as `(N, T, H, W)`: the named output, or the only one that fits.

    It may have the shape `(N, H, W)`, `(N, 1, H, W)`, `(N, T, 1, H, W)` or `(N, 1, T, H, W)`.

    Raises
    ------
    InputError
        If there is no such output, or there are several and none is named.

    Examples
    --------
    >>> map_output({"features": np.zeros((2, 8, 7, 7)), "mask": np.zeros((2, 1, 56, 56))}).shape
    (2, 1, 56, 56)
    """
    maps = only_output(outputs, name, _is_map, "a map of the foreground (clips, 1, height, width)")
    frames = maps.shape[1] * maps.shape[2] if maps.ndim == 5 else 1
    return maps.reshape(len(maps), frames, *maps.shape[-2:])


def _is_map(shape: tuple[int, ...]) -> bool:
    """Return whether an output of this shape has one channel of two dimensions, with or without time."""
    return len(shape) == 3 or (len(shape) == 4 and shape[1] == 1) or (len(shape) == 5 and 1 in shape[1:3])


def resized(probability: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a map in another size, `(height, width)`, by bilinear interpolation."""
    if probability.shape == size:
        return probability
    cv2 = require("cv2", extra="cpu")
    return np.asarray(cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR))
