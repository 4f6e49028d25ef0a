"""Which frames are read: of a video for a clip, of a clip for a model input.

The paper samples a window of the video evenly (Sec. 4.1). For annotated images see `segmentation.stretches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.fit import Fit
from sdmetrics.errors import InputError, note
from sdmetrics.probes.inputs import ModelInput, check_agreement, check_sampling

SLACK = 1e-3
"""Seconds by which a time stamp may be late and still count as shown: Matroska and FLV round to milliseconds."""

SLOW = 0.95
"""Share of the model's rate below which a video is called slow: 29.97 is as good as 30."""

LONGEST = 2**40
"""Frames of a video at a rate; time stamps that mean more are wrong."""


@dataclass(frozen=True)
class ClipShape:
    """How many frames a clip has, how they are chosen from the video, scaled and cropped; see `ModelInput`.

    Examples
    --------
    >>> slow = ModelInput("slow", frames=8, stride=8, resize=256)
    >>> shape = ClipShape.read_by([slow, ModelInput("fast", frames=32, stride=2, resize=256)])
    >>> shape.frames, shape.stride, shape.fit
    (32, 2, Fit(size=(224, 224), resize=256))
    """

    frames: int
    stride: int
    size: tuple[int, int]
    resize: int | tuple[int, int] | None = None
    sampling: str = "window"
    fps: float | None = None

    @classmethod
    def read_by(
        cls,
        inputs: Sequence[ModelInput],
        stride: int | None = None,
        sampling: str | None = None,
        fps: float | None = None,
    ) -> ClipShape:
        """Return the shape of the clips that a model reads: that of its input with the most frames.

        `stride`, `sampling` and `fps` replace the model's own; with `sampling="spread"`, its own rate does not count.

        Raises
        ------
        InputError
            If the inputs do not agree in how frames are scaled and chosen, or `fps` does not apply.
        """
        check_agreement(inputs)
        widest = max(inputs, key=lambda item: item.frames)
        chosen = sampling or widest.sampling
        if fps is not None and sampling is None and chosen == "spread":
            raise InputError(
                f"fps is {fps:g}, but the model reads frames from the whole video whatever their rate; leave fps out, "
                "or pass sampling 'window', too"
            )
        check_sampling(chosen, fps, "the clips have")
        # A rate of 30 is the same as 30.0, also where clips are identified by it.
        rate = widest.fps if fps is None else float(fps)
        rate = None if chosen == "spread" else rate
        return cls(widest.frames, stride or widest.stride, widest.size, widest.resize, chosen, rate)

    @property
    def fit(self) -> Fit:
        """How frames are scaled and cropped."""
        return Fit(self.size, self.resize)


