"""The camouflage world: generated clips whose objects have the ground's own texture and are seen by their motion alone.

A model that finds them has to be dynamic. In its visible clips the objects have other colours, and one frame is enough.
`hidden_objects` beside this file says what the clips show and why a frame tells nothing; masks and flow are exact.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Flow, Frames, Masks
from sdmetrics.clips.generated.camouflage_scenes import HIDDEN, CamouflageVariant, hidden_scene
from sdmetrics.clips.generated.hidden_objects import HiddenScene
from sdmetrics.errors import InputError

__all__ = ["HIDDEN", "CamouflageBatch", "CamouflageVariant", "HiddenScene", "camouflage_batch", "camouflage_clips"]

FlowKind = Literal["exact", "estimated"]


class CamouflageBatch(NamedTuple):
    """Clips as arrays.

    Parameters
    ----------
    frames
        uint8 `(n, frames, size, size, 3)`.
    flow
        float32 `(n, frames, size, size, 2)`, pixels right and down to the next frame.
    masks
        uint8 `(n, frames, size, size)`: 0 the ground, 1 onwards the objects.
    camouflaged
        bool `(n,)`.
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
    """Return the first `n` clips of the camouflage world `seed`, each drawn when it is asked for something.

    Parameters
    ----------
    n
        Number of clips.
    frames, size
        The clips are `(frames, size, size, 3)`.
    seed
        Which world: other seeds, other clips.
    variant
        How many objects, how fast, how many of the clips are camouflaged.
    flow
        `"exact"`: how far what is seen in a pixel moves. `"estimated"`: what `flow.estimate_flow` makes of the frames.

    Returns
    -------
    list of Clip
        Named `camouflage-000000` onwards, labelled `"camouflaged"` or `"visible"`, with masks and flow; the last
        frame's flow is to the frame that would follow.

    Raises
    ------
    InputError
        If `n` or `seed` is negative, there is no frame, the frames are too small for the objects to move in, or there
        is no such flow.

    Examples
    --------
    >>> clip = camouflage_clips(4)[3]
    >>> clip.id, clip.label, clip.frames.shape, clip.flow.shape, clip.masks.shape
    ('camouflage-000003', 'camouflaged', (8, 48, 48, 3), (8, 48, 48, 2), (8, 48, 48))
    """
    _check(n, frames, size, seed, variant, flow)
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
    """Return what `camouflage_clips` gives as arrays to train on or test with.

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


def _check(n: int, frames: int, size: int, seed: int, variant: CamouflageVariant, flow: str) -> None:
    """Refuse a world that cannot be drawn."""
    if n < 0 or seed < 0 or frames < 1 or size < variant.smallest:
        raise InputError(
            f"a camouflage world of {n} clips of {frames} frames and {size} pixels with seed {seed} cannot be drawn; "
            f"allowed: no negative number or seed, at least 1 frame, at least {variant.smallest} pixels for "
            f"{variant.objects} objects of speed {variant.speed:g}"
        )
    if flow not in ("exact", "estimated"):
        raise InputError(f"flow is {flow!r}; allowed: 'exact', 'estimated'")


def _estimated(scene: HiddenScene) -> Flow:
    """Return the flow that is estimated from every frame and its next."""
    from sdmetrics.clips.flow.estimate import estimate_flow

    frames = scene.render(following=True)
    return estimate_flow(frames[:-1], frames[1:])
