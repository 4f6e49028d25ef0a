"""The known-answer world: generated clips whose motion and appearance are independent of each other.

A textured object moves over a plain background. A model that is trained to name the motion has to be dynamic,
a model that is trained to name the texture has to be static: the measure must say so.

One frame tells nothing about the motion. A scene has four properties that can change (see `MOTIONS`): the
moving one runs through its range in equal steps, the others rest at a random point of the same range, so
that a frame drawn at random from a clip has the same distribution under every motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.errors import InputError

Plane = NDArray[np.floating[Any]]

MOTIONS = ("right", "left", "down", "up", "grow", "shrink", "clockwise", "counterclockwise")
"""The motion labels. Each two share a property (x, y, size, angle) and differ in the direction of time."""


def _pattern(wave: Plane) -> Plane:
    """Turn a wave in −1…1 into a pattern of 0 and 1 with soft edges."""
    pattern: Plane = np.clip(0.5 + 2 * wave, 0, 1)
    return pattern


_TEXTURES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "plain": lambda u, _: np.ones_like(u),
    "stripes": lambda u, _: _pattern(np.sin(7 * u)),
    "checks": lambda u, v: _pattern(np.sin(7 * u) * np.sin(7 * v)),
    "dots": lambda u, v: _pattern(np.cos(9 * u) + np.cos(9 * v) - 0.8),
    "rings": lambda u, v: _pattern(np.cos(10 * np.hypot(u, v))),
    "rays": lambda u, v: _pattern(np.sin(5 * np.arctan2(v, u))),
    "cross": lambda u, v: _pattern(6 * (0.2 - np.minimum(np.abs(u), np.abs(v)))),
    "border": lambda u, v: _pattern(8 * (np.maximum(np.abs(u), np.abs(v) + 0.3) - 0.7)),
}
APPEARANCES = tuple(_TEXTURES)
"""The appearance labels: textures, functions of the object's own coordinates."""


@dataclass(frozen=True)
class Scene:
    """What one clip of the world shows: its two labels, and everything that is random besides.

    Parameters
    ----------
    motion, appearance
        Indices into `MOTIONS` and `APPEARANCES`, independent and uniform.
    start
        Per property (x, y, size, angle) where in its range it rests, 0 to 1; for the moving one, how far
        into its first step it starts.
    reach
        Per property the range it runs through: fractions of the frame, log of the size, radians.
    middle
        Per property the middle of that range.
    colours
        RGB of the background, of the object and of its pattern, `(3, 3)`, 0 to 255.
    """

    motion: int
    appearance: int
    start: NDArray[np.float64]
    reach: NDArray[np.float64]
    middle: NDArray[np.float64]
    colours: NDArray[np.float64]

    @property
    def label(self) -> str:
        """Both labels, `"motion/appearance"`."""
        return f"{MOTIONS[self.motion]}/{APPEARANCES[self.appearance]}"

    def poses(self, frames: int) -> NDArray[np.float64]:
        """Return x, y, log size and angle of the object in every frame, `(frames, 4)`."""
        progress = np.tile(self.start, (frames, 1))
        moving, backwards = divmod(self.motion, 2)
        progress[:, moving] = (np.arange(frames) + self.start[moving]) / frames
        if backwards:
            progress[:, moving] = 1 - progress[:, moving]
        poses: NDArray[np.float64] = self.middle + self.reach * (progress - 0.5)
        return poses

    def render(self, frames: int, size: int) -> Frames:
        """Draw the scene, uint8 `(frames, size, size, 3)`."""
        x, y, log_size, angle = (p[:, None, None] for p in self.poses(frames).astype(np.float32).T)
        grid = (np.arange(size, dtype=np.float32) + 0.5) / size
        right, down, scale = grid - x, grid[:, None] - y, np.exp(log_size)
        u = (right * np.cos(angle) + down * np.sin(angle)) / scale
        v = (down * np.cos(angle) - right * np.sin(angle)) / scale
        to_edge = np.minimum(1 - np.abs(u), 0.7 - np.abs(v)) * scale * size
        inside = np.clip(to_edge + 0.5, 0, 1)[..., None]
        texture = _TEXTURES[APPEARANCES[self.appearance]](u, v)[..., None]
        background, paint, pattern = self.colours.astype(np.float32)
        painted = background + inside * (paint + texture * (pattern - paint) - background)
        video: Frames = np.rint(painted).astype(np.uint8)
        return video


def scene(index: int, seed: int = 0) -> Scene:
    """Return what clip `index` of the world `seed` shows: always the same.

    Examples
    --------
    >>> scene(3).label
    'grow/border'
    """
    rng = np.random.default_rng([seed, index])
    return Scene(
        motion=int(rng.integers(len(MOTIONS))),
        appearance=int(rng.integers(len(APPEARANCES))),
        start=rng.random(4),
        reach=rng.uniform([0.3, 0.3, 0.5, 1.6], [0.45, 0.45, 0.8, 2.6]),
        middle=rng.uniform([0.42, 0.42, np.log(0.3), 0], [0.58, 0.58, np.log(0.36), 2 * np.pi]),
        colours=rng.permutation([40, 128, 215])[:, None] + rng.uniform(-30, 30, (3, 3)),
    )


def world_clips(n: int, *, frames: int = 8, size: int = 40, seed: int = 0) -> list[Clip]:
    """Return the first `n` clips of the world `seed`, each drawn when its frames are asked for.

    Parameters
    ----------
    n
        Number of clips.
    frames, size
        The clips are `(frames, size, size, 3)`.
    seed
        Which world: other seeds, other clips.

    Returns
    -------
    list of Clip
        Named `world-000000` onwards, labelled `"motion/appearance"`.

    Raises
    ------
    InputError
        If `n` or `seed` is negative, or there are fewer than 2 frames or 8 pixels.

    Examples
    --------
    >>> clip = world_clips(4)[3]
    >>> clip.id, clip.frames.shape
    ('world-000003', (8, 40, 40, 3))
    """
    if n < 0 or seed < 0 or frames < 2 or size < 8:
        raise InputError(
            f"a world of {n} clips of {frames} frames and {size} pixels with seed {seed} cannot be drawn; "
            "allowed: no negative number or seed, at least 2 frames, at least 8 pixels"
        )
    scenes = [scene(k, seed) for k in range(n)]
    return [
        Clip(
            id=f"world-{k:06d}",
            load=partial(s.render, frames, size),
            label=s.label,
            stamp=f"world seed={seed} frames={frames} size={size}",
        )
        for k, s in enumerate(scenes)
    ]


def world_batch(
    n: int, *, frames: int = 8, size: int = 40, seed: int = 0
) -> tuple[Frames, NDArray[np.int64], NDArray[np.int64]]:
    """Return the frames and both labels of `world_clips`, as arrays to train on or test with.

    Returns
    -------
    frames
        uint8 `(n, frames, size, size, 3)`.
    motion, appearance
        int64 `(n,)`, indices into `MOTIONS` and `APPEARANCES`.

    Examples
    --------
    >>> video, motion, appearance = world_batch(5, size=16)
    >>> video.shape, motion.shape, appearance.shape
    ((5, 8, 16, 16, 3), (5,), (5,))
    """
    clips = world_clips(n, frames=frames, size=size, seed=seed)
    video = np.empty((n, frames, size, size, 3), np.uint8)
    for k, clip in enumerate(clips):
        video[k] = clip.frames
    scenes = [scene(k, seed) for k in range(n)]
    return (
        video,
        np.array([s.motion for s in scenes], np.int64),
        np.array([s.appearance for s in scenes], np.int64),
    )
