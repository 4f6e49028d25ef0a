"""Runners and clips in plain NumPy, whose biases are known exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips import Clip, Frames
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput

Ordered = NDArray[np.float64]
"""Frames in the order of a view, `(N, T', H, W, 3)`."""


class NumpyRunner:
    """Applies functions of the ordered frames to every view: one layer each."""

    def __init__(
        self, layers: Mapping[str, Callable[[Ordered], NDArray[Any]]], frames: int = 6, size: int = 16
    ) -> None:
        self.functions = dict(layers)
        self.inputs = [ModelInput("video", frames=frames, stride=1, size=(size, size))]
        self.layers = list(layers)
        self.name = "numpy"
        self.identity: dict[str, Any] = {"layers": self.layers}
        self.batches: list[int] = []

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        rgb, order = feeds["rgb"], feeds["video/order"]
        self.batches.append(len(rgb))
        ordered = rgb[np.arange(len(rgb))[:, None], order].astype(np.float64)
        return {name: function(ordered).astype(np.float32) for name, function in self.functions.items()}


def colours(frames: Ordered) -> NDArray[Any]:
    """Blind to the order of frames: the mean colours, summed in an order that the frames' order cannot change."""
    return np.sort(frames.mean(axis=(2, 3)), axis=1).mean(axis=1)


def changes(frames: Ordered) -> NDArray[Any]:
    """Blind to the values of pixels: only where a frame differs from the one before."""
    return (frames[:, 1:] != frames[:, :-1]).any(axis=(2, 3, 4))


def noise_clip(seed: int, frames: int = 6, size: int = 16, video: str = "") -> Clip:
    """Return a clip of noise that drifts, and rests now and then."""

    def load() -> Frames:
        rng = np.random.default_rng(seed)
        base, drift = rng.integers(0, 256, (2, 1, size, size, 3))
        steps = np.cumsum([0, *rng.permutation([1, *rng.integers(0, 2, frames - 2)])])
        return ((base + steps[:, None, None, None] * drift / 7) % 256).astype(np.uint8)

    return Clip(f"clip-{seed:04d}", load, video=video, stamp=str(seed))


def broken_clip(name: str = "broken") -> Clip:
    """Return a clip that cannot be decoded."""

    def load() -> Frames:
        raise InputError("the file is damaged; remove it")

    return Clip(name, load)
