"""The camouflage world: generated clips whose objects have the background's texture, so only motion reveals them.

A model that finds the objects has to be dynamic. In visible clips the objects have other colours, and one frame is
enough. `sdmetrics.clips.generated.hidden_objects` explains why a single frame carries no information about a hidden
object. Masks and flow are exact.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Flow, Frames, Masks
from sdmetrics.clips.generated.camouflage_scenes import HIDDEN, CamouflageVariant, hidden_scene
from sdmetrics.clips.generated.hidden_objects import HiddenScene
from sdmetrics.clips.generated.limits import check_world
from sdmetrics.errors import InputError

__all__ = ["HIDDEN", "CamouflageBatch", "CamouflageVariant", "HiddenScene", "camouflage_batch", "camouflage_clips"]

FlowKind = Literal["exact", "estimated"]


class CamouflageBatch(NamedTuple):
    """The clips of a camouflage world as arrays.

    Parameters
    ----------
    frames
        uint8 `(n, frames, size, size, 3)`.
    flow
        float32 `(n, frames, size, size, 2)`, pixels right and down to the next frame.
    masks
        Segmentation masks, uint8 `(n, frames, size, size)`: 0 background, 1 onwards the objects.
    camouflaged
        bool `(n,)`: whether the objects have the background's texture.
    """

    frames: Frames
    flow: Flow
    masks: Masks
    camouflaged: NDArray[np.bool_]


def camouflage_clips(
    n: int,
    *,
    frames: int = 8,
    size: int = 48,
    seed: int = 0,
    variant: CamouflageVariant = HIDDEN,
    flow: FlowKind = "exact",
) -> list[Clip]:
    """Return the first `n` clips of the camouflage world `seed`, each drawn when it is read.

    Parameters
    ----------
    n
        Number of clips.
    frames, size
        The clips are `(frames, size, size, 3)`.
    seed
        Seed of the world; every seed gives other clips.
    variant
        Number and speed of the objects, share of camouflaged clips, and so on.
    flow
        `"exact"`: the true motion of what is seen in each pixel. `"estimated"`: the flow that
        `sdmetrics.clips.flow.estimate.estimate_flow` estimates from the frames.

    Returns
    -------
    list of Clip
        Clips named `camouflage-000000` onwards, labelled `"camouflaged"` or `"visible"`, with masks and flow; the flow
        of the last frame leads to the frame that would follow.

    Raises
    ------
    InputError
        If `n` or `seed` is negative, `frames` is below 1, the frames are too small for the objects to move in, or
        `flow` is neither `"exact"` nor `"estimated"`.

    Examples
    --------
    >>> clip = camouflage_clips(4)[3]
    >>> clip.id, clip.label, clip.frames.shape, clip.flow.shape, clip.masks.shape
    ('camouflage-000003', 'camouflaged', (8, 48, 48, 3), (8, 48, 48, 2), (8, 48, 48))
    """
    room = f" for {variant.objects} objects of speed {variant.speed:g}"
    check_world("camouflage world", n, frames, size, seed, least_frames=1, least_size=variant.smallest, why=room)
    if flow not in ("exact", "estimated"):
        raise InputError(f"flow is {flow!r}; allowed: 'exact', 'estimated'")
    origin: str = flow
    if flow == "estimated":
        from sdmetrics.clips.flow.estimate import estimator

        origin = estimator()
    scenes = [hidden_scene(k, frames, size, seed, variant) for k in range(n)]
    return [
        Clip(
            id=f"camouflage-{k:06d}",
            load=scene.render,
            label=scene.label,
            stamp=f"camouflage seed={seed} frames={frames} size={size} flow: {origin}, {variant}",
            load_flow=scene.flow if flow == "exact" else partial(_estimated, scene),
            load_masks=scene.masks,
        )
        for k, scene in enumerate(scenes)
    ]


def camouflage_batch(
    n: int,
    *,
    frames: int = 8,
    size: int = 48,
    seed: int = 0,
    variant: CamouflageVariant = HIDDEN,
    flow: FlowKind = "exact",
) -> CamouflageBatch:
    """Return the clips of `camouflage_clips` as arrays, for training and tests.

    Examples
    --------
    >>> video, flow, masks, camouflaged = camouflage_batch(5, frames=2, variant=CamouflageVariant(camouflaged=0.5))
    >>> video.shape, flow.shape, masks.shape, camouflaged.shape
    ((5, 2, 48, 48, 3), (5, 2, 48, 48, 2), (5, 2, 48, 48), (5,))
    """
    clips = camouflage_clips(n, frames=frames, size=size, seed=seed, variant=variant, flow=flow)
    shape = (n, frames, size, size)
    batch = CamouflageBatch(
        np.empty((*shape, 3), np.uint8),
        np.empty((*shape, 2), np.float32),
        np.empty(shape, np.uint8),
        np.array([clip.label == "camouflaged" for clip in clips], np.bool_),
    )
    for k, clip in enumerate(clips):
        batch.frames[k], batch.flow[k], batch.masks[k] = clip.frames, clip.flow, clip.masks
    return batch


def _estimated(scene: HiddenScene) -> Flow:
    """Return the flow estimated from every frame to the next."""
    from sdmetrics.clips.flow.estimate import estimate_flow

    frames = scene.render(following=True)
    return estimate_flow(frames[:-1], frames[1:])
