"""Clip: one sampled stretch of video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

Frames = NDArray[np.uint8]
"""RGB frames, uint8 `(T, H, W, 3)`."""


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
        Tells one content from another (a file's size, say); enters the run's fingerprint.

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

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a clip's id is empty; give every clip a name of its own")
        if not self.video:
            object.__setattr__(self, "video", self.id)

    @property
    def frames(self) -> Frames:
        """The frames, uint8 `(T, H, W, 3)`; decodes anew at every call."""
        return checked(self.load(), self.id)


def checked(frames: Frames, clip_id: str) -> Frames:
    """Return `frames` if they are uint8 `(T, H, W, 3)`, else raise an `InputError` that names the clip."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(
            f"clip {clip_id!r} has {frames.dtype} frames of shape {frames.shape}; "
            "needed: uint8 of shape (T, H, W, 3), RGB, at least one frame"
        )
    return frames
