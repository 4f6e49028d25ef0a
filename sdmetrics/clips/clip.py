"""Clip: one sampled stretch of video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

Frames = NDArray[np.uint8]
"""RGB frames, uint8 `(T, H, W, 3)`."""

Flow = NDArray[Any]
"""Optical flow to the next frame of the video: float32 `(T, H, W, 2)`, pixels right and down; or coded by colour, uint8
`(T, H, W, 3)`, see `sdmetrics.clips.flow.colour.flow_to_rgb`."""

Masks = NDArray[np.uint8]
"""What is annotated, uint8 `(T, h, w)`: 0 background, 1 to 254 objects, 255 nobody knows."""

VOID = 255
"""In masks: not annotated."""


@dataclass(frozen=True)
class Clip:
    """One sampled stretch of video, decoded only when its frames are asked for.

    Parameters
    ----------
    id
        Names the clip in reports; unique within a run. It seeds the clip's views.
    load
        Returns the frames, uint8 `(T, H, W, 3)`, RGB. Raises `InputError` if the clip cannot be decoded.
    video
        The video it was cut from; clips of one video stay in one group of the jackknife. Default: `id`.
    label
        The class that the data set gives it, if any.
    styled
        Renderings that were made beforehand, by style name; where given they stand in for the built-in styles.
    stamp
        Tells one content from another (a file's size, say, and where its flow is from); enters the run's fingerprint.
    load_flow
        Returns the optical flow of every frame to the next of the video, for models that read it.
    load_masks
        Returns what is annotated in every frame, in the annotation's own size, for models that segment.

    Examples
    --------
    >>> import numpy as np
    >>> clip = Clip("wave", lambda: np.zeros((8, 32, 32, 3), np.uint8))
    >>> clip.video, clip.frames.shape
    ('wave', (8, 32, 32, 3))
    """

    id: str
    load: Callable[[], Frames]
    video: str = ""
    label: str | None = None
    styled: Mapping[str, Callable[[], Frames]] = field(default_factory=dict)
    stamp: str = ""
    load_flow: Callable[[], Flow] | None = None
    load_masks: Callable[[], Masks] | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a clip's id is empty; give every clip a name of its own")
        if not self.video:
            object.__setattr__(self, "video", self.id)

    @property
    def frames(self) -> Frames:
        """The frames, uint8 `(T, H, W, 3)`; decodes anew at every call."""
        return checked(self.load(), self.id)

    @property
    def flow(self) -> Flow:
        """The optical flow, float32 `(T, H, W, 2)` or coded uint8 `(T, H, W, 3)`; loads anew at every call.

        Raises
        ------
        InputError
            If the clip has none, or one that is not of this kind.
        """
        if self.load_flow is None:
            instead = (
                "a folder with it, or put the unstyled videos, from which it is estimated, in a folder 'unstyled' "
                "beside the styles"
                if self.styled
                else "it load_flow, or open the clips with open_clips, which estimates it"
            )
            raise InputError(f"clip {self.id!r} has no optical flow, which the model reads; give {instead}")
        flow = self.load_flow()
        kinds = {(np.dtype(np.float32), 2), (np.dtype(np.uint8), 3)}
        if flow.ndim != 4 or (flow.dtype, flow.shape[-1]) not in kinds or 0 in flow.shape:
            raise InputError(
                f"clip {self.id!r} has flow of {flow.dtype} and shape {flow.shape}; needed: float32 (T, H, W, 2), "
                "pixels right and down, or colour-coded uint8 (T, H, W, 3)"
            )
        if not np.isfinite(flow).all():
            raise InputError(f"clip {self.id!r} has flow that is not finite; mend it or leave the clip out")
        return flow

    @property
    def masks(self) -> Masks:
        """What is annotated, uint8 `(T, h, w)`; loads anew at every call.

        Raises
        ------
        InputError
            If the clip has no masks, or ones that are not of this kind.
        """
        if self.load_masks is None:
            raise InputError(
                f"clip {self.id!r} has no masks to score a segmentation with; open an annotated data set, such as "
                "DAVIS, or give load_masks"
            )
        masks = self.load_masks()
        if masks.dtype != np.uint8 or masks.ndim != 3 or 0 in masks.shape:
            raise InputError(
                f"clip {self.id!r} has {masks.dtype} masks of shape {masks.shape}; needed: uint8 of shape (T, h, w): 0 "
                "background, 1 to 254 objects, 255 not annotated"
            )
        return masks


def checked(frames: Frames, clip_id: str) -> Frames:
    """Return `frames` if they are uint8 `(T, H, W, 3)`, else raise an `InputError` that names the clip."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(
            f"clip {clip_id!r} has {frames.dtype} frames of shape {frames.shape}; "
            "needed: uint8 of shape (T, H, W, 3), RGB, at least one frame"
        )
    return frames
