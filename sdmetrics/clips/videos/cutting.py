"""Cutting: the clips of one video, one per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdmetrics.clips.clip import Clip, Flow, Frames
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.videos.footage import Footage


@dataclass(slots=True, eq=False)
class Cut:
    """What one clip shows of a video: the loader of its frames, which notes whether some had to be repeated."""

    video: Footage
    window: Window
    looped: bool = False

    def __call__(self) -> Frames:
        """Return the frames."""
        window = self.window.own()
        frames = self.video.read(window)
        self.looped = window.is_looped()
        return frames

    def flow(self) -> Flow:
        """Return the optical flow of the frames."""
        return self.video.flow(self.window.own())

    @property
    def files(self) -> Sequence[Path]:
        """What the video is read from."""
        return self.video.files


def cut(video: Footage, name: str, windows: Sequence[Window], label: str | None = None) -> list[Clip]:
    """Return a clip per window of one video."""
    clips = []
    for window in windows:
        segment = ""
        if window.start is not None or window.end is not None:
            segment = f"@{_exact(window.start or 0)}-{'' if window.end is None else _exact(window.end)}"
        own, shown = segment + number(window), Cut(video, window)
        clips.append(
            Clip(
                name + own if own else name,
                shown,
                video=name,
                label=label,
                stamp=video.stamp(window),
                load_flow=shown.flow,
            )
        )
    return clips


def folder_label(video: str) -> str | None:
    """Return the label of a video in a folder per class: its folders, of which one names the class; None without any.

    Examples
    --------
    >>> folder_label("val/riding a bike/0wR5jVB-WPk.mp4")
    'val/riding a bike'
    """
    return video.rpartition("/")[0] or None


def number(window: Window) -> str:
    """Return what tells the clips of one video from each other."""
    return f"#{window.part}" if window.parts > 1 else ""


def _exact(seconds: float) -> str:
    """Return a time in as many digits as it needs: two windows of a long video must not have the same id."""
    return repr(float(seconds)).removesuffix(".0")
