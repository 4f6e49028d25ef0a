"""Drawing of objects that are hidden in noise: a single frame does not show them, their motion does.

A camouflaged object is cut from the same kind of noise as the background. All pixels of a frame are then independent
draws from one distribution wherever the objects are, so a single frame, and anything computed from it, carries no
information about them. For this reason the noise is blurred after the objects are in place, as a lens would do:
surfaces that were blurred before would meet in a seam. Steps are whole pixels, since any other step would blur what
moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Flow, Frames, Masks

Noise = NDArray[np.float32]

REACH = 2
"""Radius of the lens blur, in pixels. Farther than this from a border, a surface looks the same in every frame."""

GAIN = 4.5
"""Contrast of the texture: one standard deviation of the blurred noise is 0.36 of the way between its two colours."""


@dataclass(frozen=True)
class HiddenScene:
    """One clip of the camouflage world.

    Parameters
    ----------
    camouflaged
        Whether the objects have the background's colours.
    shapes
        The shape of each object, bool `(2r + 1, 2r + 1)`; the last object is in front.
    places
        The centre of each object in every frame and in the frame that would follow, pixels right and down, int64
        `(T + 1, objects, 2)`.
    pan
        How far the background moves from a frame to the next, pixels right and down, int64 `(2,)`.
    colours
        The two colours between which the texture varies, for the background and for each object, 0 to 255,
        `(1 + objects, 2, 3)`.
    noise
        Seed of the textures.
    size
        Height and width of the frames.
    """

    camouflaged: bool
    shapes: tuple[NDArray[np.bool_], ...]
    places: NDArray[np.int64]
    pan: NDArray[np.int64]
    colours: NDArray[np.float32]
    noise: int
    size: int

    @property
    def label(self) -> str:
        """`"camouflaged"` or `"visible"`."""
        return "camouflaged" if self.camouflaged else "visible"

    def render(self, following: bool = False) -> Frames:
        """Draw the frames, uint8 `(T, size, size, 3)`, and on request the frame that would follow, `(T + 1, …)`."""
        last = len(self.places) if following else len(self.places) - 1
        noise, surfaces = self._noise()[:last], self._surfaces()[:last]
        texture = np.clip(0.5 + GAIN * _blurred(noise), 0, 1)[..., None]
        if self.camouflaged:
            first, second = self.colours[0]
        else:
            first, second = np.moveaxis(self.colours[_inner(surfaces)], 3, 0)
        video: Frames = np.rint(first + texture * (second - first)).astype(np.uint8)
        return video

    def masks(self) -> Masks:
        """Return the segmentation masks, uint8 `(T, size, size)`: 0 background, 1 onwards the objects."""
        return _inner(self._surfaces()[:-1])

    def flow(self) -> Flow:
        """Return the exact flow to the next frame, pixels right and down, float32 `(T, size, size, 2)`."""
        masks, objects = self.masks(), np.diff(self.places, axis=0)
        ground = np.broadcast_to(self.pan, (len(objects), 1, 2))
        steps = np.concatenate([ground, objects], axis=1).astype(np.float32)
        moved: Flow = steps[np.arange(len(masks))[:, None, None], masks]
        return moved

    def _noise(self) -> Noise:
        """Return the objects' noise over the background's, in the whole field of the lens, `(T + 1, side, side)`."""
        rng = np.random.default_rng(self.noise)
        steps, side = len(self.places) - 1, self.size + 2 * REACH
        width, height = side + np.abs(self.pan) * steps
        ground = _draw(rng, height, width)
        lefts, tops = (np.maximum(self.pan, 0) * steps - self.pan * np.arange(steps + 1)[:, None]).T
        noise = np.stack([ground[top : top + side, left : left + side] for left, top in zip(lefts, tops, strict=True)])
        self._paste([_draw(rng, *shape.shape) for shape in self.shapes], noise)
        return noise

    def _surfaces(self) -> Masks:
        """Return 0 for background and numbers for objects, in the whole field of the lens, `(T + 1, side, side)`."""
        side = self.size + 2 * REACH
        surfaces = np.zeros((len(self.places), side, side), np.uint8)
        self._paste([np.full(shape.shape, k, np.uint8) for k, shape in enumerate(self.shapes, 1)], surfaces)
        return surfaces

    def _paste(self, patches: Sequence[NDArray[Any]], images: NDArray[Any]) -> None:
        """Paste a patch at the place of each object into every image, the last patch in front."""
        for image, middles in zip(images, self.places + REACH, strict=True):
            for shape, patch, (x, y) in zip(self.shapes, patches, middles.tolist(), strict=True):
                (rows, of_rows), (columns, of_columns) = (_overlap(at, len(shape), len(image)) for at in (y, x))
                np.copyto(image[rows, columns], patch[of_rows, of_columns], where=shape[of_rows, of_columns])


def _draw(rng: np.random.Generator, height: int, width: int) -> Noise:
    """Draw every pixel independently, from −0.5 to 0.5."""
    drawn: Noise = rng.random((height, width), np.float32) - np.float32(0.5)
    return drawn


def _overlap(middle: int, length: int, side: int) -> tuple[slice, slice]:
    """Return which part of a line of `side` pixels an object covers, and which part of the object that is."""
    low = middle - length // 2
    start, stop = (min(max(end, 0), side) for end in (low, low + length))
    return slice(start, stop), slice(start - low, stop - low)


def _inner(images: Masks) -> Masks:
    """Crop the field of the lens to the frame."""
    return images[:, REACH:-REACH, REACH:-REACH]


def _blurred(noise: Noise) -> Noise:
    """Blur with the weights 1, 2, 1 in both directions, twice; loses `REACH` pixels on every side."""
    for _ in range(REACH):
        noise = noise[:, :-2] + 2 * noise[:, 1:-1] + noise[:, 2:]
        noise = noise[:, :, :-2] + 2 * noise[:, :, 1:-1] + noise[:, :, 2:]
        noise /= 16
    return noise
