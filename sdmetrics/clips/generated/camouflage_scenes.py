"""What the clips of the camouflage world show: how many objects, where they go, and whether a frame shows them.

Objects wander about their homes in whole-pixel steps that are never those of the ground, so that there is always
motion to see. What a variant does not speak of stays: a visible clip is the camouflaged one with objects in other
colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.generated.hidden_objects import HiddenScene
from sdmetrics.errors import InputError

Points = NDArray[np.float64]
Pixels = NDArray[np.int64]

MOST_OBJECTS = 4
SMALLEST, LARGEST = 0.2, 0.3
"""How far an object's outline is from its middle, in frame widths; several objects share the area of one."""

RIPPLES = np.arange(1, 6)[:, None, None]
"""The waves along an outline, per turn."""


@dataclass(frozen=True)
class CamouflageVariant:
    """What a camouflage world is like.

    Parameters
    ----------
    camouflaged
        Share of the clips whose objects have the ground's own texture; in the others they have other colours.
    objects
        How many objects there are, 1 to 4. The one with the highest number is in front.
    occlusion
        How much they cover each other: at 0 each has a place of its own, at 1 all wander about one point.
    camera
        How far the picture moves from a frame to the next, in pixels; not more than `speed`, or objects would be left
        behind.
    speed
        How far an object moves over the ground from a frame to the next, in pixels. Both are met within half a pixel,
        for steps are whole pixels.
    centred
        How close to the frame's middle objects are: at 0 they are anywhere, at 1 as close as their places allow.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> CamouflageVariant(objects=5)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: a camouflage world's objects is 5; allowed: 1 to 4
    """

    camouflaged: float = 1.0
    objects: int = 1
    occlusion: float = 0.0
    camera: float = 1.0
    speed: float = 2.0
    centred: float = 0.0

    def __post_init__(self) -> None:
        for name, value, lowest, highest in (
            ("camouflaged", self.camouflaged, 0, 1), ("objects", self.objects, 1, MOST_OBJECTS),
            ("occlusion", self.occlusion, 0, 1), ("speed", self.speed, 1, 8), ("camera", self.camera, 0, self.speed),
            ("centred", self.centred, 0, 1),
        ):  # fmt: skip
            if not lowest <= value <= highest:
                limit = f"{highest:g}, the objects' speed" if name == "camera" else f"{highest:g}"
                raise InputError(f"a camouflage world's {name} is {value}; allowed: {lowest} to {limit}")
        if not isinstance(self.objects, int | np.integer):
            raise InputError(f"a camouflage world's objects is {self.objects}; allowed: a whole number")

    @property
    def smallest(self) -> int:
        """The smallest frame in which the objects have room to move, in pixels."""
        step = self.speed + 1
        if self.objects == 1:
            return max(16, math.ceil(4 * step))
        # The more objects, the more often would homes drawn at random be too close to each other.
        apart = 2 + 0.3 * self.objects
        return math.ceil((apart * (step + 1) + 2 * step) / (1 - apart * LARGEST / math.sqrt(self.objects)))


HIDDEN = CamouflageVariant()
"""One camouflaged object, while the camera pans."""


def hidden_scene(index: int, frames: int, size: int, seed: int = 0, variant: CamouflageVariant = HIDDEN) -> HiddenScene:
    """Return what clip `index` of the camouflage world `seed` shows: always the same.

    Examples
    --------
    >>> hidden_scene(3, frames=2, size=48).masks().shape
    (2, 48, 48)
    """
    rng = np.random.default_rng([seed, index])
    radii = rng.uniform(SMALLEST, LARGEST, variant.objects) * size / math.sqrt(variant.objects)
    shapes = tuple(_outline(rng, radius) for radius in radii)
    colours = _colours(rng, variant.objects)
    noise = int(rng.integers(2**63))
    camouflaged = bool(rng.random() < variant.camouflaged)
    pans = _steps(variant.camera)
    pan = pans[int(rng.random() * len(pans))]
    homes, ways = _homes(rng, radii, size, variant)
    # The first steps differ, or objects might go the same way as if they were one.
    firsts = rng.permutation(_steps(variant.speed))
    walks = [
        _walk(walker, home, way, pan, np.roll(firsts, k, axis=0), frames)
        for k, (walker, home, way) in enumerate(zip(rng.spawn(variant.objects), homes, ways, strict=True))
    ]
    return HiddenScene(camouflaged, shapes, np.stack(walks, axis=1), pan, colours, noise, size)


