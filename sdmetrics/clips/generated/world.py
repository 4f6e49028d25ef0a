"""The known-answer world: generated clips whose motion and appearance are independent of each other.

A model that is trained to name the motion has to be dynamic, a model that is trained to name the texture has to be
static: the measure must say so. `world_scenes` beside this file says what the clips show; a `Variant` makes the world
harder: a textured background, a camera that pans, labels that are the order of two motions, rare labels, and labels
that an appearance gives away.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.generated.world_scenes import APPEARANCES, MOTIONS, ORDERS, PLAIN, Scene, Variant, scene
from sdmetrics.errors import InputError

__all__ = ["APPEARANCES", "MOTIONS", "ORDERS", "PLAIN", "Scene", "Variant", "scene", "world_batch", "world_clips"]


def world_clips(n: int, *, frames: int = 8, size: int = 40, seed: int = 0, variant: Variant = PLAIN) -> list[Clip]:
    """Return the first `n` clips of the world `seed`, each drawn when its frames are asked for.

    Parameters
    ----------
    n
        Number of clips.
    frames, size
        The clips are `(frames, size, size, 3)`.
    seed
        Which world: other seeds, other clips.
    variant
        How it departs from the plain one.

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
    scenes = [scene(k, seed, variant) for k in range(n)]
    departs = "" if variant == PLAIN else f" {variant}"
    return [
        Clip(
            id=f"world-{k:06d}",
            load=partial(s.render, frames, size),
            label=s.label,
            stamp=f"world seed={seed} frames={frames} size={size}{departs}",
        )
        for k, s in enumerate(scenes)
    ]


def world_batch(
    n: int, *, frames: int = 8, size: int = 40, seed: int = 0, variant: Variant = PLAIN
) -> tuple[Frames, NDArray[np.int64], NDArray[np.int64]]:
    """Return the frames and both labels of `world_clips`, as arrays to train on or test with.

    Returns
    -------
    frames
        uint8 `(n, frames, size, size, 3)`.
    motion, appearance
        int64 `(n,)`, indices into `variant.motions` and `APPEARANCES`.

    Examples
    --------
    >>> video, motion, appearance = world_batch(5, size=16)
    >>> video.shape, motion.shape, appearance.shape
    ((5, 8, 16, 16, 3), (5,), (5,))
    """
    clips = world_clips(n, frames=frames, size=size, seed=seed, variant=variant)
    video = np.empty((n, frames, size, size, 3), np.uint8)
    for k, clip in enumerate(clips):
        video[k] = clip.frames
    scenes = [scene(k, seed, variant) for k in range(n)]
    return (
        video,
        np.array([s.motion for s in scenes], np.int64),
        np.array([s.appearance for s in scenes], np.int64),
    )
