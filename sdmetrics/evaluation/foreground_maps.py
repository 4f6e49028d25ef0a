"""What a model that segments marks as foreground: its outputs read as probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require

Maps = NDArray[np.float32]
"""Probabilities of foreground, float32 `(N, T, H, W)`."""

ROUNDING = 1e-3
"""How far rounding may take a probability out of 0 to 1; logits go further."""


class MapReader:
    """Reads a model's outputs as probabilities of foreground.

    Parameters
    ----------
    output
        The name of the output; default: the only one that is a map.
    logits
        Whether the output is before the sigmoid. Default: the first outputs that are read decide, by whether a value
        lies outside 0 to 1; where later ones say otherwise, that is an error.

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
        """Return the maps of the clips of these names.

        Raises
        ------
        InputError
            If there is no such output, or it has NaN.
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
                f"clip {ids[int(np.argmax(outside))]!r}: the model's output lies outside 0 to 1, and that of the clips "
                "before did not, so that it was read as probabilities. Say which it is: logits=True or logits=False"
            )
        return np.asarray((np.tanh(maps / 2) + 1) / 2, np.float32) if self.logits else maps


def map_output(outputs: Mapping[str, NDArray[Any]], name: str | None = None) -> NDArray[Any]:
    """Return the output of a model that maps foreground, as `(N, T, H, W)`: the only one that can be, or that named.

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
    shapes = ", ".join(f"{key} {np.shape(value)}" for key, value in outputs.items())
    if name is not None and name not in outputs:
        raise InputError(f"the model has no output {name!r}; allowed: {shapes}")
    maps = [value for key, value in outputs.items() if name in (None, key) and _is_map(np.shape(value))]
    if len(maps) == 1:
        one = np.asarray(maps[0])
        frames = one.shape[1] * one.shape[2] if one.ndim == 5 else 1
        return one.reshape(len(one), frames, *one.shape[-2:])
    if name is not None:
        raise InputError(f"output {name!r} is no map with one channel; the model's outputs are {shapes}")
    if maps:
        raise InputError(f"several outputs could map the foreground: {shapes}; name one")
    raise InputError(f"no output maps the foreground, (clips, 1, height, width); the model's outputs are {shapes}")


def _is_map(shape: tuple[int, ...]) -> bool:
    """Tell whether an output of this shape has one channel of two dimensions, with or without time."""
    return len(shape) == 3 or (len(shape) == 4 and shape[1] == 1) or (len(shape) == 5 and 1 in shape[1:3])


def resized(probability: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a map in another size, `(height, width)`, by bilinear interpolation."""
    if probability.shape == size:
        return probability
    cv2 = require("cv2", extra="cpu")
    return np.asarray(cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR))
