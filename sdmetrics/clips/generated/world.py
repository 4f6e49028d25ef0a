"""The known-answer world: generated clips whose motion and appearance are independent of each other.

A model that is trained to classify the motion has to be dynamic, a model that is trained to classify the texture has
to be static, and the metric must show it. `sdmetrics.clips.generated.world_scenes` defines the content of the clips. A
`Variant` makes the world harder: a textured background, a camera that pans, labels that are the order of two motions,
rare labels, and motion labels that the appearance gives away.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.generated.limits import check_world
from sdmetrics.clips.generated.world_scenes import APPEARANCES, MOTIONS, ORDERS, PLAIN, Scene, Variant, scene

__all__ = ["APPEARANCES", "MOTIONS", "ORDERS", "PLAIN", "Scene", "Variant", "scene", "world_batch", "world_clips"]


def world_clips(n: int, *, frames: int = 8, size: int = 40, seed: int = 0, variant: Variant = PLAIN) -> list[Clip]:
    """Return the first `n` clips of the world `seed`, each drawn when its frames are read.

    Parameters
    ----------
    n
        Number of clips.
    frames, size
        The clips are `(frames, size, size, 3)`.
    seed
        Seed of the world; every seed gives other clips.
    variant
        Differences from the plain world.

    Returns
    -------
    list of Clip
        Clips named `world-000000` onwards, labelled `"motion/appearance"`.

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
    check_world("world", n, frames, size, seed, least_frames=2, least_size=8)
    scenes = [scene(k, seed, variant) for k in range(n)]
    differences = "" if variant == PLAIN else f" {variant}"
    return [
        Clip(
            id=f"world-{k:06d}",
            load=partial(s.render, frames, size),
            label=s.label,
            stamp=f"world seed={seed} frames={frames} size={size}{differences}",
        )
        for k, s in enumerate(scenes)
    ]


def world_batch(
    n: int, *, frames: int = 8, size: int = 40, seed: int = 0, variant: Variant = PLAIN
) -> tuple[Frames, NDArray[np.int64], NDArray[np.int64]]:
    """Return the frames and both labels of `world_clips` as arrays, for training and tests.

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
