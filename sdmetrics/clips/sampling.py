"""Which frames of a video make a clip (paper, Sec. 4.1: a window of the video, evenly sampled)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError


@dataclass(frozen=True)
class Window:
    """A stretch of `frames * stride` frames of a video, of which `frames` are read.

    Parameters
    ----------
    frames, stride
        Frames read, and the number of video frames that each stands for.
    part, parts
        Which of how many windows of one video this is. One lies in the middle; several are spread evenly from
        the beginning to the end.
    start, end
        The segment, in seconds from the first frame, outside which nothing is read. Default: the whole video.

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

    def indices(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the `frames` indices to read of a video whose frames are shown at `seconds`, increasing.

        A window longer than its segment reads it in a cycle, as the paper's code does.

        Raises
        ------
        InputError
            If the segment holds no frame.
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
            raise InputError(f"no frame lies in the segment {where}: {shown}. Correct the segment's start and end")
        window = self.frames * self.stride
        room = max(length - window, 0)
        begin = room // 2 if self.parts == 1 else room * self.part // (self.parts - 1)
        spread = np.arange(self.frames) * (window - 1) // max(self.frames - 1, 1)
        return first + (begin + spread) % length


@dataclass(frozen=True)
class Neighbours(Window):
    """The frames of a window, and after each the one that follows it in the video: what optical flow is estimated from.

    In the place of the video's last frame, which none follows, stands the one before it.

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
            raise InputError("the video has a single frame, which has no optical flow; give a longer one, or its flow")
        return np.stack([first, first + 1], axis=1).ravel()


def frame_order(total: int, frames: int) -> NDArray[np.int64]:
    """Return the `frames` indices, evenly spread over a clip of `total` frames, that one model input reads.

    Examples
    --------
    >>> frame_order(32, 8).tolist()
    [0, 4, 8, 13, 17, 22, 26, 31]
    """
    return np.linspace(0, total - 1, frames).astype(np.int64)