@dataclass(frozen=True)
class Window:
    """The frames of a video that a clip shows: `frames` of a stretch of `frames * stride`, or spread over all of it.

    Parameters
    ----------
    frames, stride
        Frames read, and the number of video frames that each represents.
    part, parts
        Which of how many clips of one video this is. A single stretch is centred; several are placed evenly from the
        beginning to the end.
    start, end
        The segment, in seconds from the first frame, outside which nothing is read. Default: the whole video.
    sampling
        `"window"`, or `"spread"`: the segment is divided into `frames` equal parts, and a frame is read from the middle
        of each; of several clips each reads another place within the parts, evenly.
    fps
        Frames per second at which `stride` counts: at place `i` of the stretch, the last frame is read whose time stamp
        is not after `i / fps` seconds from the first of the segment. Default: the video's own frames.
    said
        What was printed about videos that are too short; the windows of a data set share it, to print it once. None
        says nothing.
    looped
        Filled by `indices` where frames had to be repeated, since the video is too short for the clip.

    Notes
    -----
    At a rate, torchvision's `VideoClips` takes frame `floor(i * own / fps)` of a video with its `own` rate, which is
    the same frame, unless the next one comes within a millisecond. SlowFast takes `frames` places, rounded down, evenly
    over `frames * stride * own / fps` frames of the video, which differs by a frame or two. `"spread"` takes the frames
    of TSN's and mmaction2's test; SlowFast's Something-Something loader divides `length - 1` instead of `length`
    frames, which differs by one frame at most.

    Examples
    --------
    >>> Window(frames=4, stride=8).indices(np.arange(100) / 25).tolist()
    [34, 44, 54, 65]
    >>> Window(frames=4, stride=8, sampling="spread").indices(np.arange(100) / 25).tolist()
    [12, 37, 62, 87]
    >>> Window(frames=4, stride=1, fps=12.5).indices(np.arange(100) / 25).tolist()
    [46, 48, 50, 52]
    """

    frames: int
    stride: int
    part: int = 0
    parts: int = 1
    start: float | None = None
    end: float | None = None
    sampling: str = "window"
    fps: float | None = None
    said: set[str] | None = field(default_factory=set, repr=False, compare=False)
    looped: list[int] = field(default_factory=list, repr=False, compare=False)

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
        if self.sampling == "spread":
            return first + self._spread(length)
        if self.fps is None:
            return first + self._stretch(length).astype(np.int64)
        # The last frame is shown as long as the others on average.
        rest = seconds[-1] / (len(seconds) - 1) if len(seconds) > 1 else 1 / self.fps
        end = seconds[last] if last < len(seconds) else seconds[-1] + rest
        duration = end - seconds[first]
        self._say_slow(length / max(duration, SLACK), self.fps)
        length = min(max(1, int((duration + SLACK) * self.fps)), LONGEST)
        times = self._stretch(length) / self.fps
        shown_at = np.searchsorted(seconds[first:last] - seconds[first], times + SLACK, side="right")
        return first + np.maximum(shown_at.astype(np.int64) - 1, 0)

    def indices_of_images(self, count: int) -> NDArray[np.int64]:
        """Return the `frames` indices to read of that many images, which have no time stamps: a rate does not apply."""
        if self.fps is not None and self.said is not None and "fps" not in self.said:
            self.said.add("fps")
            say_no_rate(self.fps)
        return replace(self, fps=None).indices(np.arange(count, dtype=np.float64))

    def __str__(self) -> str:
        """Name what is not the default, for stamps: a million of them are kept."""
        values = ((item, getattr(self, item.name)) for item in fields(self) if item.compare)
        return f"Window({', '.join(f'{item.name}={value!r}' for item, value in values if value != item.default)})"

    def own(self) -> Window:
        """Return the same window for one video, with a record of its own of whether frames had to be repeated."""
        return replace(self, looped=[])

    def is_looped(self) -> bool:
        """Return whether frames had to be repeated where this window was read."""
        return bool(self.looped)

    def _stretch(self, length: int) -> NDArray[np.float64]:
        """Return the places of a stretch in a segment of `length` frames; those between two frames show the first."""
        window = self.frames * self.stride
        self._say_repeats(length, window)
        room = max(length - window, 0)
        begin = room // 2 if self.parts == 1 else room * self.part // (self.parts - 1)
        places = np.arange(self.frames) * (window - 1) / max(self.frames - 1, 1)
        return np.asarray((begin + places) % length, np.float64)

    def _spread(self, length: int) -> NDArray[np.int64]:
        """Return a place in each of `frames` equal parts of a segment of `length` frames."""
        self._say_repeats(length, self.frames)
        steps = 2 * self.parts
        return (np.arange(self.frames, dtype=np.int64) * steps + 2 * self.part + 1) * length // (steps * self.frames)

    def _say_slow(self, own: float, fps: float) -> None:
        """Say, once for all videos, that one has so few frames per second that some are read twice in a row."""
        if self.said is not None and self.frames > 1 and own * self.stride < SLOW * fps and "slow" not in self.said:
            self.said.add("slow")
            note(
                f"a video of {own:.4g} frames per second is read at {fps / self.stride:.4g}, so some of its frames are "
                "read twice in a row; those of other slow videos are, too. A lower --fps (in Python, fps) avoids it"
            )

    def _say_repeats(self, length: int, window: int) -> None:
        """Say, once for all videos, that one is too short for its clips to show different frames."""
        if self.frames > 1 and length < window:
            self.looped.append(length)
        if self.said is None:
            return
        rate = "" if self.fps is None else f" at {self.fps:g} frames per second"
        if self.frames > 1 and length < window and "cycle" not in self.said:
            self.said.add("cycle")
            spread = self.sampling == "spread"
            alike = f", and its {self.parts} clips show the same frames" if self.parts > 1 else ""
            how, remedy = ("", "") if spread else (f" in a cycle{alike}", ". A smaller stride avoids it")
            note(
                f"a video of {length} frames{rate} is shorter than the {window} frames that a clip spans, so its "
                f"frames are repeated{how}; other short videos are repeated, too{remedy}"
            )
        elif window <= length < window * self.parts and "overlap" not in self.said:
            self.said.add("overlap")
            note(
                f"a video of {length} frames{rate} is shorter than its {self.parts} clips of {window} frames, so they "
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

    @classmethod
    def of(cls, window: Window) -> Neighbours:
        """Return those of a window."""
        return cls(**vars(window))

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
    return [
        Window(shape.frames, shape.stride, part, count, sampling=shape.sampling, fps=shape.fps, said=said)
        for part in range(count)
    ]


def say_no_rate(fps: float) -> None:
    """Say that images cannot be resampled."""
    note(
        f"images have no time stamps, so the rate of {fps:g} frames per second is not applied to them and the stride "
        "counts images; if they were extracted at another rate, pass --stride (in Python, stride)"
    )


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
