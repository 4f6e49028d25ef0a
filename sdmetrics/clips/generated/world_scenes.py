"""Scenes of the known-answer world: their content, their labels, and how they are drawn.

A textured object moves over a background. A single frame carries no information about the motion: a scene has four
properties that can change (see `MOTIONS`). The changing property runs through its range in equal steps, and the others
rest at a random point of the same range, so a frame drawn at random from a clip has the same distribution under every
motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.generated.limits import check_range

Plane = NDArray[np.floating[Any]]

MOTIONS = ("right", "left", "down", "up", "grow", "shrink", "clockwise", "counterclockwise")
"""The motion labels. Each pair of labels shares a property (x, y, size, angle) and differs in the direction of time."""

PROPERTIES = ("slide", "lift", "scale", "turn")
ORDERS = tuple(f"{first} then {second}" for first, second in permutations(PROPERTIES, 2))
"""The motion labels of an ordered world: which of two properties changes first, in any direction."""

WAVES = 3
"""Number of plane waves in a textured background."""


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
class Variant:
    """Settings of a world; the defaults are those of the plain world.

    Parameters
    ----------
    ordered
        Whether the motion label is one of `ORDERS` instead of `MOTIONS`: two properties change, one after the other,
        in random directions, so that the set of a clip's frames does not reveal which changed first.
    tail
        Exponent of Zipf's law over the motion labels: label k (from 1) has a weight of `k ** -tail`. 0: uniform.
    shortcut
        Share of the clips whose appearance is given by their motion (`motion % 8`); in all others it is independent.
    clutter
        Contrast of the background's texture, as a share of the value range.
    camera
        How far the camera pans during a clip, in frame widths, in a random direction.
    speed
        How far everything moves, as a share of the distance in the plain world.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> scenes = [scene(k, variant=Variant(shortcut=1.0)) for k in range(100)]
    >>> all(s.motion == s.appearance for s in scenes)
    True
    """

    ordered: bool = False
    tail: float = 0.0
    shortcut: float = 0.0
    clutter: float = 0.0
    camera: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        for name, value, highest in (
            ("tail", self.tail, 5.0), ("shortcut", self.shortcut, 1.0), ("clutter", self.clutter, 0.2),
            ("camera", self.camera, 0.5), ("speed", self.speed, 1.0),
        ):  # fmt: skip
            check_range(f"a world's {name}", value, 0, highest)

    @property
    def motions(self) -> tuple[str, ...]:
        """The motion labels."""
        return ORDERS if self.ordered else MOTIONS

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The probability of each motion label, `(labels,)`; sums to 1."""
        weights = np.arange(1.0, len(self.motions) + 1) ** -self.tail
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares


PLAIN = Variant()