def _homes(rng: np.random.Generator, radii: Points, size: int, variant: CamouflageVariant) -> tuple[Points, Points]:
    """Draw the point that each object wanders about, `(objects, 2)`, and how far away it goes, `(objects,)`."""
    ways = np.maximum(radii / 3, variant.speed + 1)
    first, second = np.triu_indices(variant.objects, 1)
    # A pixel stays free around each, for places and steps are rounded.
    apart = (radii + ways + 1)[first] + (radii + ways + 1)[second]
    closest = np.inf
    while closest > 1:
        homes = rng.uniform(ways[:, None], size - ways[:, None], (variant.objects, 2))
        closest = float(np.max(apart / np.hypot(*(homes[first] - homes[second]).T), initial=0))
    homes = size / 2 + max(1 - variant.centred, closest) * (homes - size / 2)
    # Those that share a home go far enough to come out from behind each other.
    ways += variant.occlusion * (np.maximum(radii.mean(), ways) - ways)
    homes += variant.occlusion * (np.clip(homes[0], ways.max(), size - ways.max()) - homes)
    return homes, ways


def _steps(length: float) -> Pixels:
    """Return the steps of whole pixels that are as long as asked for, within half a pixel, `(steps, 2)`."""
    reach = np.arange(-math.ceil(length) - 1, math.ceil(length) + 2)
    steps = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    close: Pixels = steps[np.abs(np.hypot(*steps.T) - length) <= 0.5]
    return close


def _walk(rng: np.random.Generator, home: Points, way: float, pan: Pixels, steps: Pixels, frames: int) -> Pixels:
    """Move an object straight on until it would get too far away from home, then any other way; `(frames + 1, 2)`."""
    angle, share = 2 * np.pi * rng.random(), np.sqrt(rng.random())
    places = [np.rint(home + way * share * np.array([np.cos(angle), np.sin(angle)])).astype(np.int64)]
    step = steps[0]
    for _ in range(frames):
        panned = places[-1] + pan
        if np.hypot(*(panned + step - home)) > way:
            distances = np.hypot(*(panned + steps - home).T)
            allowed = np.flatnonzero(distances <= max(way, distances.min()))
            step = steps[rng.choice(allowed)]
        places.append(panned + step)
    return np.stack(places)


def _outline(rng: np.random.Generator, radius: float) -> NDArray[np.bool_]:
    """Draw a smooth shape whose farthest point from its middle is `radius` away."""
    height, phase = (rng.uniform(0, most, RIPPLES.shape) for most in (0.4, 2 * np.pi))

    def distance(angle: Points) -> Points:
        return np.asarray(1 + (height / RIPPLES * np.cos(RIPPLES * angle + phase)).sum(axis=0))

    reach = np.arange(-math.floor(radius), math.floor(radius) + 1)
    right, down = np.meshgrid(reach, reach)
    farthest = distance(np.linspace(0, 2 * np.pi, 90)[None]).max()
    inside: NDArray[np.bool_] = np.hypot(right, down) <= radius / farthest * distance(np.arctan2(down, right))
    return inside


def _colours(rng: np.random.Generator, objects: int) -> NDArray[np.float32]:
    """Draw the two colours of the ground and of every object: a dark ground has bright objects, or the other way."""
    level = np.where(np.arange(1 + objects) == 0, 70, 185)[:, None, None]
    if rng.random() < 0.5:
        level = 255 - level
    contrast = rng.uniform(25, 40, (1 + objects, 1, 1)) * np.array([[-1], [1]])
    colours: NDArray[np.float64] = level + contrast + rng.uniform(-30, 30, (1 + objects, 2, 3))
    return colours.astype(np.float32)
