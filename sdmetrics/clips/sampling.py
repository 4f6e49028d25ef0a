"""Which frames are read: of a video for a clip, of a clip for a model input.

The paper samples a window of the video evenly (Sec. 4.1). For annotated images see `segmentation.stretches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, note
from sdmetrics.probes.inputs import ModelInput


@dataclass(frozen=True)
class ClipShape:
    """How many frames a clip has, how far apart they are in the video, and their `(height, width)` in pixels.

    Examples
    --------
    >>> slow = ModelInput("slow", frames=8, stride=8)
    >>> ClipShape.read_by([slow, ModelInput("fast", frames=32, stride=2)])
    ClipShape(frames=32, stride=2, size=(224, 224))
    """

    frames: int
    stride: int
    size: tuple[int, int]

    @classmethod
    def read_by(cls, inputs: Sequence[ModelInput], stride: int | None = None) -> ClipShape:
        """Return the shape of the clips that a model reads: that of its input with the most frames.

        `stride` replaces the model's own.
        """
        widest = max(inputs, key=lambda item: item.frames)
        return cls(widest.frames, stride or widest.stride, widest.size)


@dataclass(frozen=True)
class Window:
    """A stretch of `frames * stride` frames of a video, of which `frames` are read.

    Parameters
    ----------
    frames, stride
        Frames read, and the number of video frames that each represents.
    part, parts
        Which of how many windows of one video this is. A single window is centred; several are spread evenly from the
        beginning to the end.
    start, end
        The segment, in seconds from the first frame, outside which nothing is read. Default: the whole video.
    said
        What was printed about videos that are too short; the windows of a data set share it, to print it once.
        None says nothing.

    Examples
    --------
    >>> Window(frames=4, stride=8).indices(np.arange(100) / 25).tolist()
    [34, 44, 54, 65]
    """

    frames: int
    stride: int
    part: int = 0
    parts: int = 1
    start: float | None = None
    end: float | None = None
    said: set[str] | None = field(default_factory=set, repr=False, compare=False)

    def indices(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the `frames` indices to read of a video whose frames are shown at `seconds`, increasing.

        A window longer than its segment reads it in a cycle, as the paper's code does.

        Raises
        ------
        InputError
            If there is no frame in the segment.
        """
        seconds = seconds - seconds[:1]
        first = 0 if self.start is None else int(np.searchsorted(seconds, self.start))
        last = len(seconds) if self.end is None else int(np.searchsorted(seconds, self.end))
        length = last - first
        if length < 1:
            where = f"from {self.start or 0:g} s to {'the end' if self.end is None else f'{self.end:g} s'}"
            shown = (
                f"its {len(seconds)} frames are shown from 0 to {seconds[-1]:g} s" if len(seconds) else "it has none"
            )
            raise InputError(f"no frame is in the segment {where}: {shown}. Correct the segment's start and end")
        window = self.frames * self.stride
        self._say_repeats(length, window)
        room = max(length - window, 0)
        begin = room // 2 if self.parts == 1 else room * self.part // (self.parts - 1)
        spread = np.arange(self.frames) * (window - 1) // max(self.frames - 1, 1)
        return first + (begin + spread) % length

    def _say_repeats(self, length: int, window: int) -> None:
        """Say, once for all videos, that one is too short for its clips to show different frames."""
        if self.said is None:
            return
        if self.frames > 1 and length < window and "cycle" not in self.said:
            self.said.add("cycle")
            alike = f", and its {self.parts} clips show the same frames" if self.parts > 1 else ""
            note(
                f"a video of {length} frames is shorter than the {window} frames that a clip spans, so its frames are "
                f"repeated in a cycle{alike}; other short videos are repeated, too. A smaller stride avoids it"
            )
        elif window <= length < window * self.parts and "overlap" not in self.said:
            self.said.add("overlap")
            note(
                f"a video of {length} frames is shorter than its {self.parts} clips of {window} frames, so they "
                "overlap; those of other short videos do, too. Fewer clips per video avoid it"
            )


@dataclass(frozen=True)
class Neighbours(Window):
    """The frames of a window, each with the next frame of the video: the input of optical flow estimation.

    The last frame of the video has no next frame; it is replaced by the frame before it.

    Examples
    --------
    >>> Neighbours(frames=2, stride=4).indices(np.arange(8) / 25).tolist()
    [0, 1, 6, 7]
    """

    def indices(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the indices to read, `(2 * frames,)`; see `Window.indices`.

        Raises
        ------
        InputError
            As `Window.indices`, and if the video has a single frame.
        """
        first = np.minimum(super().indices(seconds), len(seconds) - 2)
        if len(seconds) < 2:
            raise InputError("the video has a single frame, so it has no optical flow; use a longer one, or pass flow")
        return np.stack([first, first + 1], axis=1).ravel()


def spread_windows(shape: ClipShape, clips_per_video: int | None) -> list[Window]:
    """Return the windows of the clips of one video; `None` stands for one.

    Examples
    --------
    >>> [window.part for window in spread_windows(ClipShape(8, 2, (224, 224)), 3)]
    [0, 1, 2]
    """
    count = clips_per_video or 1
    said: set[str] = set()
    return [Window(shape.frames, shape.stride, part, count, said=said) for part in range(count)]


def following(chosen: Sequence[int], images: int) -> NDArray[np.int64]:
    """Return for each chosen image the next of the video; for the last image the one before it.

    Examples
    --------
    >>> following([0, 4], images=5).tolist()
    [1, 3]
    """
    first = np.asarray(chosen, np.int64)
    return np.where(first + 1 < images, first + 1, first - 1)


def frame_order(total: int, frames: int) -> NDArray[np.int64]:
    """Return the `frames` indices, evenly spread over a clip of `total` frames, that one model input reads.

    Examples
    --------
    >>> frame_order(32, 8).tolist()
    [0, 4, 8, 13, 17, 22, 26, 31]
    """
    return np.linspace(0, total - 1, frames).astype(np.int64)