class Move(NamedTuple):
    """A change of one property through its range, between two moments given as shares of the clip's length."""

    moving: int
    backwards: bool
    begin: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Scene:
    """The content of one clip of the world: its two labels and all its other random properties.

    Parameters
    ----------
    motion, appearance
        Indices into the world's motion labels and `APPEARANCES`.
    moves
        The changes, each with its time.
    start
        For each property (x, y, size, angle) the point of its range where it rests, 0 to 1; for the changing property,
        how far into its first step it starts.
    reach
        For each property the length of its range: fractions of the frame, log of the size, radians.
    middle
        For each property the middle of its range.
    colours
        RGB of the background, of the object and of its pattern, `(3, 3)`, 0 to 255.
    waves
        The background's texture: horizontal and vertical waves per frame width, and phase, of each wave, `(waves, 3)`.
    contrast
        Amplitude of that texture, 0 to 255.
    pan
        How far right and down the image moves during the clip, in frame widths, `(2,)`.
    motions
        The world's motion labels.
    """

    motion: int
    appearance: int
    moves: tuple[Move, ...]
    start: NDArray[np.float64]
    reach: NDArray[np.float64]
    middle: NDArray[np.float64]
    colours: NDArray[np.float64]
    waves: NDArray[np.float64]
    contrast: float
    pan: NDArray[np.float64]
    motions: tuple[str, ...]

    @property
    def label(self) -> str:
        """Both labels, `"motion/appearance"`."""
        return f"{self.motions[self.motion]}/{APPEARANCES[self.appearance]}"

    def poses(self, frames: int) -> NDArray[np.float64]:
        """Return x, y, log size and angle of the object in every frame, `(frames, 4)`."""
        progress = np.tile(self.start, (frames, 1))
        for move in self.moves:
            shares = (np.arange(frames) + self.start[move.moving]) / frames
            done = np.clip((shares - move.begin) / (move.end - move.begin), 0, 1)
            progress[:, move.moving] = 1 - done if move.backwards else done
        poses: NDArray[np.float64] = self.middle + self.reach * (progress - 0.5)
        poses[:, :2] += self.panned(frames)
        return poses

    def panned(self, frames: int) -> NDArray[np.float64]:
        """Return how far right and down the camera has moved the image in every frame, `(frames, 2)`."""
        middle_out: NDArray[np.float64] = np.linspace(-0.5, 0.5, frames)[:, None] * self.pan
        return middle_out

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
        background = background + self._ground(frames, grid)
        painted = background + inside * (paint + texture * (pattern - paint) - background)
        video: Frames = np.clip(np.rint(painted), 0, 255).astype(np.uint8)
        return video

    def _ground(self, frames: int, grid: Plane) -> Plane:
        """Return the background's texture relative to its colour, broadcastable to `(frames, size, size, 3)`."""
        if not self.contrast:
            return np.zeros(1, np.float32)
        right, down = self.panned(frames).astype(np.float32).T[:, :, None, None]
        ground = sum(
            np.cos(2 * np.pi * (across * (grid - right) + along * (grid[:, None] - down)) + phase)
            for across, along, phase in self.waves.astype(np.float32)
        )
        texture: Plane = np.float32(self.contrast / WAVES) * np.asarray(ground)[..., None]
        return texture


def scene(index: int, seed: int = 0, variant: Variant = PLAIN) -> Scene:
    """Return the scene of clip `index` of the world `seed`, the same at every call.

    Examples
    --------
    >>> scene(3).label
    'grow/border'
    """
    rng = np.random.default_rng([seed, index])
    motion = _draw_motion(rng, variant)
    appearance = int(rng.integers(len(APPEARANCES)))
    start = rng.random(4)
    reach = rng.uniform([0.3, 0.3, 0.5, 1.6], [0.45, 0.45, 0.8, 2.6])
    middle = rng.uniform([0.42, 0.42, np.log(0.3), 0], [0.58, 0.58, np.log(0.36), 2 * np.pi])
    colours = rng.permutation([40, 128, 215])[:, None] + rng.uniform(-30, 30, (3, 3))
    # These are drawn last, so that a plain world does not depend on them.
    backwards = rng.random(2) < 0.5
    heading = 2 * np.pi * rng.random()
    waves = rng.uniform([-4, -4, 0], [4, 4, 2 * np.pi], (WAVES, 3))
    given_away = rng.random() < variant.shortcut
    return Scene(
        motion=motion,
        appearance=motion % len(APPEARANCES) if given_away else appearance,
        moves=_moves(motion, backwards, variant),
        start=start,
        reach=variant.speed * reach,
        middle=middle,
        colours=colours,
        waves=waves,
        contrast=255 * variant.clutter,
        pan=variant.camera * np.array([np.cos(heading), np.sin(heading)]),
        motions=variant.motions,
    )


def _draw_motion(rng: np.random.Generator, variant: Variant) -> int:
    """Draw a motion label."""
    if variant.tail:
        return int(rng.choice(len(variant.motions), p=variant.frequencies))
    return int(rng.integers(len(variant.motions)))


def _moves(motion: int, backwards: NDArray[np.bool_], variant: Variant) -> tuple[Move, ...]:
    """Return the changes that a motion label stands for."""
    if not variant.ordered:
        return (Move(motion // 2, bool(motion % 2)),)
    first, second = list(permutations(range(len(PROPERTIES)), 2))[motion]
    return (Move(first, bool(backwards[0]), 0, 0.5), Move(second, bool(backwards[1]), 0.5, 1))
