"""Scenes of the camouflage world: number and paths of the objects, and whether a single frame shows them.

Objects wander around their homes in whole-pixel steps that always differ from those of the background, so motion is
always visible. A clip changes only in what its variant sets: a visible clip is the camouflaged clip with objects in
other colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.generated.hidden_objects import HiddenScene
from sdmetrics.clips.generated.limits import check_range
from sdmetrics.errors import InputError

Points = NDArray[np.float64]
Pixels = NDArray[np.int64]

MOST_OBJECTS = 4
SMALLEST, LARGEST = 0.2, 0.3
"""Range of an object's radius, in frame widths; several objects share the area of one."""

RIPPLES = np.arange(1, 6)[:, None, None]
"""Numbers of waves along an outline, per turn."""


@dataclass(frozen=True)
class CamouflageVariant:
    """Settings of a camouflage world.

    Parameters
    ----------
    camouflaged
        Share of the clips whose objects have the background's texture; in the others they have other colours.
    objects
        Number of objects, 1 to 4. The object with the highest number is in front.
    occlusion
        How much the objects cover each other: at 0 their places are separate, at 1 all wander around one point.
    camera
        How far the background moves from a frame to the next, in pixels; not more than `speed`, or objects would be
        left behind.
    speed
        How far an object moves relative to the background from a frame to the next, in pixels. As steps are whole
        pixels, `camera` and `speed` are met within half a pixel.
    centred
        How close the objects are to the frame's centre: at 0 they are anywhere, at 1 as close as their places allow.

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
            note = ", the objects' speed" if name == "camera" else ""
            check_range(f"a camouflage world's {name}", value, lowest, highest, note)
        if not isinstance(self.objects, int | np.integer):
            raise InputError(f"a camouflage world's objects is {self.objects}; expected a whole number")

    @property
    def smallest(self) -> int:
        """The side of the smallest frame in which the objects have room to move, in pixels."""
        step = self.speed + 1
        if self.objects == 1:
            return max(16, math.ceil(4 * step))
        # The more objects there are, the more often homes drawn at random would be too close to each other.
        apart = 2 + 0.3 * self.objects
        return math.ceil((apart * (step + 1) + 2 * step) / (1 - apart * LARGEST / math.sqrt(self.objects)))


HIDDEN = CamouflageVariant()
"""One camouflaged object, while the camera pans."""


def hidden_scene(index: int, frames: int, size: int, seed: int = 0, variant: CamouflageVariant = HIDDEN) -> HiddenScene:
    """Return the scene of clip `index` of the camouflage world `seed`, the same at every call.

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
    # The first steps differ, or objects might move together as if they were one.
    firsts = rng.permutation(_steps(variant.speed))
    walks = [
        _walk(walker, home, way, pan, np.roll(firsts, k, axis=0), frames)
        for k, (walker, home, way) in enumerate(zip(rng.spawn(variant.objects), homes, ways, strict=True))
    ]
    return HiddenScene(camouflaged, shapes, np.stack(walks, axis=1), pan, colours, noise, size)


def _homes(rng: np.random.Generator, radii: Points, size: int, variant: CamouflageVariant) -> tuple[Points, Points]:
    """Draw the home that each object wanders around, `(objects, 2)`, and its largest distance from it, `(objects,)`."""
    ways = np.maximum(radii / 3, variant.speed + 1)
    first, second = np.triu_indices(variant.objects, 1)
    # One pixel stays free around each object, as places and steps are rounded.
    apart = (radii + ways + 1)[first] + (radii + ways + 1)[second]
    closest = np.inf
    while closest > 1:
        homes = rng.uniform(ways[:, None], size - ways[:, None], (variant.objects, 2))
        closest = float(np.max(apart / np.hypot(*(homes[first] - homes[second]).T), initial=0))
    homes = size / 2 + max(1 - variant.centred, closest) * (homes - size / 2)
    # Objects that share a home go far enough to come out from behind each other.
    ways += variant.occlusion * (np.maximum(radii.mean(), ways) - ways)
    homes += variant.occlusion * (np.clip(homes[0], ways.max(), size - ways.max()) - homes)
    return homes, ways


def _steps(length: float) -> Pixels:
    """Return the whole-pixel steps of the given length, within half a pixel, `(steps, 2)`."""
    reach = np.arange(-math.ceil(length) - 1, math.ceil(length) + 2)
    steps = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    close: Pixels = steps[np.abs(np.hypot(*steps.T) - length) <= 0.5]
    return close


def _walk(rng: np.random.Generator, home: Points, way: float, pan: Pixels, steps: Pixels, frames: int) -> Pixels:
    """Move an object straight on until it would be too far from home, then in another direction; `(frames + 1, 2)`."""
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
    """Draw a smooth shape whose outline is at most `radius` away from its centre."""
    height, phase = (rng.uniform(0, most, RIPPLES.shape) for most in (0.4, 2 * np.pi))

    def distance(angle: Points) -> Points:
        return np.asarray(1 + (height / RIPPLES * np.cos(RIPPLES * angle + phase)).sum(axis=0))

    reach = np.arange(-math.floor(radius), math.floor(radius) + 1)
    right, down = np.meshgrid(reach, reach)
    farthest = distance(np.linspace(0, 2 * np.pi, 90)[None]).max()
    inside: NDArray[np.bool_] = np.hypot(right, down) <= radius / farthest * distance(np.arctan2(down, right))
    return inside


def _colours(rng: np.random.Generator, objects: int) -> NDArray[np.float32]:
    """Draw the two colours of the background and of every object: bright objects on dark ground or vice versa."""
    level = np.where(np.arange(1 + objects) == 0, 70, 185)[:, None, None]
    if rng.random() < 0.5:
        level = 255 - level
    contrast = rng.uniform(25, 40, (1 + objects, 1, 1)) * np.array([[-1], [1]])
    colours: NDArray[np.float64] = level + contrast + rng.uniform(-30, 30, (1 + objects, 2, 3))
    return colours.astype(np.float32)
