"""Clip: one sampled stretch of video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

Frames = NDArray[np.uint8]
"""RGB frames, uint8 `(T, H, W, 3)`."""

Flow = NDArray[Any]
"""Optical flow to the next frame of the video: float32 `(T, H, W, 2)`, pixels right and down, or colour-coded uint8
`(T, H, W, 3)` (see `sdmetrics.clips.flow.colour.flow_to_rgb`)."""

Masks = NDArray[np.uint8]
"""Segmentation masks (annotations, not unit masks), uint8 `(T, h, w)`: 0 background, 1 to 254 objects, 255 void
(unlabelled)."""

VOID = 255
"""Value of void (unlabelled) pixels in segmentation masks."""


_NO_STYLES: Mapping[str, Callable[[], Frames]] = {}


def _no_styles() -> Mapping[str, Callable[[], Frames]]:
    """Return the one empty mapping that clips without styles share: there may be a million."""
    return _NO_STYLES


@dataclass(frozen=True, slots=True)
class Clip:
    """One sampled stretch of video, decoded only when its frames are read.

    Parameters
    ----------
    id
        Names the clip in reports; unique within a run. It seeds the clip's views.
    load
        Returns the frames, uint8 `(T, H, W, 3)`, RGB. Raises `InputError` if the clip cannot be decoded. It may have
        the attributes `looped` and `files`, see below.
    video
        The video it was cut from; all clips of a video belong to the same group of the jackknife. Default: `id`.
    label
        Its class label in the data set, if any.
    styled
        Loaders of pre-rendered frames by style name. If there are any, they replace the built-in styles.
    stamp
        Identifies the content of frames and flow, e.g. by the file's size and time of modification: a run is resumed
        only with clips of the same stamps. Clips without a stamp are identified by their ids only.
    load_flow
        Returns the optical flow from every frame to the next of the video, for models that read flow.
    load_masks
        Returns the segmentation mask of every frame, in the annotation's own size, for models that segment.
    mask_stamp
        Identifies the content of the masks.
    mask_ends
        The places in the clip of the video's first and last annotated frame, where they are known: `()` if it has
        neither.
    same_as
        The video whose content its own has, too: both belong to one group of the jackknife. Default: `video`.

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
    styled: Mapping[str, Callable[[], Frames]] = field(default_factory=_no_styles)
    stamp: str = ""
    load_flow: Callable[[], Flow] | None = None
    load_masks: Callable[[], Masks] | None = None
    mask_stamp: str = ""
    mask_ends: tuple[int, ...] | None = None
    same_as: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a clip's id is empty; pass a unique id for every clip")
        if not self.video:
            object.__setattr__(self, "video", self.id)

    @property
    def content(self) -> str:
        """The video whose name decides the group of the jackknife: its own, or the first one of the same content."""
        return self.same_as or self.video

    @property
    def looped(self) -> bool:
        """Whether frames are repeated since the video is too short; known once the frames are loaded."""
        return bool(getattr(self.load, "looped", False))

    @property
    def files(self) -> Sequence[Path]:
        """What the video is read from, if that is known: the file, or its frames in order.

        Videos whose files have the same content are in one group when clips are listed.
        """
        files: Sequence[Path] = getattr(self.load, "files", ())
        return files

    @property
    def frames(self) -> Frames:
        """The frames, uint8 `(T, H, W, 3)`, decoded again on every access."""
        return checked(self.load(), self.id)

    @property
    def flow(self) -> Flow:
        """The optical flow, float32 `(T, H, W, 2)` or colour-coded uint8 `(T, H, W, 3)`, loaded again on every access.

        Raises
        ------
        InputError
            If the clip has no flow, or the flow is not such an array.
        """
        if self.load_flow is None:
            remedy = (
                "pass a folder of flow, or put the unstyled videos, from which flow is estimated, in a folder "
                "'unstyled' beside the styles"
                if self.styled
                else "pass load_flow, or open the clips with open_clips, which estimates flow"
            )
            raise InputError(f"clip {self.id!r} has no optical flow, which the model reads; {remedy}")
        flow = self.load_flow()
        kinds = {(np.dtype(np.float32), 2), (np.dtype(np.uint8), 3)}
        if flow.ndim != 4 or (flow.dtype, flow.shape[-1]) not in kinds or 0 in flow.shape:
            raise InputError(
                f"clip {self.id!r} has flow of {flow.dtype} and shape {flow.shape}; expected float32 (T, H, W, 2), "
                "pixels right and down, or colour-coded uint8 (T, H, W, 3)"
            )
        if not np.isfinite(flow).all():
            raise InputError(f"clip {self.id!r} has flow that is not finite; fix the flow or leave the clip out")
        return flow

    @property
    def masks(self) -> Masks:
        """The segmentation masks, uint8 `(T, h, w)`, loaded again on every access.

        Raises
        ------
        InputError
            If the clip has no masks, or the masks are not such an array.
        """
        if self.load_masks is None:
            raise InputError(
                f"clip {self.id!r} has no masks to score a segmentation with; open an annotated data set, e.g. "
                "DAVIS, or pass load_masks"
            )
        masks = self.load_masks()
        if masks.dtype != np.uint8 or masks.ndim != 3 or 0 in masks.shape:
            raise InputError(
                f"clip {self.id!r} has {masks.dtype} masks of shape {masks.shape}; expected uint8 of shape (T, h, w): "
                "0 background, 1 to 254 objects, 255 void (unlabelled)"
            )
        return masks


def checked(frames: Frames, clip_id: str) -> Frames:
    """Return `frames` if they are uint8 `(T, H, W, 3)`; otherwise raise an `InputError` that names the clip."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(
            f"clip {clip_id!r} has {frames.dtype} frames of shape {frames.shape}; "
            "expected uint8 of shape (T, H, W, 3), RGB, at least one frame"
        )
    return frames


def listed_clips(clips: Iterable[Clip]) -> list[Clip]:
    """Return clips as a list.

    Raises
    ------
    InputError
        If they are a path, or anything else is among them.

    Examples
    --------
    >>> listed_clips("videos/")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: clips is the path 'videos/'; open it first: open_clips('videos/', runner)
    """
    if isinstance(clips, str | Path):
        path = str(clips)
        raise InputError(f"clips is the path {path!r}; open it first: open_clips({path!r}, runner)")
    if not isinstance(clips, Iterable):
        raise InputError(f"clips is a {type(clips).__name__}; expected the clips of open_clips, or a list of Clip")
    listed = list(clips)
    for clip in listed:
        if not isinstance(clip, Clip):
            raise InputError(f"clips has a {type(clip).__name__} in it; expected only Clip, as open_clips returns")
    return listed
